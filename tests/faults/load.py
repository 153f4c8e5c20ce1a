"""Nexudus as far as it matters here: numbered events at a steady rate, each sent again until it is taken.

One process: `python -m tests.faults.load ORDERS`, ended in order by SIGTERM: no new events, those begun are seen
through. What is not answered, or not with 2xx, is sent again under the same body, by one schedule with some chance in
it. One number in *echo_every* is sent again although it was answered, as if the answer had been lost. Every try is a
line of JSON in the file of answers.
"""

import asyncio
import json
import random
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from receiver.nexudus import hook_urls, samples, signature

ACTION = "BookingCreate"
BUSINESS = 1001

_PAUSES_S = (0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0)
"""Between tries: ten retries and one, as Nexudus's; how long it really waits nobody outside knows."""

_ECHO_AFTER_S = 2.0
_MOST_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Orders:
    """Where to send, how fast, and where to write down the answers. *secret* empty: unsigned. *echo_every* 0: never."""

    port: int
    key: str
    secret: str
    answers: str
    rate: float
    echo_every: int = 0
    timeout_s: float = 10.0

    def argument(self) -> str:
        """The orders as one command line argument."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Answer:
    """What one try brought: *status* 0 when nobody answered, and then *error* says how. Times: Unix seconds, ms."""

    number: int
    attempt: int
    at: float
    ms: float
    status: int
    event_id: str = ""
    verdict: str = ""
    error: str = ""
    echo: bool = False


def read(file: Path) -> Iterator[Answer]:
    """Yield every try that is written down so far."""
    if file.exists():
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield Answer(**json.loads(line))


def first_number() -> int:
    """Return the `Id` of the first event; each further one's is one more."""
    number: int = samples.record(ACTION, now=samples.WRITTEN, number=0)["Id"]
    return number


class Connections:
    """Connections that are kept open between requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a request, return status and body of its answer. A connection that failed is not used again."""
        while self._idle and (self._idle[0][0].at_eof() or self._idle[0][1].is_closing()):
            self._idle.popleft()[1].close()
        reader, writer = self._idle.popleft() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(request)
            await writer.drain()
            status, body, stays_open = await _answer(reader)
        except BaseException:
            writer.close()
            raise
        if stays_open:
            self._idle.append((reader, writer))
        else:
            writer.close()
        return status, body

    def close(self) -> None:
        """Close those that are idle."""
        for _, writer in self._idle:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
    body = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), body, headers.get("connection") != "close"


class Sender:
    """Sends until told to stop, then sees through what it has begun."""

    def __init__(self, orders: Orders, answers: IO[str]) -> None:
        self._orders = orders
        self._answers = answers
        self._connections = Connections(orders.port)
        self._first = first_number()
        self._stop = asyncio.Event()
        self._chance = random.Random(self._first)

    async def run(self) -> None:
        """Send each number at its time, whatever became of those before."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        began, number = time.monotonic(), 0
        places = asyncio.Semaphore(_MOST_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while not self._stop.is_set():
                await places.acquire()
                group.create_task(self._see_through(number)).add_done_callback(lambda _: places.release())
                number += 1
                with suppress(TimeoutError):
                    wait = began + number / self._orders.rate - time.monotonic()
                    await asyncio.wait_for(self._stop.wait(), max(wait, 0.0))
        self._connections.close()

    async def _see_through(self, number: int) -> None:
        body = samples.body(ACTION, now=datetime.now(UTC), number=number)
        request = request_of(self._orders, body)
        for attempt, pause in enumerate((*_PAUSES_S, 0.0), start=1):
            if await self._try(number, attempt, request):
                break
            await asyncio.sleep(pause * self._chance.uniform(0.7, 1.3))
        if self._orders.echo_every and number % self._orders.echo_every == 0:
            await asyncio.sleep(self._chance.uniform(0.0, _ECHO_AFTER_S))
            await self._try(number, 1, request, echo=True)

    async def _try(self, number: int, attempt: int, request: bytes, *, echo: bool = False) -> bool:
        status, event_id, verdict, error = 0, "", "", ""
        at, began = time.time(), time.monotonic()
        try:
            async with asyncio.timeout(self._orders.timeout_s):
                status, body = await self._connections.exchange(request)
            if status == 202:
                (event,) = json.loads(body)["events"]
                event_id, verdict = event["id"], event["status"]
        except (OSError, EOFError, TimeoutError, ValueError) as problem:
            error = type(problem).__name__
        ms = (time.monotonic() - began) * 1_000
        answer = Answer(self._first + number, attempt, at, round(ms, 2), status, event_id, verdict, error, echo)
        self._answers.write(json.dumps(asdict(answer)) + "\n")
        self._answers.flush()
        return 200 <= status < 300


def request_of(orders: Orders, body: bytes) -> bytes:
    """Return the request that carries a body to the hook."""
    signed = f"{signature.HEADER}: {signature.sign(body, orders.secret)}\r\n" if orders.secret else ""
    head = (
        f"POST {hook_urls.path(orders.key, BUSINESS, ACTION)} HTTP/1.1\r\nHost: 127.0.0.1:{orders.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{signed}\r\n"
    )
    return head.encode("ascii") + body


def main(argument: str) -> None:
    """Follow the orders."""
    orders = Orders(**json.loads(argument))
    with Path(orders.answers).open("a", encoding="utf-8") as answers:
        asyncio.run(Sender(orders, answers).run())


if __name__ == "__main__":
    main(sys.argv[1])
