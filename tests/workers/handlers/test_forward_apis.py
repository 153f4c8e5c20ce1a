"""forward speaks to the APIs of others: their methods, addresses, bodies, tokens, proxies; it tells what they said."""

import asyncio
import base64
import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from receiver.core.errors import HandlerError
from receiver.core.events import Event, Outcome
from tests.support.handled import an_event
from tests.workers.handlers.targets import Target, a_socket, a_target
from workers.handlers import forward as module
from workers.plugins import loader
from workers.run.execution import AttemptResult, run_async

RECORD = {"Id": 77, "Email": "zoë@example.com", "FullName": "Zoë\r\nX: y", "Cost": 12.5, "Paid": True, "Notes": None}


@dataclass
class Api:
    """An HTTP server: what it answers to each path, and what it was asked. *tokens*: how many it has given."""

    port: int = 0
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    answers: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    good: str = ""
    tokens: int = 0
    expires_in: Any = 3600

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
def api() -> Iterator[Api]:
    served = Api()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = urlsplit(self.path).path
            headers = {name.lower(): value for name, value in self.headers.items()}
            served.asked.append((self.command, self.path, headers, body))
            status, kind, said = served.answers.get(path, (200, "text/plain", b"ok"))
            if path == "/token":
                served.tokens += 1
                served.good = f"token-{served.tokens}"
                said = json.dumps({"access_token": served.good, "expires_in": served.expires_in}).encode()
            elif path == "/guarded" and headers.get("authorization") != f"Bearer {served.good}":
                status = 401
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    server = Server(("127.0.0.1", 0), Handler)
    served.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    module._tokens.cache_clear()
    yield served
    server.shutdown()
    server.server_close()
    thread.join(30)


def event(**changes: Any) -> Event:
    return an_event(**({"data": RECORD} | changes))


def loaded(options: dict[str, Any], **environ: str) -> loader.Handler:
    return loader.load("forward", {"allow_private": True} | options, environ=environ, folder=Path())


def forwarded(options: dict[str, Any], one: Event | None = None, **environ: str) -> AttemptResult:
    return asyncio.run(run_async(loaded(options, **environ), one or event(), 60))


def test_url_headers_and_a_json_body_are_filled_in(api: Api) -> None:
    """Each value stays within its place: a slash in a name is no path, a line break no header, a number a number."""
    ended = forwarded(
        {
            "url": api.url("/contacts/{{ data.Email }}?name={{ data.FullName }}"),
            "method": "PUT",
            "headers": {"X-Member": "{{ data.FullName }}", "Accept": "application/json"},
            "body": {
                "email": "{{ data.Email }}",
                "cost": "{{ data.Cost }}",
                "tags": ["{{ action }}", 1, "{{ data.Notes }}"],
            },
        },
        event(data=RECORD | {"Email": "a/../b?c#d"}),
    )

    assert ended == AttemptResult(Outcome.SUCCEEDED)
    ((method, path, headers, body),) = api.asked
    assert (method, path) == ("PUT", "/contacts/a%2F..%2Fb%3Fc%23d?name=Zo%C3%AB%0D%0AX%3A%20y")
    assert json.loads(body) == {"email": "a/../b?c#d", "cost": 12.5, "tags": ["BookingCreate", 1, None]}
    assert headers["content-type"] == "application/json"
    assert headers["x-member"].encode("latin-1").decode() == "Zoë  X: y"
    assert "x" not in headers
    assert headers["idempotency-key"] == headers["webhook-id"] == "00m5x2k1qabcdefg0001"


