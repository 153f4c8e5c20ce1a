"""A store that is full, a routing table that is long: the same work as with an empty store and with one route.

Two stands side by side, one of each kind, measured in turn; what is told is the ratio of neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import cores, delivery, ours, receivers
from tests.benchmarks.receivers import Receiver, Running
from tests.benchmarks.results import Result, Row, Spread, Table
from tests.benchmarks.rounds import say
from tests.benchmarks.stand import Stand, settle

_BATCH = 20_000
"""Deliveries that are run for one measurement of the workers out of a full store."""

_LONG_BATCH = 80_000
"""The same for the long table: several seconds, so that reading it when they start is not all that is measured."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two that are compared: a stand, its routes and its receiver. *fills*: its queue has to be filled for each
    round; else it holds more than can be run."""

    stand: Stand
    file: Path
    running: Running
    fills: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """One side under load for a while: events a second, and processor time for each."""

    rate: float
    receiver_us: float
    store_us: float


def run_backlog(*, rounds: int, seconds: float, events: int) -> Result:
    """A store with so many queued events beside an empty one."""
    with Stand() as empty, Stand() as full:
        sides = (_side(empty), _side(full, fills=False))
        say(f"  filling a store with {events:,} events")
        full.empty()
        empty.empty()
        ours.preload(full, events)
        before = full.client.llen(ours.QUEUE)
        taken, used = _compare_ingest(sides, rounds, seconds)
        assert full.client.llen(ours.QUEUE) > before
        ran = _compare_workers(sides, rounds, _BATCH)
    rows = [
        Row(f"ingest with {events:,} queued events / with none", "×", taken, "at least", 0.9),
        Row(f"deliveries with {events:,} queued events / with {_BATCH:,}", "×", ran, "at least", 0.9),
    ]
    command = f"python -m tests.benchmarks backlog --rounds {rounds} --seconds {seconds:g} --events {events}"
    return Result("backlog", command, rows, [_table("backlog", ("empty", f"{events:,} queued"), used)])


def run_routes(*, rounds: int, seconds: float, routes: int) -> Result:
    """A table of so many routes beside a table of one; in both exactly one route wants the event."""
    with Stand() as one, Stand() as many:
        sides = (_side(one), _side(many, others=routes - 1))
        taken, used = _compare_ingest(sides, rounds, seconds)
        ran = _compare_workers(sides, rounds, _LONG_BATCH)
    rows = [
        Row(f"ingest with {routes:,} routes / with one", "×", taken, "at least", 0.9),
        Row(f"deliveries with {routes:,} routes / with one", "×", ran, "at least", 0.9),
    ]
    command = f"python -m tests.benchmarks routes --rounds {rounds} --seconds {seconds:g} --routes {routes}"
    return Result("routes", command, rows, [_table("routes", ("one route", f"{routes:,} routes"), used)])


def _side(stand: Stand, *, others: int = 0, fills: bool = True) -> Side:
    file = ours.routes(stand, others=others)
    receiver = Receiver(receivers.OURS, lambda _, port: ours.receiver(port, file), ours.QUEUE, ours.PATH)
    return Side(stand, file, receivers.start(stand, receiver, core=cores.server_core()), fills)


def _compare_ingest(sides: Sequence[Side], rounds: int, seconds: float) -> tuple[Spread, Sequence[list[Taken]]]:
    """Return the ratio of the second side to the first, and what was measured of each."""
    found: tuple[list[Taken], list[Taken]] = ([], [])
    for turn in range(rounds + 1):
        for at in (0, 1) if turn % 2 else (1, 0):
            taken = _taken(sides[at], seconds)
            if turn:  # the first turn warms up
                say(f"  round {turn} of {rounds}, {('first', 'second')[at]} side: {taken.rate:,.0f} events/s")
                found[at].append(taken)
    return Spread.ratio([each.rate for each in found[1]], [each.rate for each in found[0]]), found


def _taken(side: Side, seconds: float) -> Taken:
    settle()
    pid = side.running.process.pid
    before, used = side.stand.spent(), cores.seconds_of(pid)
    load = side.stand.load(side.stand.orders(side.running.port, ours.PATH, seconds=seconds, connections=32))
    used = cores.seconds_of(pid) - used
    assert load.accepted == load.sent, f"{load.sent} sent, answered {load.statuses}"
    spent = side.stand.spent().cpu_s - before.cpu_s
    return Taken(load.rate, used / load.accepted * 1e6, spent / load.accepted * 1e6)


def _compare_workers(sides: Sequence[Side], rounds: int, batch: int) -> Spread:
    """Let workers run *batch* of what waits on each side; returns the ratio of the second to the first."""
    rates: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds):
        for at in (0, 1):
            rates[at].append(_ran(sides[at], batch))
            say(f"  round {turn + 1} of {rounds}, workers, {('first', 'second')[at]} side: {rates[at][-1]:,.0f}/s")
    return Spread.ratio(rates[1], rates[0])


def _ran(side: Side, batch: int) -> float:
    stand = side.stand
    if side.fills:
        stand.client.flushall(asynchronous=False)
        ours.preload(stand, batch)
    stand.marks.write_bytes(b"")
    fleet = stand.start(ours.workers(side.file))
    try:
        return delivery.rate_of(stand.marks, batch, timeout_s=120)
    finally:
        fleet.end()


def _table(name: str, sides: Sequence[str], found: Sequence[Sequence[Taken]]) -> Table:
    lines = [
        (
            side,
            Spread.of([taken.receiver_us for taken in each]).text(0),
            Spread.of([taken.store_us for taken in each]).text(0),
        )
        for side, each in zip(sides, found, strict=True)
    ]
    return Table(f"Processor time for each event taken in, {name}", ("side", "receiver µs", "store µs"), lines)
