"""The stack that the commands of the documents are run against: `frontdesk up --demo`, and what the pages refer to."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from receiver.storage.redis import connection
from receiver.storage.spool import reports
from receiver.storage.spool.handle import Contents
from tests.documents.pages import ROOT
from tests.support.events import entry, keep_all
from tests.support.processes import Command, Process, Ran, environment, free_port, run, wait_until

ENDLESS = {"tail", "listen", "serve", "work", "watch", "console", "simulate", "up"}
"""Commands that go on until they are stopped."""

UP = ("up", "--demo", "--receivers", "2", "--workers", "2")
"""The command that the demo itself is, as docs/operate.md shows it."""

ENDING = {"--burst", "--once", "--link"}
"""Options with which they end by themselves."""


FAILING = """
  - {name: failing, action: CommunityGroupDelete, handler: "failing:fail", retry: []}
"""
"""A route whose deliveries fail, for the examples about failures."""

FAILING_HANDLER = """
def fail(event):
    raise ValueError("nobody is at home")
"""


class Listener(BaseHTTPRequestHandler):
    """Takes whatever is posted; it keeps the header that an example is about."""

    keys: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        """Answer with the number of a payment."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.keys.append(self.headers["Idempotency-Key"] or "")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"payment": "payment-1"}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def listening() -> Iterator[int]:
    """Listen at a port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


class Demo:
    """`frontdesk up --demo` in a folder of its own, with *files* beside routes.yaml and an event that was handled.

    Somebody listens for alerts at *alert_port*; a spool is lost whenever one is to be forgotten.
    """

    def __init__(self, folder: Path, files: Mapping[str, str], alert_port: int) -> None:
        routes = (ROOT / "routes.yaml").read_text() + FAILING
        for name, text in {"routes.yaml": routes, "failing.py": FAILING_HANDLER, **files}.items():
            (folder / name).write_text(text)
        self.folder = folder
        self.settings = {
            "FRONTDESK_DATA_DIR": str(folder / "var"),
            "FRONTDESK_PORT": str(free_port()),
            "FRONTDESK_CONSOLE_PORT": str(free_port()),
            "FRONTDESK_ALERT_URLS": f"json://127.0.0.1:{alert_port}",
            "FRONTDESK_ADMIN_TOKEN": "ada=token-of-ada-0123456789",
            "TEAMS_URL": f"json://127.0.0.1:{alert_port}/teams",
            "CRM_SECRET": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0",
        }
        self.process = self.start(*UP)
        try:
            self.process.wait_for("Frontdesk is up", timeout_s=120)
            event = wait_until(self._handled, lambda: f"an event to be handled: {self.process}", timeout_s=90)
            group = self._failing()
        except BaseException:
            self.process.end()
            raise
        self.words = {
            "EVENT_ID": event,
            "GROUP_ID": group,
            "SPOOL": "lost/000",
            "REDIS_URL": connection.socket_url(folder / "var" / "valkey" / "socket"),
            "TOKEN": "token-of-ada-0123456789",
            ":8000": f":{self.settings['FRONTDESK_PORT']}",
            ":8001": f":{self.settings['FRONTDESK_CONSOLE_PORT']}",
        }

    def fill_in(self, words: list[str]) -> list[str]:
        """Return the words of a command with what the reader is to put in the place of capitals."""
        pattern = "|".join(rf"(?<!\w){re.escape(word)}\b" if word[0].isalpha() else word for word in self.words)
        return [re.sub(pattern, lambda found: self.words[found[0]], word) for word in words]

    def run(self, *arguments: str, settings: Mapping[str, str] | None = None) -> Ran:
        """Run a command that ends."""
        if "--forget" in arguments:
            self._lose_a_spool()
        return run(*arguments, settings=self.settings | dict(settings or {}), cwd=self.folder)

    def start(self, *arguments: str, **settings: str) -> Process:
        """Start a command that stays."""
        log = self.folder / f"{arguments[0]}.log"
        log.unlink(missing_ok=True)
        return Command(*arguments, log=log, environ=environment(self.settings | settings), cwd=self.folder)

    def follow(self, *arguments: str) -> None:
        """Start a command that stays, and stop it when it has said something. The demo itself runs already."""
        if arguments == UP:
            return
        elsewhere = {name: str(free_port()) for name in ("FRONTDESK_PORT", "FRONTDESK_CONSOLE_PORT")}
        process = self.start(*arguments, **elsewhere)
        try:
            process.wait_for(".")
            assert "Traceback" not in process.output
        finally:
            process.end()

    def _failing(self) -> str:
        """Let two deliveries fail; return the id of their group."""
        with connection.connect(connection.socket_url(self.folder / "var" / "valkey" / "socket")) as client:
            for record in (b'{"Id":1}', b'{"Id":2}'):
                keep_all(client, entry(record, routes=("failing",), action="CommunityGroupDelete", entity=None))

        def look() -> str | None:
            lines = self.run("failures", "--route", "failing", "--json").out.splitlines()
            return next((group["id"] for group in map(json.loads, lines) if group["dead"] > 1), None)

        return wait_until(look, "two deliveries to fail", timeout_s=90)

    def _handled(self) -> str | None:
        wanted = ["--action", "BookingCreate", "--status", "succeeded", "--limit", "1", "--json"]
        found = re.search(r'"id":"([0-9a-z]{20})"', self.run("events", *wanted).out)
        return found[1] if found else None

    def _lose_a_spool(self) -> None:
        told = json.loads(reports.value(Path("/srv/lost"), Contents(7, 700, 1), now_ms=1))
        with connection.connect(self.words["REDIS_URL"]) as client:
            client.hset("fd:spools", self.words["SPOOL"], json.dumps(told | {"reported_ms": 1}))