def test_a_form_and_a_text(api: Api) -> None:
    """A mapping is a form where the type of content says so; a text is a text; null is left out of a form."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = {"mail": "{{ data.Email }}", "paid": "{{ data.Paid }}", "notes": "{{ data.Notes }}"}

    forwarded({"url": api.url(), "headers": form, "body": body})
    forwarded({"url": api.url(), "body": "{{ data.Cost }} for {{ data.Email }}"})
    forwarded({"url": api.url(), "body": "<a>{{ data.Id }}</a>", "headers": {"content-type": "application/xml"}})

    first, second, third = api.asked
    assert parse_qs(first[3].decode()) == {"mail": ["zoë@example.com"], "paid": ["true"]}
    assert first[2]["content-type"] == "application/x-www-form-urlencoded"
    assert (second[2]["content-type"], second[3].decode()) == ("text/plain; charset=utf-8", "12.5 for zoë@example.com")
    assert (third[2]["content-type"], third[3]) == ("application/xml", b"<a>77</a>")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_request_without_a_body(method: str, api: Api) -> None:
    """GET and DELETE send none unless the route gives one."""
    forwarded({"url": api.url("/members/{{ data.Id }}"), "method": method})

    ((asked, path, headers, body),) = api.asked
    assert (asked, path, body) == (method, "/members/77", b"")
    assert "content-type" not in headers


def test_what_the_target_said_is_kept_with_the_error(api: Api) -> None:
    """Status, type and beginning of the answer, on one line; of 10 MB no more than of a sentence."""
    api.answers["/no"] = (422, "application/json", b'{"error":\n "email is taken"}')
    api.answers["/long"] = (400, "text/html", b"<html>" + b"x" * 10_000_000)

    refused, long = forwarded({"url": api.url("/no")}), forwarded({"url": api.url("/long")})

    said = 'it said (application/json): {"error": "email is taken"}'
    assert refused.error == f"NotDelivered: http://127.0.0.1:{api.port} answered 422; {said}"
    assert not refused.target_down
    assert long.error is not None
    assert "answered 400; it said (text/html): <html>xxx" in long.error
    assert len(long.error) <= 500


def test_what_is_expected_is_success_and_nothing_else(api: Api) -> None:
    """Single statuses and whole hundreds."""
    api.answers["/gone"] = (404, "text/plain", b"")

    assert forwarded({"url": api.url("/gone"), "expect": ["2xx", 404]}).outcome is Outcome.SUCCEEDED
    assert forwarded({"url": api.url("/gone")}).outcome is Outcome.FAILED
    assert forwarded({"url": api.url("/"), "expect": 201}).outcome is Outcome.FAILED


def test_basic_and_bearer(api: Api) -> None:
    """From the environment."""
    forwarded({"url": api.url(), "auth": {"basic": {"user": "me", "password": "env/PASSWORD"}}}, PASSWORD="{{ p:ss }}")
    forwarded({"url": api.url(), "auth": {"bearer": "env/TOKEN"}}, TOKEN="t0k3n")

    first, second = api.asked
    assert base64.b64decode(first[2]["authorization"].removeprefix("Basic ")) == b"me:{{ p:ss }}"
    assert second[2]["authorization"] == "Bearer t0k3n"


def _oauth2(api: Api, **more: str) -> dict[str, Any]:
    oauth2 = {"token_url": api.url("/token"), "client_id": "us", "client_secret": "env/SECRET", "scope": "write"} | more
    return {"url": api.url("/guarded"), "auth": {"oauth2": oauth2}}


def test_a_token_is_fetched_once_for_many_deliveries_at_once(api: Api) -> None:
    """And used until it is renewed."""
    handler = loaded(_oauth2(api), SECRET="s3cr3t")

    async def burst() -> list[AttemptResult]:
        return await asyncio.gather(*(run_async(handler, event(), 60) for _ in range(30)))

    results = asyncio.run(burst()) + asyncio.run(burst())

    assert {result.outcome for result in results} == {Outcome.SUCCEEDED}
    assert api.tokens == 1
    asked = next(one for one in api.asked if one[1] == "/token")
    assert parse_qs(asked[3].decode()) == {"grant_type": ["client_credentials"], "scope": ["write"]}
    assert base64.b64decode(asked[2]["authorization"].removeprefix("Basic ")) == b"us:s3cr3t"


def test_threads_share_the_token_too(api: Api) -> None:
    """Each thread with an event loop of its own."""
    handler, results = loaded(_oauth2(api, client_auth="body"), SECRET="s3cr3t"), list[AttemptResult]()
    threads = [
        threading.Thread(target=lambda: results.append(asyncio.run(run_async(handler, event(), 60)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [result.outcome for result in results] == [Outcome.SUCCEEDED] * 8
    assert api.tokens == 1
    asked = next(one for one in api.asked if one[1] == "/token")
    assert parse_qs(asked[3].decode())["client_secret"] == ["s3cr3t"]


def test_a_token_that_the_target_no_longer_accepts_is_renewed_once(api: Api) -> None:
    """Within the attempt; when the new one is refused too, the attempt fails."""
    handler = loaded(_oauth2(api), SECRET="s3cr3t")
    asyncio.run(run_async(handler, event(), 60))
    api.good = "revoked"

    again = asyncio.run(run_async(handler, event(), 60))
    api.answers["/guarded"] = (401, "text/plain", b"no")
    refused = asyncio.run(run_async(handler, event(), 60))

    assert again.outcome is Outcome.SUCCEEDED
    assert (refused.outcome, api.tokens) == (Outcome.FAILED, 3)
    assert "answered 401; it said (text/plain): no" in (refused.error or "")


def test_a_server_that_gives_no_token_is_told_without_the_secret(api: Api) -> None:
    """An error page, and an answer without a token."""
    api.answers["/token"] = (400, "application/json", b"")
    refused = forwarded(_oauth2(api), SECRET="s3cr3t")
    down = forwarded(_oauth2(api, token_url="http://127.0.0.1:9/t"), SECRET="s3cr3t")

    assert "was asked for a token and answered 400" in (refused.error or "")
    assert "s3cr3t" not in (refused.error or "")
    assert (down.outcome, down.target_down) == (Outcome.FAILED, True)


def test_a_token_that_is_about_to_run_out_is_renewed(api: Api) -> None:
    """One that is good for no time at all is fetched each time; a life that is no number is five minutes."""
    api.expires_in = 0
    for _ in range(2):
        assert forwarded(_oauth2(api), SECRET="s3cr3t").outcome is Outcome.SUCCEEDED
    assert api.tokens == 2

    module._tokens.cache_clear()
    api.expires_in = "soon"
    for _ in range(2):
        assert forwarded(_oauth2(api), SECRET="s3cr3t").outcome is Outcome.SUCCEEDED
    assert api.tokens == 3


def _proxy(seen: list[bytes], to: int) -> Any:
    def talk(connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65_536)
        seen.append(head)
        if head.startswith(b"CONNECT"):
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", to)) as target:
            target.sendall(head)
            connection.sendall(target.recv(65_536))

    return talk


def test_a_request_goes_through_a_proxy(api: Api) -> None:
    """With the proxy's own user; the target is named to it as it is written, where private addresses are allowed."""
    seen: list[bytes] = []
    with a_socket(_proxy(seen, api.port)) as port:
        ended = forwarded({"url": api.url("/x"), "method": "GET", "proxy": f"http://me:pw@127.0.0.1:{port}"})

    assert ended.outcome is Outcome.SUCCEEDED
    assert seen[0].startswith(f"GET http://127.0.0.1:{api.port}/x HTTP/1.1".encode())
    assert b"Proxy-Authorization: Basic bWU6cHc=" in seen[0]


