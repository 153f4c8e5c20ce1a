"""forward posts signed events to real servers, and fails, waits or refuses as it promises."""

import asyncio
import gc
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from receiver.core.errors import HandlerError
from receiver.core.events import Event, Outcome
from tests.support.handled import an_event
from tests.workers.handlers.targets import Target, a_closing_target, a_socket, a_target
from workers import Retry
from workers.handlers.exchange import TargetResponse
from workers.handlers.forward import forward, judge, send
from workers.handlers.sender import NotDelivered, Sender
from workers.plugins import loader
from workers.run.execution import AttemptResult, run_async
from workers.templates import Template

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def target() -> Iterator[Target]:
    with a_target() as started:
        yield started


def forwarded(url: str, event: Event | None = None, **options: Any) -> AttemptResult:
    """Run the handler as a worker does: loaded with its options, one attempt, in an event loop."""
    handler = loader.load("forward", {"url": url} | options, environ={}, folder=Path())
    return asyncio.run(run_async(handler, event or an_event(), 60))


def failed(url: str, **options: Any) -> str:
    ended = forwarded(url, **options)
    assert ended.outcome is Outcome.FAILED
    return ended.error or ""


def test_the_target_gets_the_record_and_its_context_as_json(target: Target) -> None:
    """By the Standard Webhooks shape, with the record as Nexudus sent it; unsigned without a secret."""
    began = int(time.time())
    ended = forwarded(target.url(path="/in?a=b"), an_event(attempt=2, key="k1"), allow_private=True)

    assert ended == AttemptResult(Outcome.SUCCEEDED)
    (request,) = target.received
    assert request.path == "/in?a=b"
    assert json.loads(request.body) == {
        "type": "BookingCreate", "timestamp": "2026-03-14T15:09:26.535000Z",
        "data": {"Id": 77, "CoworkerFullName": "Zoë Ångström 🥶", "EstimatedCost": 12.5, "Notes": None},
        "id": "00m5x2k1qabcdefg0001", "key": "k1", "action_code": 41, "business_id": 1001, "origin": "webhook",
    }  # fmt: skip
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{target.port}"
    assert request.headers["webhook-id"] == "k1"
    assert request.headers["frontdesk-attempt"] == "2"
    assert began <= int(request.headers["webhook-timestamp"]) <= time.time()
    assert "webhook-signature" not in request.headers


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_"), "c2VjcmV0LW9mLTIzLWJ5dGVzLi4u"])
def test_a_signed_event_is_verified_by_the_standard_library(secret: str, target: Target) -> None:
    """Any receiver that knows Standard Webhooks can check it; another secret does not fit."""
    forwarded(target.url(), an_event(), secret=secret, allow_private=True)

    (request,) = target.received
    assert Webhook(secret).verify(request.body, dict(request.headers))["data"]["Id"] == 77
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").verify(request.body, dict(request.headers))


def test_every_attempt_sends_the_same_body_under_the_same_id(target: Target) -> None:
    """What a target remembers of one attempt holds for the next."""
    for attempt in (1, 2):
        forwarded(target.url(), an_event(attempt=attempt, superseded=attempt > 1), allow_private=True)

    first, second = target.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_headers_and_the_user_of_the_url_are_sent(target: Target) -> None:
    """A user in the URL becomes basic authentication, unless a header says otherwise."""
    url = target.url().replace("http://", "http://me:p%40ss@")

    forwarded(url, headers={"X-Tenant": " Zoë "}, allow_private=True)
    forwarded(url, headers={"Authorization": "Bearer t"}, allow_private=True)

    first, second = target.received
    assert first.headers["x-tenant"].encode("latin-1").decode() == "Zoë"
    assert first.headers["authorization"] == "Basic bWU6cEBzcw=="
    assert second.headers["authorization"] == "Bearer t"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_success(status: int, target: Target) -> None:
    """Also with nothing in it."""
    target.status, target.body = status, b""

    assert forwarded(target.url(), allow_private=True) == AttemptResult(Outcome.SUCCEEDED)


