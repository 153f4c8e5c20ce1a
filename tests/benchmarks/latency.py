"""From the request to the start of its handler: receiver, store and workers together, idle and at half load.

The clock starts when the request is sent, so what is told is a little more than the time from accepted to started.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from tests.benchmarks import fleets, receivers
from tests.benchmarks.environments import python
from tests.benchmarks.fleets import Fleet
from tests.benchmarks.receivers import Receiver, Running
from tests.benchmarks.results import Result, Row, Spread, Table
from tests.benchmarks.rounds import Rounds
from tests.benchmarks.stand import Command, Stand, settle

_IDLE_RATE = 20.0
_FLAT_OUT_S = 1.5
_IN_TIME_S = 60.0
_HOW = (
    f"Idle: {_IDLE_RATE:g} events a second. Half load: half of what receiver and workers carry together on this "
    "machine, flat out. One receiver process, workers as in the table of deliveries; nothing is pinned."
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A receiver, and the workers that run what it takes."""

    name: str
    receiver: Receiver
    fleet: Fleet


@dataclass(frozen=True, slots=True)
class Delays:
    """Milliseconds from sent to started, median and 99th of a hundred."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Latency:
    """One pair in one round. *rate*: events a second that it carries from request to handler, flat out."""

    idle: Delays
    half: Delays
    rate: float


def run(*, rounds: int, seconds: float, peers: bool = True) -> Result:
    """Measure; *seconds* for each of the two states."""
    wanted = _pairs() if peers else _pairs()[:1]
    measured: Rounds[Pair, Latency] = Rounds(wanted, lambda pair: pair.name)
    with Stand(pin=False) as stand:
        measured.run(rounds, lambda pair: _measure(stand, pair, seconds))
    ours = measured.found[receivers.OURS]
    rows = [
        Row("request sent to handler started, idle: median", "ms", _over(ours, "idle", "p50"), "at most", 5, 1),
        Row("request sent to handler started, idle: p99", "ms", _over(ours, "idle", "p99"), "at most", 25, 1),
        Row("request sent to handler started, at half load: median", "ms", _over(ours, "half", "p50"), digits=1),
        Row("request sent to handler started, at half load: p99", "ms", _over(ours, "half", "p99"), digits=1),
    ]
    return Result(
        "latency",
        f"python -m tests.benchmarks latency --rounds {rounds} --seconds {seconds:g}",
        rows,
        [_table(measured)],
        notes=[*measured.notes, _HOW],
    )


def _pairs() -> list[Pair]:
    of = {receiver.name: receiver for receiver in receivers.PEERS}
    by = {fleet.name: fleet for fleet in fleets.fleets()}
    arq = Fleet("arq", _arq, lambda stand, number: None, 1_000, 500)
    return [
        Pair(receivers.OURS, receivers.FRONTDESK, by[fleets.OURS]),
        Pair("Starlette + RQ, rq worker", of[receivers.RQ], by[fleets.RQ]),
        Pair("Starlette + RQ, SimpleWorker", of[receivers.RQ], by[fleets.SIMPLE]),
        Pair(receivers.ARQ, of[receivers.ARQ], arq),
        Pair(receivers.CELERY, of[receivers.CELERY], by[fleets.CELERY]),
        Pair(receivers.BULLMQ, of[receivers.BULLMQ], by[fleets.BULLMQ]),
    ]


def _arq(_: Stand, wait_ms: int) -> list[Command]:
    argv = (python("arq") / "arq", "tests.benchmarks.peers.arq_peer.WorkerSettings")
    return [Command(argv, {"BENCH_WAIT_MS": str(wait_ms)})] * 2


def _measure(stand: Stand, pair: Pair, seconds: float) -> Latency:
    stand.empty()
    running = receivers.start(stand, pair.receiver)
    pair.fleet.start(stand, 0)
    try:
        return _states(stand, pair, running, seconds)
    finally:
        pair.fleet.stop()
        running.process.end()


def _states(stand: Stand, pair: Pair, running: Running, seconds: float) -> Latency:
    _trace(stand, running, seconds=1.0, rate=10.0)  # warms everything up
    flat_out = _carried(stand, pair, running)
    idle = _trace(stand, running, seconds=seconds, rate=_IDLE_RATE)
    half = _trace(stand, running, seconds=seconds, rate=max(flat_out / 2, 1.0))
    return Latency(idle, half, flat_out)


def _carried(stand: Stand, pair: Pair, running: Running) -> float:
    """How many events a second go all the way, while as many come in as can; no more than the workers end soon."""
    trace, before = stand.folder / "trace", stand.marks.stat().st_size // 32
    most = int(pair.fleet.guess * _FLAT_OUT_S)
    orders = stand.orders(running.port, running.receiver.path, seconds=_FLAT_OUT_S, connections=32, count=most)
    load = stand.load(replace(orders, trace=str(trace)))
    stand.wait_for_marks(before + load.accepted, timeout_s=_IN_TIME_S)
    sent, started = _times(trace), _times(stand.marks)
    settle(0.5)
    return len(sent) / (max(started[number] for number in sent) - min(sent.values())) * 1e9


def _trace(stand: Stand, running: Running, *, seconds: float, rate: float) -> Delays:
    """Send at a steady rate and wait for the handlers; returns how long each took to start."""
    trace = stand.folder / "trace"
    orders = stand.orders(running.port, running.receiver.path, seconds=seconds, rate=rate)
    before = stand.marks.stat().st_size // 32
    load = stand.load(replace(orders, trace=str(trace)))
    assert load.accepted == load.sent, f"{load.sent} sent, answered {load.statuses}"
    stand.wait_for_marks(before + load.accepted, timeout_s=_IN_TIME_S)
    started = _times(stand.marks)
    took = sorted((started[number] - at) / 1e6 for number, at in _times(trace).items())
    return Delays(took[len(took) // 2], took[int(len(took) * 0.99)])


def _times(file: Path) -> dict[int, int]:
    """Read `Id` and time, the first two words of each line; of an event that ran twice the first time counts."""
    found: dict[int, int] = {}
    for line in file.read_bytes().splitlines():
        number, at, *_ = line.split()
        found.setdefault(int(number), int(at))
    return found


def _over(found: list[Latency], state: str, what: str) -> Spread:
    return Spread.of([getattr(getattr(latency, state), what) for latency in found])


def _table(measured: Rounds[Pair, Latency]) -> Table:
    lines = [
        (
            name,
            _over(found, "idle", "p50").text(1),
            _over(found, "idle", "p99").text(1),
            Spread.of([latency.rate for latency in found]).text(0),
            _over(found, "half", "p50").text(1),
            _over(found, "half", "p99").text(1),
        )
        for name, found in measured.present()
    ]
    columns = (
        "receiver and workers",
        "idle: median ms",
        "p99 ms",
        "carried flat out, events/s",
        "half load: median ms",
    )
    return Table("From the request to the start of its handler", (*columns, "p99 ms"), lines)