def test_a_proxy_gets_the_address_that_was_checked(api: Api) -> None:
    """Never a name that it would look up again; a private address is refused before it is asked."""
    seen: list[bytes] = []
    with a_socket(_proxy(seen, api.port)) as port:
        proxy = f"http://127.0.0.1:{port}"
        private = forwarded({"url": "http://localhost/x", "proxy": proxy, "allow_private": False})
        public = forwarded({"url": "https://8.8.8.8/x", "proxy": proxy, "allow_private": False})

    assert "leads to" in (private.error or "")
    assert "a loopback address" in (private.error or "")
    assert "the proxy answered 407 Proxy Authentication Required" in (public.error or "")
    assert [head.partition(b"\r\n")[0] for head in seen] == [b"CONNECT 8.8.8.8:443 HTTP/1.1"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"url": "https://{{ data.Host }}/x"}, "a host without a template in it"),
        ({"url": "https://crm.{{ data.Host }}/x"}, "a host without a template in it"),
        ({"url": "{{ data.Url }}"}, "a host without a template in it"),
        ({"url": "https://x.example", "method": "TRACE"}, "option 'method'"),
        ({"url": "https://x.example", "auth": {}}, "must be one of basic, bearer, oauth2"),
        ({"url": "https://x.example", "auth": {"bearer": "a", "basic": {"user": "u", "password": "p"}}}, "one of"),
        ({"url": "https://x.example", "auth": {"bearer": "a\nb"}}, "option 'auth.bearer'"),
        ({"url": "https://x.example", "body": {"a": ["{{ data."]}}, "option 'body': a[0] is no template"),
        ({"url": "https://x.example", "body": 3}, "must be text, a mapping or a list"),
        ({"url": "https://x.example", "expect": ["2x"]}, "must be statuses"),
        ({"url": "https://x.example", "proxy": "socks5://p:1"}, "must be http:// or https://"),
        ({"url": "https://x.example", "headers": {"Host": "y"}}, "'Host' is not a header that can be set here"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused_when_routes_are_loaded(options: dict[str, Any], sentence: str) -> None:
    """With the option's name."""
    with pytest.raises(HandlerError) as refused:
        loaded(options)

    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("options", "data", "sentence"),
    [
        ({"url": "http://127.0.0.1/{{ data.V }}"}, "..", "a value for the url is a dot"),
        ({"url": "http://127.0.0.1/{{ data.V }}"}, "x" * 9_000, "the url is longer than"),
        ({"url": "http://127.0.0.1/", "headers": {"X": "{{ data.V }}"}}, "x" * 5_000, "header x is longer than"),
        ({"url": "http://127.0.0.1/", "body": ["{{ data.V }}"] * 20}, "x" * 90_000, "the body is larger than"),
        ({"url": "http://127.0.0.1/", "body": ["{{ data.W }}"]}, "", "there is no field 'W'"),
        ({"url": "http://127.0.0.1/", "body": ["x"], "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
         "", "the body is no form"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_of_an_event_ends_the_delivery(options: dict[str, Any], data: str, sentence: str) -> None:
    """At once: another attempt would make the same of it."""
    ended = forwarded(options, event(data={"V": data}))

    assert (ended.outcome, ended.final) == (Outcome.FAILED, True)
    assert sentence in (ended.error or "")


def test_what_would_be_sent_can_be_seen(api: Api) -> None:
    """Without who we are, and without fetching a token for it."""
    options = _oauth2(api) | {"url": api.url("/g").replace("//", "//me:pw@"), "body": {"cost": "{{ data.Cost }}"}}
    handler = loaded(options, SECRET="s3cr3t")

    assert handler.preview is not None
    shown = handler.preview(event())

    assert (shown["method"], shown["url"], shown["body"]) == ("POST", api.url("/g"), '{"cost":12.5}')
    assert shown["headers"]["authorization"] == "***"
    assert api.asked == []


def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    """Whatever `expect` says."""
    with a_target() as inner, a_target() as outer:
        outer.status, outer.headers = 307, {"Location": inner.url()}
        failed = forwarded({"url": outer.url()})
        taken: Target = inner
        succeeded = forwarded({"url": outer.url(), "expect": ["3xx"]})

    assert "answered 307; redirects are not followed" in (failed.error or "")
    assert succeeded.outcome is Outcome.SUCCEEDED
    assert taken.received == []
