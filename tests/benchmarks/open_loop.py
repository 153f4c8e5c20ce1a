"""How long a request takes at a steady rate, beside bare Starlette; and how long others wait while a stranger pours.

Open loop: requests are sent at their times whatever became of those before, and their time counts from when they were
due. So a receiver that stalls is charged for everybody who had to wait meanwhile.
"""

import multiprocessing
import socket
import sys
import threading
import time
from dataclasses import dataclass

from tests.benchmarks import cores, receivers
from tests.benchmarks.receivers import Receiver, Running
from tests.benchmarks.results import Result, Row, Spread, Table
from tests.benchmarks.rounds import Rounds, say
from tests.benchmarks.stand import Stand, settle

_RATES = (300, 2_000)
_POURED = 30_000
_ASK_EVERY_S = 0.005
_COLUMNS = (("p50", 2), ("p99", 2), ("cpu_us", 0))
_HOW = (
    "Open loop; bodies of 1.5 KB, each with its own Id and signature. The receiver has one core, the store and the "
    f"load generator the other. The stranger pipelines {_POURED:,} requests under a wrong token on one connection."
)


@dataclass(frozen=True, slots=True)
class Window:
    """One receiver at one rate. Times in ms; *cpu_us* for each request."""

    p50: float
    p99: float
    cpu_us: float


def run(*, rounds: int, seconds: float) -> Result:
    """Measure; *seconds* for each rate."""
    rates = {
        rate: Rounds[Receiver, Window]([receivers.FRONTDESK, receivers.YARDSTICK], lambda each: each.name)
        for rate in _RATES
    }
    with Stand() as stand:
        both = (receivers.FRONTDESK, receivers.YARDSTICK)
        running = {each.name: receivers.start(stand, each, core=cores.server_core()) for each in both}
        settle(1.0)
        for each in running.values():
            stand.load(stand.orders(each.port, each.receiver.path, seconds=1.0, connections=32))
        for rate, measured in rates.items():
            say(f"  {rate:,} requests a second")
            measured.run(rounds, lambda each, rate=rate: _window(stand, running[each.name], rate, seconds))  # type: ignore[misc]
        waited = [_waited(running[receivers.OURS]) for _ in range(rounds)]
    rows = [
        Row(f"p99 at {rate:,} requests/s, open loop / bare Starlette's", "×", _ratio(measured), "at most", 1.25)
        for rate, measured in rates.items()
        if {receivers.OURS, receivers.BARE} <= measured.found.keys()  # a busy machine may not carry a rate
    ]
    rows.append(
        Row(f"longest wait while a stranger pipelines {_POURED:,} requests", "ms", Spread.of(waited), "at most", 50, 1)
    )
    command = f"python -m tests.benchmarks open-loop --rounds {rounds} --seconds {seconds:g}"
    left_out = [f"{rate:,} requests/s: {note}" for rate, measured in rates.items() for note in measured.notes]
    return Result("open-loop", command, rows, [_table(rates)], notes=[*left_out, _HOW])


def _window(stand: Stand, one: Running, rate: int, seconds: float) -> Window:
    stand.empty()
    settle()
    used = cores.seconds_of(one.process.pid)
    load = stand.load(stand.orders(one.port, one.receiver.path, seconds=seconds, rate=float(rate)))
    used = cores.seconds_of(one.process.pid) - used
    assert load.accepted == load.sent, f"{load.sent} sent, answered {load.statuses}"
    return Window(load.p50, load.p99, used / load.sent * 1e6)


def _waited(one: Running) -> float:
    """Return the longest that anybody else waited, in ms, until the stranger has all answers."""
    stranger = multiprocessing.get_context("spawn").Process(target=pour, args=(one.port,))
    longest = 0.0
    with cores.pinned(cores.other_core()), socket.create_connection(("127.0.0.1", one.port), timeout=60) as asker:
        stranger.start()
        while stranger.is_alive():
            began = time.perf_counter()
            asker.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert asker.recv(65_536).startswith(b"HTTP/1.1 200 ")
            longest = max(longest, time.perf_counter() - began)
            time.sleep(_ASK_EVERY_S)
    assert stranger.exitcode == 0, "the stranger was not answered"
    return longest * 1_000


def pour(port: int) -> None:
    """Be the stranger: send all requests at once, and read all answers."""
    request = f"GET /hooks/1/A/{'x' * 32} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    line, rest, missing = b"HTTP/1.1 404", b"", _POURED
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        threading.Thread(target=connection.sendall, args=(request * _POURED,), daemon=True).start()
        while missing and (read := connection.recv(262_144)):
            rest += read
            missing -= rest.count(line)
            rest = rest[-len(line) + 1 :]
    sys.exit(missing)


def _ratio(measured: Rounds[Receiver, Window]) -> Spread:
    ours, bare = measured.found[receivers.OURS], measured.found[receivers.BARE]
    return Spread.ratio([one.p99 for one in ours], [one.p99 for one in bare])


def _table(rates: dict[int, Rounds[Receiver, Window]]) -> Table:
    lines = [
        (
            f"{rate:,}",
            name,
            *(_shown(windows, what, digits) for what, digits in _COLUMNS),
        )
        for rate, measured in rates.items()
        for name, windows in measured.present()
    ]
    return Table("Open loop", ("requests/s", "receiver", "p50 ms", "p99 ms", "CPU µs"), lines)


def _shown(windows: list[Window], what: str, digits: int) -> str:
    return Spread.of([getattr(one, what) for one in windows]).text(digits)
