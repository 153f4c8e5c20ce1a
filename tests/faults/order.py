"""Whether what happens to one record is handled in the order in which it was kept, whatever becomes of the store.

Each record has a sender of its own, which sends the next numbers when those before are answered 202: so the order of
the numbers is that of keeping, whichever receiver took them. What one sender sends at once has no order but that of the
ids that one receiver gives.
"""

import asyncio
import itertools
import json
import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from receiver.nexudus import samples
from tests.faults import blows, campaigns
from tests.faults.blows import Blow
from tests.faults.frontdesk import KEY, SECRET, Frontdesk
from tests.faults.link import Link, Mode
from tests.faults.load import ACTION, Connections, Orders, request_of
from tests.faults.stand import STARTS_WITHIN_S, Stand
from tests.processes import Process, free_port
from workers import Event

FIRST_RECORD = 700_000

_QUIET_S = 0.8
_SETTLES_WITHIN_S = 90.0


# -- handlers ---------------------------------------------------------------------------------------------------------


def follow(event: Event, *, path: str) -> None:
    """Write down what is handled, before it is."""
    line = f"{event.data['Id']} {event.data['Number']} {event.id} {int(event.superseded)}\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode("ascii"))
    finally:
        os.close(file)
    time.sleep(0.001)


@dataclass(frozen=True, slots=True)
class Handled:
    """One line of it: a record, the number of what happened to it, the event, whether a newer one was kept then."""

    record: int
    number: int
    event_id: str
    superseded: bool


def handled(file: Path) -> Iterator[Handled]:
    """Yield what was handled, as it was."""
    if file.exists():
        for line in file.read_text(encoding="ascii").splitlines():
            record, number, event_id, superseded = line.split()
            yield Handled(int(record), int(number), event_id, superseded == "1")


# -- senders ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Sent:
    """How many events of each record were answered 202, and how many answers said that they were spooled."""

    numbers: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    spooled: int = 0
    slowest_ms: float = 0.0


class Senders:
    """Send from `with` to its end, each event until it is taken; what was begun is seen through."""

    def __init__(self, ports: Sequence[int], *, records: int, at_once: int = 1, every_s: float = 0.03) -> None:
        """*at_once*: events that each of *records* senders sends together, before it waits *every_s*."""
        self.sent = Sent()
        self._orders = [Orders(port, KEY, SECRET, "", 0.0) for port in ports]
        self._connections = [Connections(port) for port in ports]
        self._records, self._at_once, self._every_s = records, at_once, every_s
        self._chance = random.Random(29)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="senders")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for record in range(self._records):
                group.create_task(self._send_of(FIRST_RECORD + record))
        for connections in self._connections:
            connections.close()

    async def _send_of(self, record: int) -> None:
        numbers = itertools.count()
        while not self._is_over.is_set():
            await asyncio.gather(*(self._see_through(record, next(numbers)) for _ in range(self._at_once)))
            self.sent.numbers[record] += self._at_once
            await asyncio.sleep(self._every_s * self._chance.uniform(0.5, 1.5))

    async def _see_through(self, record: int, number: int) -> None:
        data: dict[str, Any] = samples.record(ACTION, now=datetime.now(UTC), number=0)
        body = json.dumps([{**data, "Id": record, "Number": number}]).encode()
        while True:
            at = self._chance.randrange(len(self._orders))
            began = time.monotonic()
            try:
                async with asyncio.timeout(10.0):
                    status, answer = await self._connections[at].exchange(request_of(self._orders[at], body))
            except (OSError, EOFError, TimeoutError, ValueError):
                status, answer = 0, b""
            if status == 202:
                self.sent.slowest_ms = max(self.sent.slowest_ms, (time.monotonic() - began) * 1_000)
                self.sent.spooled += json.loads(answer)["events"][0]["status"] == "spooled"
                return
            await asyncio.sleep(0.05)


# -- the stand --------------------------------------------------------------------------------------------------------


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
                "handler": "tests.faults.order:follow",
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


