"""Every command in README.md is run, against a stack like the one it tells of."""

import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.support.handled import an_event
from tests.support.processes import Process, command, environment, free_port, run, wait_until
from workers.records import Coworker, CoworkerInvoice

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
ENDLESS = {"tail", "serve", "work", "watch", "console"}
"""Commands that go on until they are stopped."""


class Demo:
    """`frontdesk up --demo` in a folder of its own, with an event that has been handled."""

    def __init__(self, folder: Path) -> None:
        (folder / "routes.yaml").write_text((ROOT / "routes.yaml").read_text())
        self.folder = folder
        self.settings = {
            "FRONTDESK_DATA_DIR": str(folder / "var"),
            "FRONTDESK_PORT": str(free_port()),
            "FRONTDESK_CONSOLE_PORT": str(free_port()),
        }
        self.process = self.start("up", "--demo")
        self.process.wait_for("Frontdesk is up")
        self.event_id = wait_until(self._handled, lambda: f"an event to be handled: {self.process}", timeout_s=60)

    def start(self, *arguments: str, **settings: str) -> Process:
        """Start a command that stays."""
        log = self.folder / f"{arguments[0]}.log"
        return Process(command(*arguments), log=log, environ=environment(self.settings | settings), cwd=self.folder)

    def _handled(self) -> str | None:
        wanted = ["--action", "BookingCreate", "--status", "succeeded", "--limit", "1", "--json"]
        found = re.search(r'"id":"([0-9a-z]{20})"', run("events", *wanted, settings=self.settings).out)
        return found[1] if found else None


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for all commands."""
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    assert running.process.stop() == 0


@pytest.mark.parametrize("line", COMMANDS)
def test_the_command_does_what_the_readme_says(line: str, demo: Demo) -> None:
    """It ends with 0, or goes on until it is stopped; nothing prints a traceback."""
    program, *arguments = shlex.split(line.replace("EVENT_ID", demo.event_id))
    if program == "make":
        planned = subprocess.run(["make", "-n", "-C", ROOT, *arguments], capture_output=True, text=True, check=True)
        assert "frontdesk up --demo" in planned.stdout
    elif program == "rq":
        url = f"unix://{demo.folder}/var/valkey/socket"
        argv = [sys.executable, "-m", "rq.cli", *[url if word == "REDIS_URL" else word for word in arguments]]
        shown = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
        assert "default" in shown.stdout
    elif arguments[0] in ENDLESS and "--link" not in arguments:
        process = demo.start(*arguments, FRONTDESK_PORT=str(free_port()), FRONTDESK_CONSOLE_PORT=str(free_port()))
        try:
            process.wait_for(".")
            assert "Traceback" not in process.output
        finally:
            process.end()
    else:
        ran = run(*arguments, settings=demo.settings, cwd=demo.folder)
        assert ran.status == 0 or (arguments[0] == "plan" and ran.status == 2), ran
        assert "Traceback" not in ran.out + ran.err


def test_the_handler_of_the_readme_works(tmp_path: Path) -> None:
    """The example is taken as it stands, and loaded by a route that checks."""
    (tmp_path / "announcements.py").write_text(EXAMPLES[0])
    (tmp_path / "routes.yaml").write_text(
        "routes: [{action: BookingCreate, handler: 'announcements:announce', with: {webhook_url: 'http://x.example'}}]"
    )

    ran = run("check", cwd=tmp_path)

    assert ran.status == 0, ran
    (tmp_path / "routes.yaml").write_text("routes: [{action: BookingCreate, handler: 'announcements:announce'}]")
    assert "webhook_url" in run("check", cwd=tmp_path).err


class Bank(BaseHTTPRequestHandler):
    """Takes the money, and writes down by which key."""

    keys: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        """Answer with the number of the payment."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.keys.append(self.headers["Idempotency-Key"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"payment": "payment-1"}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Known:
    """A Nexudus that knows one customer."""

    def get(self, kind: type[Coworker], number: int) -> Coworker:
        """Return the customer."""
        return kind(Id=number, Email="ada@example.com")


def test_the_invoice_of_the_readme_is_charged_once(tmp_path: Path) -> None:
    """The second example as it stands: it checks, and of two attempts one calls the bank."""
    (tmp_path / "billing.py").write_text(EXAMPLES[1])
    (tmp_path / "routes.yaml").write_text(
        "routes: [{action: CoworkerInvoiceCreate, handler: 'billing:charge', with: {bank_url: 'http://x.example'}}]"
    )
    namespace: dict[str, Any] = {}
    exec(EXAMPLES[1], namespace)
    record = CoworkerInvoice(Id=5, CoworkerId=7, TotalAmount=Decimal("12.5"))
    event = an_event(id="readme", key="readme-charge", data=record)

    ran = run("check", settings={"FRONTDESK_NEXUDUS_TOKEN": "t"}, cwd=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), Bank) as bank:
        threading.Thread(target=bank.serve_forever, daemon=True).start()
        for _ in range(2):
            namespace["charge"](event, nexudus=Known(), bank_url=f"http://127.0.0.1:{bank.server_port}")
        bank.shutdown()

    assert ran.status == 0, ran
    assert Bank.keys == ["readme-charge-charge"]


def test_the_routes_of_the_readme_are_right(tmp_path: Path) -> None:
    """The example of routes.yaml passes `check`."""
    (routes,) = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "routes.yaml").write_text(routes)

    ran = run("check", settings={"CRM_SECRET": "whsec_" + "c2VjcmV0" * 4}, cwd=tmp_path)

    assert ran.status == 0, ran


def test_the_readme_is_short_enough_to_be_read() -> None:
    """Two hundred lines, and the table that the benchmarks write."""
    written = re.sub(
        r"^<!-- benchmarks: begin -->.*^<!-- benchmarks: end -->", "", README, flags=re.MULTILINE | re.DOTALL
    )

    assert len(written.splitlines()) <= 200
