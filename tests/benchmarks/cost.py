"""What an event costs the store, and where one store ends: the numbers behind `deploy/SCALING.md`, checked.

The model: a call of a script costs the store a fixed time, and a time for each event in it. Both are measured on the
scripts alone (`keep`; `claim` and `acknowledge`), in calls of one event and of many, and so is what an idle worker does
when it is woken: one more `claim`, in vain, and waiting again. From them follows what a topology uses at some rate,
between two bounds: each event in calls of its own by a worker that slept, or all calls full. Then topologies run at
several rates, and what the store really uses is put beside the two.
"""

from dataclasses import dataclass

from tests.benchmarks import fleets, ours, prices, receivers
from tests.benchmarks.prices import MANY, Prices
from tests.benchmarks.results import Result, Row, Spread, Table
from tests.benchmarks.rounds import say
from tests.benchmarks.stand import Stand, settle

_RATES = (250, 500, 1_000, 2_000)
_SHARE = 0.6
"""How much of the store's core may be used: the rest is for retries, the console, sweeping and bursts."""


@dataclass(frozen=True, slots=True)
class Use:
    """A topology at one rate: what the store used. *bytes_in*, *bytes_out*, *bytes_file*: for each event."""

    rate: int
    share: float
    connections: int
    commands: float
    bytes_in: float
    bytes_out: float
    bytes_file: float


def run(*, seconds: float) -> Result:
    """Measure the prices, then whole topologies at several rates."""
    with Stand(pin=False) as stand:
        say("  cost: the scripts alone")
        found = prices.measure(stand)
        connections = _connections(stand)
        uses = [_use(stand, rate, seconds) for rate in _RATES]
    columns = ("events/s", "store's core, model", "measured", "commands/event", "in, B/event", "out, B/event")
    title = "One receiver, two worker processes, one route: the store at several rates"
    tables = [
        Table(title, (*columns, "append-only file, B/event", "connections"), [_line(use, found) for use in uses]),
        Table("Connections to the store", ("process", "connections"), connections),
    ]
    return Result("cost", f"python -m tests.benchmarks cost --seconds {seconds:g}", _rows(found), tables)


def _rows(found: Prices) -> list[Row]:
    kept, ran = found.kept, found.ran
    return [
        _row("store CPU for an event that is kept, one in a call", "µs", kept.of(1)),
        _row(f"store CPU for an event that is kept, {MANY} in a call", "µs", kept.of(MANY)),
        _row("store CPU for a delivery that is claimed and acknowledged, one in a call", "µs", ran.of(1)),
        _row(f"store CPU for a delivery that is claimed and acknowledged, {MANY} in a call", "µs", ran.of(MANY)),
        _row("store CPU for a worker that is woken and finds nothing more", "µs", found.looked),
        _row("store CPU in a second in which nothing happens", "µs", found.idle),
        _row(
            f"{_SHARE:.0%} of the store's core are used at, one in a call", "events/s", _SHARE / found.busiest() * 1e6
        ),
        _row(f"{_SHARE:.0%} of the store's core are used at, full calls", "events/s", _SHARE / found.least() * 1e6),
    ]


def _row(what: str, unit: str, value: float) -> Row:
    return Row(what, unit, Spread.of([value]), digits=0)


def _line(use: Use, found: Prices) -> tuple[str, ...]:
    least, most = ((found.idle + use.rate * each) / 1e6 for each in (found.least(), found.busiest()))
    return (
        f"{use.rate:,}",
        f"{least:.1%} to {most:.1%}",
        f"{use.share:.1%}",
        f"{use.commands:.1f}",
        f"{use.bytes_in:,.0f}",
        f"{use.bytes_out:,.0f}",
        f"{use.bytes_file:,.0f}",
        str(use.connections),
    )


def _connections(stand: Stand) -> list[tuple[str, str]]:
    """How many connections each kind of process holds while it works."""
    found = []
    stand.empty()
    base = _clients(stand)
    running = receivers.start(stand, receivers.FRONTDESK)
    stand.load(stand.orders(running.port, ours.PATH, seconds=1.0, connections=32))
    found.append(("a receiver process", str(_clients(stand) - base)))
    running.process.end()
    stand.empty()
    settle()
    for processes in (1, 2):
        ours.preload(stand, 1_000)
        base = _clients(stand)
        fleet = stand.start(ours.workers(ours.routes(stand), processes=processes))
        stand.wait_for_marks(1_000 * processes, timeout_s=60)
        settle(1.0)
        found.append((f"`frontdesk work --processes {processes}`", str(_clients(stand) - base)))
        fleet.end()
        settle()
    return found


def _clients(stand: Stand) -> int:
    return int(stand.client.info("clients")["connected_clients"])


def _use(stand: Stand, rate: int, seconds: float) -> Use:
    """Run receiver and workers at one rate; what is done before and after does not count."""
    say(f"  cost: {rate:,} events/s")
    stand.empty()
    running = receivers.start(stand, receivers.FRONTDESK)
    fleet = fleets.fleets()[0]
    fleet.start(stand, 0)
    try:
        stand.load(stand.orders(running.port, ours.PATH, seconds=2.0, rate=50.0))
        stand.wait_for_marks(100, timeout_s=60)
        settle(1.0)
        before, began = stand.client.info(), stand.spent()
        load = stand.load(stand.orders(running.port, ours.PATH, seconds=seconds, rate=float(rate)))
        stand.wait_for_marks(100 + load.accepted, timeout_s=60)
        settle()
        after, ended = stand.client.info(), stand.spent()
    finally:
        fleet.stop()
        running.process.end()
    number = max(load.accepted, 1)
    each = {
        name: (int(after[name]) - int(before[name])) / number
        for name in ("total_net_input_bytes", "total_net_output_bytes", "aof_current_size")
    }
    return Use(
        rate,
        (ended.cpu_s - began.cpu_s) / number * rate,
        int(after["connected_clients"]),
        (ended.commands - began.commands) / number,
        *each.values(),
    )
