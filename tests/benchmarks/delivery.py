"""Deliveries a second: two worker processes and handlers that do nothing; and one process with handlers that wait.

The queue is filled first and the workers started then. What counts is the time from 15 % to 95 % of the handlers'
marks, so that neither the start nor the end of a fleet is measured; for ours, only when the last end is recorded.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import fleets
from tests.benchmarks.fleets import Fleet
from tests.benchmarks.results import Bar, Chart, Result, Row, Spread, Table
from tests.benchmarks.rounds import Rounds
from tests.benchmarks.stand import Stand, settle

WAIT_MS = 50

_GOALS = {
    fleets.RQ: 80.0,
    fleets.SIMPLE: 20.0,
    fleets.BULLMQ: 1.2,
    fleets.DRAMATIQ: 3.0,
    fleets.TASKIQ: 3.0,
    fleets.HUEY: 3.0,
    fleets.CELERY: 8.0,
}
_AT_A_TIME = "64 at a time; BullMQ 50, async def 256"
_FIRST, _LAST = 0.15, 0.95
_FEWEST = 60
_LOOK_EVERY_S = 0.005
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Drain:
    """One fleet that emptied a queue. *cpu_us*, *store_us*, *commands*: of workers and store, for each job."""

    rate: float
    cpu_us: float
    store_us: float
    commands: float


@dataclass(frozen=True, slots=True)
class _Watched:
    """Marks, and when they were seen: once the fleet was under way, and near its end."""

    first_at: float
    first: int
    last_at: float
    last: int
    used_s: float

    @property
    def rate(self) -> float:
        return (self.last - self.first) / max(self.last_at - self.first_at, _LOOK_EVERY_S)


def run(*, rounds: int, seconds: float, peers: bool = True) -> Result:
    """Handlers that do nothing, two processes; *seconds*: about how long each fleet works."""
    measured, notes = _measure(rounds, seconds, 0, peers=peers)
    found = measured.found
    rows = [
        Row(f"deliveries / {name}", "×", _ratio(found[fleets.OURS], found[name]), "at least", goal, digits=1)
        for name, goal in _GOALS.items()
        if name in found
    ]
    return Result(
        "delivery",
        f"python -m tests.benchmarks delivery --rounds {rounds} --seconds {seconds:g}",
        rows,
        [_table("Deliveries of a handler that does nothing, two processes", measured)],
        [_chart("Deliveries in a second, a handler that does nothing, two processes", measured)],
        [*notes, "Every record is kept: ours keeps the event, its delivery and each attempt; BullMQ its done jobs."],
    )


def run_waiting(*, rounds: int, seconds: float, peers: bool = True) -> Result:
    """Handlers that wait 50 ms, one process with 64 threads or coroutines (BullMQ: 50, our `async def`: 256)."""
    measured, notes = _measure(rounds, seconds, WAIT_MS, peers=peers)
    rates = Spread.of([drain.rate for drain in measured.found[fleets.OURS]])
    return Result(
        "waiting",
        f"python -m tests.benchmarks waiting --rounds {rounds} --seconds {seconds:g}",
        [Row("deliveries that wait 50 ms, one process, 64 threads", "/s", rates, "at least", 1_000, digits=0)],
        [_table("Deliveries of a handler that waits 50 ms, one process", measured)],
        [_chart(f"Deliveries in a second, a handler that waits 50 ms, one process ({_AT_A_TIME})", measured)],
        notes,
    )


def _measure(rounds: int, seconds: float, wait_ms: int, *, peers: bool) -> tuple[Rounds[Fleet, Drain], list[str]]:
    everybody = [fleet for fleet in fleets.fleets() if peers or fleet.name in (fleets.OURS, fleets.OURS_ASYNC)]
    measured: Rounds[Fleet, Drain] = Rounds(everybody, lambda fleet: fleet.name)
    with Stand(pin=False) as stand:
        measured.run(rounds, lambda fleet: drain(stand, fleet, seconds, wait_ms))
    return measured, measured.notes


def drain(stand: Stand, fleet: Fleet, seconds: float, wait_ms: int) -> Drain:
    """Fill the queue, let one fleet empty it; the guess of its speed is better afterwards."""
    guess = fleet.guess_waiting if wait_ms else fleet.guess
    number = max(_FEWEST, int(guess * seconds))
    stand.empty()
    fleet.preload(stand, number)
    settle()
    before = stand.spent()
    fleet.start(stand, wait_ms)
    try:
        patience_s = seconds * _PATIENCE + 60
        watched = _watch(stand.marks, number, timeout_s=patience_s, used=fleet.used_s)
        rate = _recorded(stand, fleet, watched, number, patience_s)
        settle()  # what has run is recorded now
        after = stand.spent()
        drained = Drain(
            rate=rate,
            cpu_us=watched.used_s / max(watched.last - watched.first, 1) * 1e6,
            store_us=(after.cpu_s - before.cpu_s) / number * 1e6,
            commands=(after.commands - before.commands) / number,
        )
    finally:
        fleet.stop()
    if wait_ms:
        fleet.guess_waiting = drained.rate
    else:
        fleet.guess = drained.rate
    return drained


def rate_of(marks: Path, number: int, *, timeout_s: float) -> float:
    """Watch the file of marks until *number* are there; return how many came in a second, start and end left out."""
    return _watch(marks, number, timeout_s=timeout_s).rate


def _watch(marks: Path, number: int, *, timeout_s: float, used: Callable[[], float] = lambda: 0.0) -> _Watched:
    """*used* returns how much processor time the fleet has had until now."""
    deadline, first, before = time.monotonic() + timeout_s, (0.0, 0), 0.0
    while True:
        now, seen = time.monotonic(), marks.stat().st_size // 32
        if not first[1] and seen >= number * _FIRST:
            first, before = (now, seen), used()
        if seen >= number * _LAST:
            break
        assert now < deadline, f"{seen} of {number} jobs started within {timeout_s:.0f} s"
        time.sleep(_LOOK_EVERY_S)
    spent = used() - before
    while marks.stat().st_size // 32 < number and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
    return _Watched(*first, now, seen, spent)


def _recorded(stand: Stand, fleet: Fleet, watched: _Watched, number: int, timeout_s: float) -> float:
    """The rate, or what it comes to when the last end was recorded, if that is less."""
    if fleet.unrecorded is None:
        return watched.rate
    deadline = time.monotonic() + timeout_s
    while left := fleet.unrecorded(stand):
        assert time.monotonic() < deadline, f"the ends of {left} jobs are not recorded"
        time.sleep(_LOOK_EVERY_S)
    took = time.monotonic() - watched.first_at
    return min(watched.rate, (number - watched.first) / max(took, _LOOK_EVERY_S))


def _ratio(ours: list[Drain], theirs: list[Drain]) -> Spread:
    return Spread.ratio([drain.rate for drain in ours], [drain.rate for drain in theirs])


def _chart(title: str, measured: Rounds[Fleet, Drain]) -> Chart:
    return Chart(
        title,
        "deliveries/s",
        [Bar(name, Spread.of([drain.rate for drain in drains])) for name, drains in measured.present()],
    )


def _table(title: str, measured: Rounds[Fleet, Drain]) -> Table:
    ours, lines = measured.found[fleets.OURS], []
    for name, drains in measured.present():
        rates = Spread.of([drain.rate for drain in drains])
        lines.append(
            (
                name,
                rates.text(0),
                _ratio(ours, drains).text(1),
                f"{Spread.of([drain.cpu_us for drain in drains]).median:,.0f}",
                f"{Spread.of([drain.store_us for drain in drains]).median:,.0f}",
                f"{Spread.of([drain.commands for drain in drains]).median:.1f}",
            )
        )
    columns = (
        "workers",
        "deliveries/s",
        "Frontdesk is × as fast",
        "CPU µs",
        "store CPU µs",
        "commands",
    )
    return Table(title, columns, lines)
