"""`listen` gives a program on a laptop copies of live events: signed, filtered, masked, from where it stopped."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from standardwebhooks import Webhook

from tests.receiver.console.house import ADMIN, VIEWER, House, built
from tests.support.http import Answer, request
from tests.support.processes import Command, Ran, environment, run, wait_until

SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"


class Laptop(BaseHTTPRequestHandler):
    """A program that takes what is posted; *status* is its answer, *gate* holds it back."""

    got: ClassVar[list[tuple[dict[str, str], bytes]]] = []
    status: ClassVar[int] = 200
    gate: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        """Take one."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.gate.wait(60)
        self.got.append((dict(self.headers), body))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A receiver, a worker and a console."""
    with built(tmp_path_factory.mktemp("listen")) as house:
        house.serve()
        house.start("work")
        house.console()
        yield house


@pytest.fixture
def laptop() -> Iterator[str]:
    """The URL of a program that takes everything at once."""
    Laptop.got, Laptop.status = [], 200
    Laptop.gate.set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Laptop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hooks"
        server.shutdown()


def listen(house: House, folder: Path, to: str, *words: str, token: str = ADMIN, redact: bool = False) -> Ran:
    """Run `listen --once` as somebody else's machine would."""
    name = "FRONTDESK_VIEWER_TOKEN" if redact else "FRONTDESK_ADMIN_TOKEN"
    settings = {"FRONTDESK_DATA_DIR": str(folder), name: token}
    arguments = ("listen", "--to", to, "--console", house.url, "--secret", SECRET, "--once", *words)
    return run(*arguments, *(["--redact"] if redact else []), settings=settings)


def _copies(house: House, query: str, token: str) -> Answer:
    url = house.url.removesuffix("/console")
    return request("GET", f"{url}/api/v1/copies?{query}", None, {"Authorization": f"Bearer {token}"})


def _bodies() -> list[Any]:
    return [json.loads(body) for _, body in Laptop.got]


def test_copies_are_signed_as_forward_signs_and_nothing_is_taken(house: House, laptop: str, tmp_path: Path) -> None:
    """The program checks them with the library; the event's own deliveries go on; each is shown with its answer."""
    event = house.post("BookingCreate", number=1)
    Laptop.status = 418

    ran = listen(house, tmp_path, laptop, "--since", "1h", "--action", "BookingCreate")

    assert (ran.status, ran.err) == (0, "")
    ((headers, body),) = Laptop.got
    told = Webhook(SECRET).verify(body.decode(), {name.lower(): value for name, value in headers.items()})
    assert (told["type"], told["id"], told["data"]["Id"] > 0) == ("BookingCreate", event, True)
    assert f"BookingCreate  {event}  418" in ran.out
    house.wait_for_status(event, "succeeded")
    assert house.facts("/acts")["acts"][0]["what"] == "listen"


def test_it_goes_on_where_it_stopped(house: House, laptop: str, tmp_path: Path) -> None:
    """Each event once, in the order of arrival; other ways of listening have places of their own."""
    listen(house, tmp_path, laptop)
    first = [house.post("BookingUpdate", number=number) for number in range(10, 13)]
    listen(house, tmp_path, laptop)
    second = [house.post("BookingUpdate", number=number) for number in range(20, 23)]
    listen(house, tmp_path, laptop)
    listen(house, tmp_path, laptop)

    assert [one["id"] for one in _bodies()] == first + second


def test_many_events_come_in_pages_through_every_filter(house: House, laptop: str, tmp_path: Path) -> None:
    """None is left out, none comes twice."""
    listen(house, tmp_path, laptop, "--action", "CoworkerUpdate", "--business", "1002", "--route", "everything")
    wanted = []
    for number in range(60):
        wanted.append(house.post("CoworkerUpdate", number=number, business_id=1002))
        house.post("CoworkerUpdate", number=number, business_id=1001)
    listen(house, tmp_path, laptop, "--action", "CoworkerUpdate", "--business", "1002", "--route", "everything")

    assert [one["id"] for one in _bodies()] == wanted


