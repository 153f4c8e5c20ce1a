"""Senders of what happens to records: each record has one, which sends the next when those before are answered 202.

So the order of the numbers is that of keeping, whichever receiver took them. What one sender sends at once has no order
but that of the ids that one receiver gives.
"""

import asyncio
import itertools
import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from receiver.nexudus import samples
from tests.faults.frontdesk import KEY, SECRET
from tests.faults.load import ACTION, Connections, Orders, request_of

FIRST_RECORD = 700_000


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
