"""Frontdesk with one route, of which each record's events follow one another; and receivers that share nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.faults import deeds
from tests.faults.frontdesk import KEY, SECRET, Frontdesk
from tests.faults.link import Link
from tests.faults.load import ACTION
from tests.faults.stand import STARTS_WITHIN_S
from tests.support.processes import Process, free_port
from workers import Event


def follow(event: Event, *, path: str) -> None:
    """Write down what is handled, before it is."""
    deeds.note(path, str(event.data["Id"]), event.data["Number"], f"{event.id}/{int(event.superseded)}")


@dataclass(frozen=True, slots=True)
class Handled:
    """One line of it: a record, the number of what happened to it, the event, whether a newer one was kept then."""

    record: int
    number: int
    event_id: str
    superseded: bool
    at: float


def handled(file: Path) -> Iterator[Handled]:
    """Yield what was handled, as it was."""
    for note in deeds.notes(file):
        event_id, _, superseded = note.what.partition("/")
        yield Handled(int(note.route), note.number, event_id, superseded == "1", note.at)


class Ordered(Frontdesk):
    """Frontdesk with one route, of which each record's events follow one another; *hosts*: receivers that share nothing
    but the store, each with a link of its own to it."""

    name = "frontdesk, ordered"

    def __init__(self, folder: Path, *, hosts: int = 1, **options: Any) -> None:
        super().__init__(folder, **options)
        self.more_hosts = [Host(self, number) for number in range(1, hosts)]

    def __enter__(self) -> Self:
        super().__enter__()
        for host in self.more_hosts:
            host.link = self._started(
                Link(self.folder, f"receiver-{host.number}-store", str(self._store_folder / "socket"))
            )
            host.start()
            self._stack.callback(host.end)
        return self

    def routes(self) -> list[dict[str, Any]]:
        return [
            {
                "name": "follows",
                "action": ACTION,
                "handler": "tests.faults.ordered:follow",
                "with": {"path": str(self.notes)},
                "order": "entity",
                "retry": ["300ms", "1s", "5s"],
                "timeout": "20s",
            }
        ]

    @property
    def ports(self) -> list[int]:
        """Where the receivers listen."""
        return [self._port, *(host.port for host in self.more_hosts)]


class Host:
    """One more receiver, on a disk of its own."""

    link: Link
    receiver: Process

    def __init__(self, stand: Ordered, number: int) -> None:
        self._stand = stand
        self.number = number
        self.port = free_port()
        self.data_dir = stand.folder / f"var-{number}"

    def start(self) -> None:
        """Start it, and wait until it takes events."""
        settings = {
            "FRONTDESK_REDIS_URL": f"redis://127.0.0.1:{self.link.port}/0",
            "FRONTDESK_PORT": str(self.port),
            "FRONTDESK_DATA_DIR": str(self.data_dir),
            "FRONTDESK_URL_KEYS": KEY,
            "FRONTDESK_WEBHOOK_SECRETS": SECRET,
        }
        self.receiver = self._stand._command("serve", settings=settings)
        self.receiver.wait_for_http(f"http://127.0.0.1:{self.port}/healthz", timeout_s=STARTS_WITHIN_S)

    def end(self) -> None:
        """End it, whichever process it is by now."""
        self.receiver.end()