def test_a_viewer_gets_masked_records_and_no_others(house: House, laptop: str, tmp_path: Path) -> None:
    """And no text by any way of asking."""
    event = house.post("CoworkerCreate", json.dumps([{"Id": 5, "FullName": "Ada Lovelace"}]).encode())

    masked = listen(house, tmp_path, laptop, "--since", "1h", "--action", "CoworkerCreate", token=VIEWER, redact=True)
    refused = listen(house, tmp_path, laptop, "--since", "1h", token=VIEWER)

    assert masked.status == 0
    (told,) = [one for one in _bodies() if one["id"] == event]
    assert told["data"] == {"Id": 5, "FullName": "<12 characters>"}
    assert (refused.status, "may see only masked records" in refused.err) == (1, True)
    assert _copies(house, "text=Ada&redact=true&since=1h", VIEWER).status == 400, "it takes no text"


def test_a_token_that_is_revoked_ends_it_in_a_sentence(house: House, laptop: str, tmp_path: Path) -> None:
    """With its place kept: with another token it goes on there."""
    listen(house, tmp_path, laptop)
    event = house.post("TeamDeleted", number=1)

    revoked = listen(house, tmp_path, laptop, token="a-token-of-yesterday")
    listen(house, tmp_path, laptop)

    assert revoked.status == 1
    assert "answered 401: authorization: no valid token" in revoked.err
    assert "a-token-of-yesterday" not in revoked.err
    assert [one["id"] for one in _bodies()] == [event]


def test_a_slow_program_is_waited_for_and_holds_up_nobody_else(house: House, laptop: str, tmp_path: Path) -> None:
    """One event at a time; deliveries of the house go on meanwhile."""
    listen(house, tmp_path, laptop)
    first = house.post("TeamUpdated", number=1)
    Laptop.gate.clear()
    done: list[Ran] = []
    thread = threading.Thread(target=lambda: done.append(listen(house, tmp_path, laptop)))
    thread.start()
    second = house.post("TeamUpdated", number=2)
    house.wait_for_status(first, "succeeded")
    house.wait_for_status(second, "succeeded")
    Laptop.gate.set()
    thread.join()
    listen(house, tmp_path, laptop)

    assert done[0].status == 0
    assert [one["id"] for one in _bodies()] == [first, second]


def test_a_program_that_is_not_there_is_said(house: House, tmp_path: Path) -> None:
    """And the next event is sent all the same."""
    house.post("BookingDelete", number=1)

    ran = listen(house, tmp_path, "http://127.0.0.1:9/", "--since", "1h", "--action", "BookingDelete")

    assert ran.status == 0
    assert "not delivered: http://127.0.0.1:9 cannot be reached" in ran.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--to", "nonsense"], "--to must be http:// or https://"),
        (["--to", "http://127.0.0.1:1", "--console", "http://frontdesk.example/console"], "give an https URL"),
        (["--to", "http://127.0.0.1:1", "--console", "nonsense"], "--console: give the console's URL"),
        (["--to", "http://127.0.0.1:1", "--secret", "%%"], "--secret is not base64"),
    ],
)
def test_a_wrong_call_is_one_sentence(words: list[str], sentence: str, tmp_path: Path) -> None:
    """Before anything is asked."""
    ran = run("listen", *words, settings={"FRONTDESK_ADMIN_TOKEN": ADMIN, "FRONTDESK_DATA_DIR": str(tmp_path)})

    assert (ran.status, ran.out) == (1, "")
    assert sentence in ran.err


@pytest.mark.parametrize("cursor", ["x", "bm9uc2Vuc2U=", "WzEsIFtbMSwgMSwgIngiXV1d", "WyItMSIsIFtdXQ==", "W10="])
def test_a_hostile_cursor_is_refused(house: House, cursor: str) -> None:
    """With a sentence."""
    answer = _copies(house, f"cursor={cursor}", ADMIN)

    assert (answer.status, answer.json()["detail"]) == (400, "cursor: it is not one that this console gave")


def test_it_follows_until_it_is_stopped(house: House, laptop: str, tmp_path: Path) -> None:
    """A console that goes away is waited for; Ctrl-C ends it."""
    settings = {"FRONTDESK_DATA_DIR": str(tmp_path), "FRONTDESK_ADMIN_TOKEN": ADMIN}
    arguments = ("listen", "--to", laptop, "--console", house.url, "--secret", SECRET)
    process = Command(*arguments, log=tmp_path / "log", environ=environment(settings), cwd=tmp_path)
    try:
        process.wait_for("Ctrl-C stops it")
        wait_until(lambda: (tmp_path / "listen.json").exists(), "its place")
        event = house.post("TeamCreated", number=77)
        wait_until(lambda: event in [one["id"] for one in _bodies()], "the copy")
    finally:
        process.end()
