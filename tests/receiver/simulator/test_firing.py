"""Events happen at the simulator and reach the registered hooks as Nexudus would send them."""

import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest

from receiver.nexudus import actions, samples, signature
from receiver.nexudus.api.webhooks import Webhooks
from tests.conftest import StartFrontdesk
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import wait_until


class Catcher:
    """A server that keeps what it is sent and answers with *status*."""

    def __init__(self) -> None:
        self.status = 202
        self.caught: list[tuple[str, dict[str, str], bytes]] = []
        catcher = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                catcher.caught.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(catcher.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name in the library
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    """A server that takes everything."""
    started = Catcher()
    yield started
    started.close()


def _register(nexudus: SimulatedNexudus, url: str, *, business: int = 1001, codes: Iterable[int] = (6,)) -> list[int]:
    with nexudus.client() as client:
        record = {"BusinessId": business, "Name": "n", "URL": url, "Active": True}
        numbers = [Webhooks(client).create(record | {"Action": code}) for code in codes]
    return [number for number in numbers if number is not None]


def test_an_event_is_one_signed_record_of_the_right_kind(nexudus: SimulatedNexudus, catcher: Catcher) -> None:
    """An array of one; signed the .NET way with the business's own secret; each event with its own Id."""
    _register(nexudus, f"{catcher.url}/one")
    _register(nexudus, f"{catcher.url}/two", business=1002)

    assert nexudus.fire(1001, "BookingCreate", 2) == 2
    assert nexudus.fire(1002, "BookingCreate") == 1
    wait_until(lambda: len(catcher.caught) == 3, "three events")

    secrets = {"/one": "s3cr3t", "/two": "other"}
    for path, headers, body in catcher.caught:
        given = headers["x-nexudus-hook-signature"]
        assert given == signature.sign(body, secrets[path])
        assert signature.verify(body, given, [secrets[path]])
        assert headers["content-type"].startswith("application/json")
        assert "ResourceName" in orjson.loads(body)[0]
    assert len({orjson.loads(body)[0]["Id"] for _, _, body in catcher.caught}) == 3


def test_it_signs_in_the_reading_that_is_set(frontdesk: StartFrontdesk, catcher: Catcher) -> None:
    """As whoever verifies it expects: a receiver with the same settings takes what it sends."""
    settings = {"FRONTDESK_WEBHOOK_SECRETS": "s3cr3t", "FRONTDESK_SIGNATURE_READING": "raw"}
    nexudus = SimulatedNexudus(frontdesk("simulate", "--port", "0", "--rate", "0", settings=settings))
    _register(nexudus, catcher.url)

    nexudus.fire(1001, "BookingCreate", 20)
    wait_until(lambda: len(catcher.caught) == 20, "the events")

    nexudus.close()
    foreign = [(body, headers) for _, headers, body in catcher.caught if not body.isascii()]
    assert foreign
    for body, headers in foreign:
        assert signature.verify(body, headers["x-nexudus-hook-signature"], ["s3cr3t"]) == "raw"


def test_every_action_can_happen(nexudus: SimulatedNexudus, catcher: Catcher) -> None:
    """All 89, and the list of what happened has each post."""
    for code in range(2, 91):
        _register(nexudus, f"{catcher.url}/{code}", codes=[code])

    posts = sum(nexudus.fire(1001, action) for action in samples.names())
    wait_until(lambda: len(catcher.caught) == posts, "as many events as posts")

    happened = [(f"/{actions.CODES[one['action']]}", one["Id"], one["posts"]) for one in nexudus.happened()]
    assert sorted(happened) == sorted((path, orjson.loads(body)[0]["Id"], 1) for path, _, body in catcher.caught)
    assert {path for path, _, _ in happened} == {f"/{code}" for code in range(2, 91)}


def test_ten_failures_in_a_row_disable_a_hook(nexudus: SimulatedNexudus, catcher: Catcher) -> None:
    """One poison event suffices: its retries are strikes too. What happens while it is inactive is lost."""
    (number,) = _register(nexudus, catcher.url)
    catcher.status = 500

    nexudus.fire(1001, "BookingCreate")
    record = wait_until(
        lambda: next(h for h in nexudus.hooks() if not h["Active"]) if _off(nexudus) else None, "strike"
    )

    assert (record["Id"], record["ErrorCount"], len(catcher.caught)) == (number, 10, 10)
    assert "(500)" in record["LastError"]
    assert record["LastTrigger"] is None
    assert nexudus.fire(1001, "BookingCreate") == 0
    assert [one["posts"] for one in nexudus.happened()] == [1, 0]


def _off(nexudus: SimulatedNexudus) -> bool:
    return any(not hook["Active"] for hook in nexudus.hooks())


def test_a_success_starts_the_count_afresh(nexudus: SimulatedNexudus, catcher: Catcher) -> None:
    """A failed delivery is repeated until it is taken."""
    _register(nexudus, catcher.url)
    catcher.status = 503
    nexudus.fire(1001, "BookingCreate")
    wait_until(lambda: len(catcher.caught) >= 2, "two strikes")
    catcher.status = 200

    wait_until(lambda: nexudus.state()["deliveries"]["delivered"] == 1, "the delivery")

    (record,) = nexudus.hooks()
    assert (record["ErrorCount"], record["Active"]) == (0, True)
    assert record["LastTrigger"]
    assert len({body for _, _, body in catcher.caught}) == 1, "every attempt sends the same bytes"


def test_events_happen_by_themselves(nexudus: SimulatedNexudus, catcher: Catcher) -> None:
    """At a rate, only where somebody listens."""
    _register(nexudus, catcher.url)
    nexudus.turn(events_per_second=100)

    wait_until(lambda: len(catcher.caught) >= 5, "five events")
