"""Whether receiver and workers stay as small as they are: their memory while very many events go all the way."""

from tests.benchmarks import cores, fleets, ours, receivers
from tests.benchmarks.results import Result, Row, Spread, Table
from tests.benchmarks.rounds import say
from tests.benchmarks.stand import Stand

_PORTIONS = 12
_SETTLED = 3
"""After so many portions caches and allocators have what they need; growth counts from there."""

_LONGEST_S = 600.0
_CONNECTIONS = 32


def run(*, events: int) -> Result:
    """Send *events* through one receiver and two worker processes, in portions."""
    portion = max(events // _PORTIONS, 1)
    sizes: list[tuple[float, float]] = []
    with Stand(pin=False) as stand:
        stand.empty()
        running = receivers.start(stand, receivers.FRONTDESK)
        fleet = fleets.fleets()[0]
        fleet.start(stand, 0)
        for turn in range(_PORTIONS):
            orders = stand.orders(running.port, ours.PATH, seconds=_LONGEST_S, connections=_CONNECTIONS, count=portion)
            load = stand.load(orders)
            assert load.accepted == portion, f"{portion} sent, answered {load.statuses}"
            stand.wait_for_marks(portion * (turn + 1), timeout_s=_LONGEST_S)
            sizes.append((cores.resident_mb(running.process.pid), cores.resident_mb(fleet.started[0].pid)))
            say(f"  {portion * (turn + 1):,} events: receiver {sizes[-1][0]:.1f} MB, workers {sizes[-1][1]:.1f} MB")
            stand.client.flushall(asynchronous=False)  # what is kept is the store's concern, not theirs
    return _result(events, portion, sizes)


def _result(events: int, portion: int, sizes: list[tuple[float, float]]) -> Result:
    rows = []
    for at, who in enumerate(("receiver", "workers, two processes and their parent")):
        grown = sizes[-1][at] - sizes[_SETTLED - 1][at]
        what = f"memory of {who}: growth from {portion * _SETTLED:,} to {portion * _PORTIONS:,} events"
        rows.append(Row(what, "MB", Spread.of([grown]), "at most", 5, digits=1))
    lines = [(f"{portion * (at + 1):,}", f"{mine:.1f}", f"{theirs:.1f}") for at, (mine, theirs) in enumerate(sizes)]
    table = Table("Resident memory, MB", ("events", "receiver", "workers"), lines)
    return Result("flatness", f"python -m tests.benchmarks flatness --events {events}", rows, [table])