@pytest.mark.parametrize(
    ("status", "headers", "sentence"),
    [
        (400, {}, "answered 400"), (401, {}, "answered 401"), (404, {}, "answered 404"), (500, {}, "answered 500"),
        (502, {"Retry-After": "5"}, "answered 502"), (429, {}, "answered 429"), (503, {}, "answered 503"),
        (503, {"Retry-After": "soon"}, "answered 503"), (410, {}, "answered 410; it wants no more of these"),
        (301, {"Location": "http://127.0.0.1:1/"}, "answered 301; redirects are not followed"),
        (307, {"Location": "/elsewhere"}, "answered 307; redirects are not followed"),
    ],
)  # fmt: skip
def test_any_other_answer_fails_the_attempt(
    status: int, headers: dict[str, str], sentence: str, target: Target
) -> None:
    """With the status in the error, by the route's schedule, and without a second request."""
    target.status, target.headers = status, headers

    ended = forwarded(target.url(), allow_private=True)

    assert (ended.outcome, ended.retry_after_ms, ended.uncharged) == (Outcome.FAILED, None, False)
    assert (ended.error or "").startswith(f"NotDelivered: http://127.0.0.1:{target.port} {sentence}")
    assert len(target.received) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_target_that_asks_to_wait_costs_no_attempt(status: int, target: Target) -> None:
    """`Retry-After` with 429 or 503."""
    target.status, target.headers = status, {"Retry-After": "120"}

    ended = forwarded(target.url(), allow_private=True)

    assert ended == AttemptResult(
        Outcome.FAILED, f"Retry: http://127.0.0.1:{target.port} answered {status} and asks to wait 120 s", 120_000, True
    )


def test_the_judgement_is_of_the_answer_alone() -> None:
    """A 200 with `Retry-After` is a success; a 503 whose date is wrong is a failure."""
    judge(TargetResponse(200, "60"), "https://x", now=NOW)

    with pytest.raises(Retry):
        judge(TargetResponse(503, "60"), "https://x", now=NOW)
    with pytest.raises(NotDelivered, match=r"^https://x answered 503$"):
        judge(TargetResponse(503, "x"), "https://x", now=NOW)


@pytest.mark.parametrize(
    ("host", "word"),
    [
        ("127.0.0.1", "a loopback"), ("localhost", "a loopback"), ("[::1]", "a loopback"), ("127.1", "a loopback"),
        ("2130706433", "a loopback"), ("0x7f.1", "a loopback"), ("[::ffff:127.0.0.1]", "a loopback"),
        ("0.0.0.0", "an unspecified"), ("169.254.169.254", "a link-local"), ("10.0.0.1", "a private"),
    ],
)  # fmt: skip
def test_private_addresses_are_refused_unless_allowed(host: str, word: str, target: Target) -> None:
    """However they are spelled, and before a connection is made."""
    sentence = failed(target.url(host))

    assert f"{word} address; the option allow_private: true would permit it" in sentence
    assert target.received == []


class Dialled(httpcore2.AsyncNetworkBackend):
    """Connects to a server on this machine, whatever public address is dialled; remembers which that was."""

    def __init__(self, *unreachable: str) -> None:
        self.addresses: list[str] = []
        self._unreachable = unreachable
        self._backend = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self.addresses.append(host)
        if host in self._unreachable:
            raise httpcore2.ConnectError("no route to host")
        return await self._backend.connect_tcp("127.0.0.1", port, timeout)


