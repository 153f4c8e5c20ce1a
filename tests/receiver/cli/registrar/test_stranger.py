"""What goes over the wire, seen by a Nexudus that is not our simulator: it keeps every request and answers as told."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from receiver.nexudus import actions
from receiver.nexudus.api.oauth import totp_code
from tests.support.processes import run

EMPTY = {"Records": [], "HasNextPage": False, "TotalItems": 0}
TOTP_SECRET = "JBSWY3DPEHPK3PXP"


class Stranger:
    """Answers what *answers* holds for a path; everything else is HTML and 500."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: dict[str, Any] = {
            "/api/token": {"access_token": "t", "token_type": "bearer", "expires_in": 60, "refresh_token": "r"},
            "/api/sys/businesses": EMPTY
            | {"Records": [{"Id": 1001, "Name": "Ünder"}, {"Id": 1002, "Name": None}], "TotalItems": 2},
            "/api/utils/enums": [{"Id": code, "Name": name} for name, code in actions.CODES.items()],
            "/api/sys/webhooks": EMPTY,
        }
        stranger = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                stranger.asked.append((self.command, self.path, headers, body))
                found = stranger.answers.get(urlsplit(self.path).path)
                sent = b"<html>Runtime Error</html>" if found is None else orjson.dumps(found)
                self.send_response(500 if found is None else 200)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 -- the names in the library

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name in the library
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def grants(self) -> list[tuple[dict[str, str], dict[str, list[str]]]]:
        """Return headers and form of every request for a token."""
        return [(headers, parse_qs(body.decode())) for _, path, headers, body in self.asked if path == "/api/token"]


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    """A well-meaning one."""
    started = Stranger()
    yield started
    started.close()


@pytest.fixture
def abroad(settings: dict[str, str], stranger: Stranger) -> dict[str, str]:
    """The settings of an operator whose account is at the stranger."""
    return settings | {"FRONTDESK_NEXUDUS_URL": f"http://127.0.0.1:{stranger.server.server_port}"}


def test_each_deployment_signs_in_as_a_client_of_its_own(abroad: dict[str, str], stranger: Stranger) -> None:
    """By form, with the code of the moment; a refresh by one ends nobody else's tokens."""
    secret = {"FRONTDESK_NEXUDUS_TOTP": TOTP_SECRET, "FRONTDESK_NEXUDUS_USERNAME": "api+1@example.com"}
    staging = {"FRONTDESK_PUBLIC_URL": "https://staging.example"}
    for more in ({}, {}, staging, {"FRONTDESK_NEXUDUS_CLIENT_ID": "mine"}):
        run("plan", settings=abroad | secret | more)

    grants = stranger.grants()
    clients = [headers["client_id"] for headers, _ in grants]
    assert {headers["content-type"] for headers, _ in grants} == {"application/x-www-form-urlencoded"}
    assert (len(clients), clients[0] == clients[1], len(set(clients)), clients[3]) == (4, True, 3, "mine")
    form = grants[0][1]
    assert {name: form[name] for name in ("grant_type", "username", "password")} == {
        "grant_type": ["password"],
        "username": ["api+1@example.com"],
        "password": ["demo"],
    }
    assert len(form["totp"][0]) == 6
    assert form["totp"][0].isdigit()
    assert form["totp"] != [totp_code(TOTP_SECRET, 0)]


def test_pages_are_asked_for_without_filter_and_order(abroad: dict[str, str], stranger: Stranger) -> None:
    """A filter may be ignored, and `dir` is documented three ways."""
    run("plan", settings=abroad)

    asked = [parse_qs(urlsplit(path).query) for _, path, _, _ in stranger.asked if path.startswith("/api/sys/webhooks")]
    assert asked == [{"page": ["1"], "size": ["500"]}]


def test_a_table_of_actions_that_disagrees_stops_everything(abroad: dict[str, str], stranger: Stranger) -> None:
    """A hook of the wrong action would bring the wrong events; one that Nexudus has beside ours does not matter."""
    table = stranger.answers["/api/utils/enums"]
    stranger.answers["/api/utils/enums"] = [*table, {"Id": 91, "Name": "RobotCreate"}]
    added = run("plan", settings=abroad)
    stranger.answers["/api/utils/enums"] = [row | {"Id": row["Id"] + (row["Name"] == "BookingUpdate")} for row in table]
    wrong = run("apply", "--yes", settings=abroad)

    assert added.status == 2
    assert wrong.status == 1
    assert "Nexudus numbers the action BookingUpdate 8, Frontdesk 7; update Frontdesk" in wrong.err
    assert not [method for method, path, _, _ in stranger.asked if method != "GET" and path != "/api/token"]


def test_a_silent_table_of_actions_is_no_reason_to_stop(abroad: dict[str, str], stranger: Stranger) -> None:
    """It is a check, when it answers."""
    del stranger.answers["/api/utils/enums"]

    assert run("plan", settings=abroad).status == 2
