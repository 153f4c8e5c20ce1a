"""The load generator: one process, plain sockets, every request under an `Id` of its own.

`python -m tests.benchmarks.generator ORDERS` sends as told and prints what it measured as one line of JSON. Closed
loop: so many connections, each sends its next request when the answer to its last has been read. Open loop (`rate`):
requests are sent at their times whatever became of those before, and their time counts from when they were due.

It says how busy it was itself: near 1.0, it is the generator that was measured. `ceiling` in the table of ingest shows
how many requests it can drive.
"""

import json
import os
import select
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.benchmarks import records

_MOST_CONNECTIONS = 2_000
_LINGER_S = 30.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What to send where. *first*: the first `Id`. *count* 0: no limit. *rate* 0: closed loop.

    *trace*: a file for one line for each request: `Id`, sent and answered in ns of the monotonic clock.
    """

    port: int
    path: str
    secret: str
    first: int
    seconds: float = 2.0
    connections: int = 32
    rate: float = 0.0
    count: int = 0
    size: int = records.SIZE
    core: int | None = None
    trace: str = ""

    def argument(self) -> str:
        """The orders as one command line argument."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured. *statuses*: answers by status, `0` for none. Times in ms. *busy*: share of a core we used.

    *rate*: answers 202 within the time in which requests were sent, per second.
    """

    sent: int
    statuses: dict[str, int]
    rate: float
    p50: float
    p99: float
    slowest: float
    busy: float

    @property
    def accepted(self) -> int:
        """Answers 202."""
        return self.statuses.get("202", 0)


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    number: int = 0
    since: int = 0
    buffer: bytes = field(default=b"")


class Generator:
    """One run."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._make: Callable[[int], bytes] = records.requests(orders.path, orders.port, orders.secret, orders.size)
        self._poll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._idle: deque[_Connection] = deque()
        self._sent = 0
        self._in_time = 0
        self._statuses: Counter[int] = Counter()
        self._took: list[int] = []
        self._trace: list[bytes] = []
        self._end = 0

    def run(self) -> Load:
        """Send until the time is over, then wait for the answers that are owed."""
        orders = self._orders
        began, used = time.monotonic_ns(), time.process_time()
        self._end = began + int(orders.seconds * 1e9)
        if orders.rate:
            self._open_loop(began)
        else:
            for _ in range(orders.connections):
                self._send(self._connect(), time.monotonic_ns())
            while time.monotonic_ns() < self._end and self._has_more():
                self._read(0.1)
        now = time.monotonic_ns()
        wall, used = (now - began) / 1e9, time.process_time() - used
        self._drain()
        if orders.trace:
            Path(orders.trace).write_bytes(b"".join(self._trace))
        took = sorted(self._took) or [0]
        return Load(
            sent=self._sent,
            statuses={str(status): number for status, number in sorted(self._statuses.items())},
            rate=self._in_time / wall,
            p50=took[len(took) // 2] / 1e6,
            p99=took[int(len(took) * 0.99)] / 1e6,
            slowest=took[-1] / 1e6,
            busy=used / wall,
        )

    def _open_loop(self, began: int) -> None:
        gap = 1e9 / self._orders.rate
        while self._has_more():
            due = began + int(self._sent * gap)
            if due >= self._end:
                return
            now = time.monotonic_ns()
            if now < due:
                self._read(min((due - now) / 1e9, 0.1))
            elif self._idle or len(self._connections) < _MOST_CONNECTIONS:
                self._send(self._idle.popleft() if self._idle else self._connect(), due)
            else:
                self._read(0.01)

    def _has_more(self) -> bool:
        return not self._orders.count or self._sent < self._orders.count

    def _drain(self) -> None:
        """Wait for what is owed; the rest counts as not answered."""
        deadline = time.monotonic() + _LINGER_S
        while len(self._idle) < len(self._connections) and time.monotonic() < deadline:
            self._read(0.1)
        self._statuses[0] += len(self._connections) - len(self._idle)
        self._statuses += Counter()  # drops what is zero

    def _connect(self) -> _Connection:
        connection = _Connection(socket.create_connection(("127.0.0.1", self._orders.port), timeout=10))
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, select.EPOLLIN)
        return connection

    def _send(self, connection: _Connection, since: int) -> None:
        connection.number, connection.since = self._orders.first + self._sent, since
        self._sent += 1
        connection.socket.sendall(self._make(connection.number))

    def _read(self, timeout_s: float) -> None:
        for descriptor, _ in self._poll.poll(timeout_s):
            connection = self._connections[descriptor]
            try:
                read = connection.socket.recv(65_536)
            except OSError:
                read = b""
            if not read:
                self._lost(connection)
                continue
            connection.buffer += read
            status = _status(connection.buffer)
            if status is not None:
                self._answered(connection, status)

    def _answered(self, connection: _Connection, status: int) -> None:
        now = time.monotonic_ns()
        connection.buffer = b""
        self._statuses[status] += 1
        self._took.append(now - connection.since)
        if self._orders.trace:
            self._trace.append(b"%d %d %d\n" % (connection.number, connection.since, now))
        in_time = now < self._end
        self._in_time += in_time and status == 202
        if in_time and not self._orders.rate and self._has_more():
            self._send(connection, now)
        else:
            self._idle.append(connection)

    def _lost(self, connection: _Connection) -> None:
        """The other side hung up; go on with another connection."""
        self._statuses[0] += 1
        self._poll.unregister(connection.socket)
        del self._connections[connection.socket.fileno()]
        connection.socket.close()
        if time.monotonic_ns() < self._end and not self._orders.rate and self._has_more():
            self._send(self._connect(), time.monotonic_ns())


def _status(answer: bytes) -> int | None:
    """Return the status of an answer, None while it is not complete."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = answer[:end].lower()
    at = head.find(b"content-length: ")
    if at >= 0:
        length = int(head[at + 16 : at + 26].split(b"\r", 1)[0])
        complete = len(answer) >= end + 4 + length
    else:
        complete = b"transfer-encoding" not in head or answer.endswith(b"0\r\n\r\n")
    return int(answer[9:12]) if complete else None


def main(argument: str) -> None:
    """Follow the orders."""
    orders = Orders(**json.loads(argument))
    if orders.core is not None:
        os.sched_setaffinity(0, {orders.core})
    print(json.dumps(asdict(Generator(orders).run())))


if __name__ == "__main__":
    main(sys.argv[1])