# -- judgement --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged:
    """*handled*: events whose handler began; *late*: what began after a later event of its record; *missing*: events that
    were answered 202 and not handled."""

    handled: int
    late: list[Handled]
    missing: int

    def __str__(self) -> str:
        return f"{len(self.late)} of {self.handled} late, {self.missing} missing, such as {self.late[:3]}"


def judge(sent: Sent, found: Sequence[Handled], *, at_once: int, by_id: bool) -> Judged:
    """Compare the order of handling with that of keeping. *by_id*: also what was sent together, to one receiver."""
    newest: defaultdict[int, int] = defaultdict(int)
    newest_id: defaultdict[int, str] = defaultdict(str)
    late = []
    for one in found:
        is_late = one.number // at_once < newest[one.record] // at_once
        if is_late or (by_id and one.event_id < newest_id[one.record]):
            late.append(one)
        newest[one.record] = max(newest[one.record], one.number)
        newest_id[one.record] = max(newest_id[one.record], one.event_id)
    seen = {(one.record, one.number) for one in found}
    missing = sum((record, number) not in seen for record, count in sent.numbers.items() for number in range(count))
    return Judged(len(seen), late, missing)


# -- campaigns --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Campaign:
    """Blows that are struck while *records* senders send *at_once* events each; *hosts*, *processes*: of receivers."""

    name: str
    blows: Sequence[Blow]
    hosts: int = 1
    processes: int = 1
    records: int = 80
    every_s: float = 0.3

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    @property
    def at_once(self) -> int:
        """What several receivers take at once has no order."""
        return 2 if self.hosts * self.processes == 1 else 1


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a campaign, in words when something is wrong."""

    judged: Judged
    spooled: int
    wrong: list[str]


def run(one: Campaign, folder: Path) -> Result:
    """Strike each blow, let everything settle, and compare."""
    with Ordered(folder, hosts=one.hosts, receivers=one.processes) as stand:
        with Senders(stand.ports, records=one.records, at_once=one.at_once, every_s=one.every_s) as senders:
            for blow in one.blows:
                time.sleep(_QUIET_S)
                blow.strike(stand)
                time.sleep(_QUIET_S)
        settled = stand.settle(timeout_s=_SETTLES_WITHIN_S)
        judged = judge(senders.sent, list(handled(stand.notes)), at_once=one.at_once, by_id=one.at_once > 1)
        wrong = [] if settled else ["it did not settle"]
        wrong += stand.unaccounted() if settled else []
    if judged.late or judged.missing:
        wrong.append(str(judged))
    return Result(judged, senders.sent.spooled, wrong)


def cut_off(stand: Stand, host: int, mode: Mode) -> None:
    """One of several receivers cannot reach the store."""
    assert isinstance(stand, Ordered)
    link = stand.receiver_to_store if host == 0 else stand.more_hosts[host - 1].link
    link.tell(mode)
    time.sleep(blows.OUTAGE_S)
    link.tell("pass")


_CUT_OFF = tuple(
    Blow(f"receiver {host} of 2: {mode}", partial(cut_off, host=host, mode=mode))
    for host in (0, 1)
    for mode in ("stall", "refuse", "drop")
)

SHORT = (
    Campaign("pauses", (campaigns.STORE[2], campaigns.RECEIVER_TO_STORE[2])),
    Campaign("two receivers", (_CUT_OFF[0], campaigns.STORE[2], campaigns.SPOOL[0]), hosts=2),
)

LONG = (
    Campaign("receiver", (*campaigns.RECEIVER, *campaigns.SPOOL, *campaigns.RECEIVER_TO_STORE)),
    Campaign("store", (*campaigns.STORE, *campaigns.WORKER, *campaigns.STORE)),
    Campaign("two receivers", (*_CUT_OFF, *campaigns.STORE, *campaigns.RECEIVER, *campaigns.SPOOL), hosts=2),
    Campaign("two processes", (*campaigns.RECEIVERS, *campaigns.STORE, campaigns.ORPHANS), processes=2),
)