class Names:
    """A resolver that gives one answer after another, the last one for ever: a name that is rebound."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def posted(sender: Sender, url: str, *, events: int = 1, timeout_s: float = 30.0, allow_private: bool = False) -> None:
    async def all_of_them() -> None:
        for _ in range(events):
            await send(
                sender, an_event(), url=url, secret=None, headers={}, timeout_s=timeout_s, allow_private=allow_private
            )

    asyncio.run(all_of_them())


def test_a_name_is_looked_up_once_and_the_checked_address_is_dialled(target: Target) -> None:
    """Rebinding finds no second look-up: the first answer was judged, and that one is connected to, by its number."""
    names, dialled = Names(["8.8.8.8"], ["127.0.0.1"]), Dialled()

    posted(Sender(resolve=names, dial=dialled), target.url("crm.example"))

    assert (names.asked, dialled.addresses) == (["crm.example"], ["8.8.8.8"])
    assert target.received[0].headers["host"] == f"crm.example:{target.port}"


def test_a_name_that_is_rebound_to_a_private_address_is_refused_from_then_on(target: Target) -> None:
    """Each new connection is judged anew."""
    names, dialled = Names(["8.8.8.8"], ["127.0.0.1"]), Dialled()
    sender = Sender(resolve=names, dial=dialled)
    posted(sender, target.url("crm.example"))

    with pytest.raises(NotDelivered, match=r"crm\.example:\d+ leads to 127\.0\.0\.1, a loopback address"):
        posted(sender, target.url("crm.example"))

    assert dialled.addresses == ["8.8.8.8"]


def test_of_several_addresses_only_public_ones_are_dialled(target: Target) -> None:
    """And the next one when one does not answer, four at most."""
    mixed, dialled = Names(["10.0.0.1", "8.8.8.8", "fe80::1", "1.1.1.1"]), Dialled("8.8.8.8")
    many, none = Names([f"8.8.8.{number}" for number in range(20)]), Dialled(*(f"8.8.8.{n}" for n in range(20)))

    posted(Sender(resolve=mixed, dial=dialled), target.url("crm.example"))

    assert dialled.addresses == ["8.8.8.8", "1.1.1.1"]
    with pytest.raises(NotDelivered, match="cannot be reached: ConnectError"):
        posted(Sender(resolve=many, dial=none), target.url("crm.example"))
    assert none.addresses == ["8.8.8.0", "8.8.8.1", "8.8.8.2", "8.8.8.3"]


def test_a_connection_that_was_allowed_is_not_lent_to_a_route_that_is_not(target: Target) -> None:
    """Two routes to one origin, one with allow_private: their connections are kept apart."""
    sender = Sender()

    async def both() -> None:
        options: dict[str, Any] = {"url": target.url(), "secret": None, "headers": {}, "timeout_s": 30.0}
        await send(sender, an_event(), allow_private=True, **options)
        with pytest.raises(NotDelivered, match="a loopback address"):
            await send(sender, an_event(), allow_private=False, **options)

    asyncio.run(both())
    assert len(target.received) == 1


def test_connections_are_used_again_and_closed_with_their_loop(target: Target) -> None:
    """One connection for events in a row; nothing is left open when the loop ends (a warning would fail this)."""
    posted(Sender(), target.url(), events=3, allow_private=True)
    gc.collect()

    assert len({request.peer for request in target.received}) == 1


def test_many_events_at_once_each_arrive_once(target: Target) -> None:
    """Concurrent attempts of one process share the pool without mixing."""

    async def many() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                event = an_event(key=f"k{number}", data={"Id": number})
                group.create_task(forward(event, url=Template(target.url()), allow_private=True, timeout=60.0))

    asyncio.run(many())

    assert {request.headers["webhook-id"] for request in target.received} == {f"k{n}" for n in range(100)}
    assert all(json.loads(r.body)["data"]["Id"] == int(r.headers["webhook-id"][1:]) for r in target.received)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A throw-away certificate for crm.example, with its key in one file."""
    file = tmp_path_factory.mktemp("tls") / "crm.pem"
    arguments = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    arguments += ["-days", "2", "-subj", "/CN=crm.example", "-addext", "subjectAltName=DNS:crm.example"]
    key = file.with_suffix(".key")
    subprocess.run([*arguments, "-keyout", str(key), "-out", str(file)], check=True, capture_output=True, timeout=60)
    file.write_text(key.read_text() + file.read_text())
    return file


@pytest.mark.needs("openssl")
def test_the_certificate_and_the_server_name_are_those_of_the_url(certificate: Path) -> None:
    """Dialled by number, the server is still asked for by its name and has to prove it."""
    asked: list[str | None] = []
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    serving.sni_callback = lambda _socket, name, _context: asked.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))

    with a_target(serving) as target:
        sender = Sender(resolve=Names(["8.8.8.8"]), dial=Dialled(), context=trusting)
        posted(sender, target.url("crm.example"))
        with pytest.raises(NotDelivered, match="certificate is not valid for 'other.example'"):
            posted(sender, target.url("other.example"))
        with pytest.raises(NotDelivered, match="self-signed certificate"):
            posted(Sender(resolve=Names(["8.8.8.8"]), dial=Dialled()), target.url("crm.example"))

    assert asked == ["crm.example", "other.example", "crm.example"]
    assert [request.headers["host"] for request in target.received] == [f"crm.example:{target.port}"]


