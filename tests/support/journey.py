"""The stack of the main job: routes of every kind, and handlers that write down what they were given."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.conftest import StartFrontdesk
from tests.support.processes import Process, run, wait_until
from tests.support.stack import Stack

ROUTES = """
queues: [doors, default]
routes:
  - name: everything
    action: "*"
    handler: seen:note
  - name: paid
    action: [BookingCreate, BookingUpdate]
    where: data.Online == true && data.AvailableCredit < 1.0e9
    handler: seen:note
    queue: doors
  - name: never
    action: CoworkerInvoice*
    where: data.NoSuchField == 1
    handler: seen:note
  - name: broken
    action: TeamCreated
    handler: seen:fail
    retry: [100ms]
"""

HANDLERS = """
import json, os
from pathlib import Path
from workers import Event

def note(event: Event) -> None:
    line = {"id": event.id, "action": event.action, "code": event.action_code, "origin": event.origin, "key": event.key}
    fd = os.open(Path(__file__).with_name("seen.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, (json.dumps(line) + "\\n").encode())

def fail(event: Event) -> None:
    if not Path(__file__).with_name("mended").exists():
        raise RuntimeError("the lights are out")
    note(event)
"""


class Journey(Stack):
    """A receiver and workers on a store of their own."""

    def __init__(self, folder: Path, redis_url: str, start: StartFrontdesk) -> None:
        super().__init__(folder, redis_url, routes=ROUTES, handlers=HANDLERS, key="a-key-of-the-journey", secret="hush")
        self._start = start

    def start(self, *arguments: str) -> Process:
        """Start a command that stays."""
        return self._start(*arguments, settings=self.settings, cwd=self.folder)

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a command and read the JSON objects it prints."""
        ran = run(*arguments, "--json", settings=self.settings, cwd=self.folder)
        assert ran.status == 0, ran
        return [json.loads(line) for line in ran.out.splitlines()]

    def post(self, action: str, number: int = 1) -> int:
        """Post one signed sample as Nexudus does; return the status."""
        return self.posted(action, number=number).status

    def ended(self, number: int) -> list[dict[str, Any]]:
        """Wait until so many events are kept and none is in flight any more; return them."""

        def look() -> list[dict[str, Any]] | None:
            events = self.lines("events")
            over = len(events) == number and all(event["status"] != "in_flight" for event in events)
            return events if over else None

        return wait_until(look, lambda: f"{number} events to end: {Counter(e['status'] for e in self.lines('events'))}")

    def seen(self) -> list[dict[str, Any]]:
        """What the handlers wrote down."""
        file = self.folder / "seen.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
