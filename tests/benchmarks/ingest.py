"""Requests a second: one process on one core, full work, the append-only file on; the peers in the same rounds."""

import time
from dataclasses import dataclass

from tests.benchmarks import cores, receivers
from tests.benchmarks.environments import Missing
from tests.benchmarks.receivers import Receiver, Running
from tests.benchmarks.results import Bar, Chart, Result, Row, Spread, Table
from tests.benchmarks.rounds import Rounds
from tests.benchmarks.stand import Stand, settle

_GOALS = {receivers.RQ: 8.0, receivers.ARQ: 6.0, receivers.CELERY: 15.0, receivers.BULLMQ: 1.6, receivers.NODE_RED: 3.0}
_WARM_UP_S = 0.5
_DRAINED_WITHIN_S = 15.0
_HOW = (
    "32 connections, closed loop; bodies of 1.5 KB, each with its own Id and signature. The receiver has one core, the "
    "store and the load generator the other. `generator` is the share of a core that the generator used itself; its "
    "ceiling is what it drives against a server that only answers."
)


@dataclass(frozen=True, slots=True)
class Window:
    """One receiver under load for a while. Times in ms, *cpu_us* and *store_us* for each request that was taken."""

    rate: float
    p50: float
    p99: float
    cpu_us: float
    store_us: float
    busy: float
    refused: int
    missing: int


def run(*, rounds: int, seconds: float, peers: bool = True) -> Result:
    """Measure; *seconds* for each window."""
    wanted = [receivers.FRONTDESK, receivers.FRONTDESK_ALWAYS, receivers.YARDSTICK]
    wanted += [*receivers.PEERS, receivers.GENERATOR] if peers else []
    measured: Rounds[Receiver, Window] = Rounds(wanted, lambda receiver: receiver.name)
    with Stand() as stand:
        running = _start(stand, measured)
        settle(1.0)
        for each in {one.process.pid: one for one in running.values()}.values():
            stand.load(stand.orders(each.port, each.receiver.path, seconds=_WARM_UP_S, connections=32))
        measured.run(rounds, lambda receiver: _window(stand, running[receiver.name], receiver, seconds))
    return _result(measured, rounds, seconds)


def _start(stand: Stand, measured: Rounds[Receiver, Window]) -> dict[str, Running]:
    """Start everybody; they idle until it is their turn. Ours is one process under both modes of fsync."""
    running: dict[str, Running] = {}
    for receiver in list(measured.subjects):
        if receiver.name == receivers.OURS_ALWAYS:
            running[receiver.name] = running[receivers.OURS]
            continue
        try:
            running[receiver.name] = receivers.start(stand, receiver, core=cores.server_core())
        except (Missing, AssertionError) as reason:
            measured.leave_out(receiver, str(reason))
    return running


def _window(stand: Stand, one: Running, receiver: Receiver, seconds: float) -> Window:
    stand.empty()
    stand.fsync(receiver.fsync)
    settle()
    before, used = stand.spent(), cores.seconds_of(one.process.pid)
    load = stand.load(stand.orders(one.port, receiver.path, seconds=seconds, connections=32))
    used = cores.seconds_of(one.process.pid) - used
    after = stand.spent()
    taken = max(load.accepted, 1)
    missing = _missing(stand, receiver, load.accepted)
    return Window(
        rate=load.rate,
        p50=load.p50,
        p99=load.p99,
        cpu_us=used / taken * 1e6,
        store_us=(after.cpu_s - before.cpu_s) / taken * 1e6,
        busy=load.busy,
        refused=load.sent - load.accepted,
        missing=missing,
    )


def _missing(stand: Stand, receiver: Receiver, accepted: int) -> int:
    """How many events are not in the store; what waits in a spool has a while to get there."""
    deadline = time.monotonic() + _DRAINED_WITHIN_S
    while (stored := receiver.stored(stand)) is not None:
        if stored >= accepted or time.monotonic() > deadline:
            return accepted - stored
        settle(0.1)
    return 0


def _result(measured: Rounds[Receiver, Window], rounds: int, seconds: float) -> Result:
    found = measured.found
    ours, always, bare = (found[name] for name in (receivers.OURS, receivers.OURS_ALWAYS, receivers.BARE))
    against_bare = {name: _ratio(windows, bare) for name, windows in measured.present()}
    rows = [
        Row("CPU of bare Starlette for a request / ours", "×", _ratio(bare, ours, "cpu_us"), "at least", 0.7),
        Row("ingest / bare Starlette 202", "×", against_bare[receivers.OURS]),
        Row("ingest, appendfsync always / everysec", "×", _ratio(always, ours), "at least", 0.95),
    ]
    rows += [
        Row(f"ingest / {name}", "×", _ratio(ours, found[name]), "at least", goal, digits=1)
        for name, goal in _GOALS.items()
        if name in found
    ]
    bars = [
        Bar(name, Spread.of([window.rate for window in windows]))
        for name, windows in measured.present()
        if name != receivers.CEILING
    ]
    return Result(
        "ingest",
        f"python -m tests.benchmarks ingest --rounds {rounds} --seconds {seconds:g}",
        rows,
        [_table(measured, against_bare)],
        [Chart("Events taken in a second, one process on one core", "events/s", bars)],
        [
            *measured.notes,
            _HOW,
        ],
    )


def _ratio(ours: list[Window], theirs: list[Window], what: str = "rate") -> Spread:
    return Spread.ratio([getattr(one, what) for one in ours], [getattr(one, what) for one in theirs])


def _table(measured: Rounds[Receiver, Window], against_bare: dict[str, Spread]) -> Table:
    lines = []
    for name, windows in sorted(measured.present(), key=lambda pair: -against_bare[pair[0]].median):

        def middle(what: str, windows: list[Window] = windows) -> float:
            return Spread.of([getattr(window, what) for window in windows]).median

        lines.append(
            (
                name,
                f"{middle('rate'):,.0f}",
                against_bare[name].text(2),
                f"{middle('p50'):.1f}",
                f"{middle('p99'):.1f}",
                f"{middle('cpu_us'):.0f}",
                f"{middle('store_us'):.0f}",
                f"{middle('busy'):.0%}",
                str(sum(window.refused for window in windows)),
                str(sum(window.missing for window in windows)),
            )
        )
    columns = ("receiver", "events/s", "/ bare Starlette", "p50 ms", "p99 ms", "CPU µs", "store CPU µs", "generator")
    return Table("Ingest", (*columns, "refused", "not stored"), lines)