def _silent(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def _drips_headers(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000):
        connection.sendall(b"X-%d: y\r\n" % number)
        time.sleep(0.05)


def _asks_to_go_on(connection: socket.socket) -> None:
    connection.recv(65_536)
    for _ in range(10_000):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


@pytest.mark.parametrize("talk", [_silent, _drips_headers, _asks_to_go_on])
def test_a_target_that_takes_its_time_is_given_up(talk: Callable[[socket.socket], None]) -> None:
    """The timeout is for the whole, however lively the single bytes are."""
    with a_socket(talk) as port:
        sentence = failed(f"http://127.0.0.1:{port}", timeout="300ms", allow_private=True)

    assert sentence == f"NotDelivered: http://127.0.0.1:{port} gave no answer within 0.3 s"


def test_a_name_server_that_does_not_answer_is_given_up(target: Target) -> None:
    """Finding the address is part of the time."""

    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(3_600)
        return []

    with pytest.raises(NotDelivered, match=r"crm\.example:\d+ gave no answer within 0\.2 s"):
        posted(Sender(resolve=never), target.url("crm.example"), timeout_s=0.2)


def _large(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    sent = 0
    while sent < 1_000_000_000:
        connection.sendall(b"x" * 1_000_000)
        sent += 1_000_000


def _stalls_in_the_body(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n")
    _silent(connection)


def _breaks_off_in_the_body(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")


@pytest.mark.parametrize("talk", [_large, _stalls_in_the_body, _breaks_off_in_the_body])
def test_the_status_is_the_answer_whatever_becomes_of_the_body(talk: Callable[[socket.socket], None]) -> None:
    """The target has taken the event; the body is only read so far that the connection can be used again."""
    with a_socket(talk) as port:
        assert forwarded(f"http://127.0.0.1:{port}", timeout="30s", allow_private=True) == AttemptResult(
            Outcome.SUCCEEDED
        )


def _garbage(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"\x00\x1b[31mSSH-2.0-nonsense\r\n\r\n")


def _hangs_up(connection: socket.socket) -> None:
    connection.recv(65_536)


def _endless_header(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(100):
        connection.sendall(b"y" * 100_000)


@pytest.mark.parametrize("talk", [_garbage, _hangs_up, _endless_header])
def test_what_does_not_speak_http_fails_the_attempt_in_one_line(talk: Callable[[socket.socket], None]) -> None:
    """Bounded, escaped, and with the target's name."""
    with a_socket(talk) as port:
        sentence = failed(f"http://127.0.0.1:{port}", allow_private=True)

    assert sentence.startswith(f"NotDelivered: http://127.0.0.1:{port} cannot be reached: ")
    assert sentence.isprintable()


@pytest.mark.parametrize("idle", [1, 5])
def test_a_kept_connection_that_the_target_closed_costs_no_attempt(idle: int) -> None:
    """The event goes once more over a new connection, however many idle ones there are: those are closed, too."""

    async def many(sender: Sender, port: int) -> None:
        options: dict[str, Any] = {"secret": None, "headers": {}, "timeout_s": 30.0, "allow_private": True}
        url = f"http://127.0.0.1:{port}/hooks"
        async with asyncio.TaskGroup() as group:
            for _ in range(idle):
                group.create_task(send(sender, an_event(), url=url, **options))
        await send(sender, an_event(), url=url, **options)

    with a_closing_target(together=idle) as target:
        asyncio.run(many(Sender(), target.port))

        assert sorted(map(len, target.requests)) == [*[1] * idle, 2], "one was tried in vain, and a new one was made"


@pytest.mark.parametrize("goodbye", [b"HTTP/1.1 2", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_target_that_began_to_answer_is_not_asked_twice(goodbye: bytes) -> None:
    """It has read the event: whether it took it, only the next attempt tells."""
    with a_closing_target(goodbye) as target:
        with pytest.raises(NotDelivered, match="cannot be reached"):
            posted(Sender(), f"http://127.0.0.1:{target.port}", events=2, allow_private=True)

        assert list(map(len, target.requests)) == [2]


def test_a_target_that_closes_new_connections_is_asked_twice_only() -> None:
    """The second time counts as what it is: the target is down."""
    with a_closing_target(answers=False) as target:
        with pytest.raises(NotDelivered, match="cannot be reached") as refused:
            posted(Sender(), f"http://127.0.0.1:{target.port}", events=2, allow_private=True)

        assert refused.value.target_down
        assert list(map(len, target.requests)) == [2, 1]


def test_the_second_try_has_only_what_is_left_of_the_time() -> None:
    """A new connection that gives no answer ends with the timeout of the attempt."""
    taken: list[int] = []

    def talk(connection: socket.socket) -> None:
        taken.append(1)
        connection.recv(65_536)
        if len(taken) == 1:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            connection.recv(65_536)
        else:
            _silent(connection)

    with a_socket(talk) as port, pytest.raises(NotDelivered, match=r"gave no answer within 0\.5 s"):
        posted(Sender(), f"http://127.0.0.1:{port}", events=2, timeout_s=0.5, allow_private=True)

    assert len(taken) == 2


def test_nothing_listening_and_no_such_name_are_said(target: Target) -> None:
    """The two commonest faults of a new route."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    assert f"http://127.0.0.1:{port} cannot be reached: ConnectError" in failed(
        f"http://127.0.0.1:{port}", allow_private=True
    )
    assert "cannot be found: " in failed("http://no-such-name.invalid/")
    assert "cannot be found: not a name" in failed(f"http://{'a' * 70}.example/")


def test_errors_tell_no_secret_of_the_url(target: Target) -> None:
    """User, path and query may each be a credential; scheme, host and port say enough."""
    target.status = 500
    url = target.url(path="/services/T000/hush?key=hush").replace("http://", "http://hush:hush@")

    assert "hush" not in failed(url, allow_private=True)
    assert "hush" not in failed(url)
    assert "hush" not in failed(url.replace(str(target.port), "1"), allow_private=True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"url": "ftp://x.example"}, "option 'url': must be http:// or https:// and a host"),
        ({"url": "x.example/hooks"}, "option 'url': must be http"),
        ({"url": "https://"}, "option 'url': "),
        ({"url": "https://x.example/\r\nX: y"}, "option 'url': "),
        ({"url": "https://[::1"}, "option 'url': is not a URL"),
        ({"url": "https://x.example:99999"}, "option 'url': "),
        ({}, "option 'url' is missing; it takes (event, *, url: Template, method: "),
        ({}, "timeout: float = 10.0, allow_private: bool = False)"),
        ({"url": "https://x", "secret": "not base64!"}, "option 'secret': is not base64"),
        ({"url": "https://x", "secret": "whsec_"}, "option 'secret': is not base64"),
        ({"url": "https://x", "secret": ""}, "option 'secret': is not base64"),
        ({"url": "https://x", "headers": {"Host": "y"}}, "option 'headers': 'Host' is not a header that can be set"),
        ({"url": "https://x", "headers": {"webhook-id": "y"}}, "'webhook-id' is not a header that can be set here"),
        ({"url": "https://x", "headers": {"X Y": "y"}}, "'X Y' is not a header"),
        ({"url": "https://x", "headers": {"X": "a\nb"}}, "option 'headers': the value of 'X' has control characters"),
        ({"url": "https://x", "timeout": 0}, "option 'timeout': input should be greater than 0"),
        ({"url": "https://x", "timeout": "1h"}, "option 'timeout': input should be less than or equal to 600"),
        ({"url": "https://x", "timeout": "soon"}, "option 'timeout': 'soon' is not a duration; write 500ms, 30s"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused_when_the_route_is_checked(options: dict[str, Any], sentence: str) -> None:
    """Not at the first event."""
    with pytest.raises(HandlerError) as caught:
        loader.load("forward", options, environ={}, folder=Path())

    assert sentence in str(caught.value)


def test_a_proxy_of_the_environment_is_not_asked(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look the name up itself, and nobody would have checked the address."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    assert forwarded(target.url(), allow_private=True) == AttemptResult(Outcome.SUCCEEDED)


def test_certificates_that_cannot_be_read_are_named_by_their_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The target is not at fault, and neither are we."""
    monkeypatch.setenv("SSL_CERT_FILE", "/missing")

    with pytest.raises(NotDelivered, match=r"was not asked: the certificates that SSL_CERT_FILE .*; correct") as raised:
        posted(Sender(), "https://crm.example/")

    assert not raised.value.target_down
