"""What a queued event costs in the store: `used_memory` before and after so many events of 1.5 KB, nothing run yet."""

from dataclasses import dataclass

from tests.benchmarks import fleets, ours, receivers
from tests.benchmarks.environments import Missing
from tests.benchmarks.receivers import Receiver
from tests.benchmarks.results import Result, Row, Spread, Table
from tests.benchmarks.rounds import say
from tests.benchmarks.stand import Stand, settle

_WARM_UP = 50
_CONNECTIONS = 32
_LONGEST_S = 300.0
_ENDED_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes of memory and of the append-only file for each queued event; *empty*: of memory before them."""

    memory: float
    file: float
    empty: int


def run(*, events: int = 10_000, peers: bool = True) -> Result:
    """Measure ours and the peers; ours once more when every delivery has succeeded and its event is kept."""
    wanted = [receivers.FRONTDESK, *(receivers.PEERS if peers else ())]
    lines, notes, rows = [], [], []
    with Stand(pin=False) as stand:
        for receiver in wanted:
            if not receiver.queue:
                continue
            say(f"  memory: {receiver.name}")
            try:
                cost = _queued(stand, receiver, events)
            except (Missing, AssertionError) as reason:
                notes.append(f"NOT MEASURED: {receiver.name}: {str(reason).splitlines()[0]}")
                continue
            lines.append((receiver.name, f"{cost.memory:,.0f}", f"{cost.file:,.0f}"))
            if receiver.name == receivers.OURS:
                rows.append(_row("memory in the store for a queued event of 1.5 KB with one route", cost.memory, 2_000))
                ended = _ended(stand, events, cost.empty)
                lines.append((f"{receiver.name}, when it has been delivered", f"{ended:,.0f}", ""))
    return Result(
        "memory",
        f"python -m tests.benchmarks memory --events {events}",
        rows,
        [Table("Memory of the store for each event", ("receiver", "bytes", "bytes in the append-only file"), lines)],
        notes=[*notes, f"`used_memory` before and after {events:,} events, the server's stock settings."],
    )


def _row(what: str, value: float, goal: float) -> Row:
    return Row(what, "bytes", Spread.of([value]), "at most", goal, digits=0)


def _queued(stand: Stand, receiver: Receiver, events: int) -> Cost:
    stand.empty()
    running = receivers.start(stand, receiver)
    # Fewer events where each takes a thousandth of a second: what one costs does not depend on their number.
    number = events if receiver.name == receivers.OURS else max(events // 5, 1)
    _send(stand, running, _WARM_UP)
    settle(1.5)
    before, written = stand.spent().memory, _file(stand)
    _send(stand, running, number)
    settle(1.5)  # what is on its way to the append-only file is in memory, too
    cost = Cost((stand.spent().memory - before) / number, (_file(stand) - written) / number, before)
    running.process.end()
    stored = receiver.stored(stand)
    assert stored == number + _WARM_UP, f"{stored} of {number + _WARM_UP} events are stored"
    return cost


def _send(stand: Stand, running: receivers.Running, number: int) -> None:
    path = running.receiver.path
    load = stand.load(stand.orders(running.port, path, seconds=_LONGEST_S, connections=_CONNECTIONS, count=number))
    assert load.accepted == number, f"{number} sent, answered {load.statuses}"


def _ended(stand: Stand, events: int, empty: int) -> float:
    """What an event costs that has been delivered and is kept as long as retention says."""
    fleet = fleets.fleets()[0]
    fleet.start(stand, 0)
    try:
        stand.wait_for_marks(events + _WARM_UP, timeout_s=_ENDED_WITHIN_S)
        settle(2.0)
    finally:
        fleet.stop()
    waiting = stand.client.llen(ours.QUEUE)
    assert waiting == 0, f"{waiting} deliveries still wait"
    return (stand.spent().memory - empty) / events


def _file(stand: Stand) -> int:
    return int(stand.client.info("persistence")["aof_current_size"])
