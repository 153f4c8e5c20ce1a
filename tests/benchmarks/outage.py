"""The store stops for two seconds in the middle of a steady load: what is answered, how late, and what is lost."""

import time

from tests.benchmarks import cores, ours, receivers
from tests.benchmarks.results import Result, Row, Spread
from tests.benchmarks.rounds import say
from tests.benchmarks.stand import Stand, settle
from tests.support.processes import wait_until

_RATE = 300.0
_SECONDS = 6.5
_BEGINS_AFTER_S = 2.0
_STOPPED_S = 2.0
_SETTLED_WITHIN_S = 60.0


def run(*, rounds: int) -> Result:
    """Stop the store so many times, each time in a new stand."""
    refused: list[float] = []
    slowest: list[float] = []
    lost: list[float] = []
    doubled: list[float] = []
    for turn in range(rounds):
        say(f"  round {turn + 1} of {rounds}: the store stops for {_STOPPED_S:g} s at {_RATE:g} events/s")
        answers = _outage()
        for values, value in zip((refused, slowest, lost, doubled), answers, strict=True):
            values.append(value)
    rows = [
        Row("store stopped for 2 s at 300 events/s: not answered 202", "", Spread.of(refused), "at most", 0, 0),
        Row("store stopped for 2 s at 300 events/s: slowest answer", "ms", Spread.of(slowest), "at most", 300, 0),
        Row("store stopped for 2 s at 300 events/s: lost", "", Spread.of(lost), "at most", 0, 0),
        Row("store stopped for 2 s at 300 events/s: doubled", "", Spread.of(doubled), "at most", 0, 0),
    ]
    return Result("outage", f"python -m tests.benchmarks outage --rounds {rounds}", rows)


def _outage() -> tuple[float, float, float, float]:
    with Stand() as stand:
        stand.empty()
        running = receivers.start(stand, receivers.FRONTDESK, core=cores.server_core())
        stand.load(stand.orders(running.port, ours.PATH, seconds=0.5, rate=_RATE))
        warm = stand.client.llen(ours.QUEUE)
        settle()
        sending = stand.begin(stand.orders(running.port, ours.PATH, seconds=_SECONDS, rate=_RATE))
        time.sleep(_BEGINS_AFTER_S)
        stand.valkey.freeze()
        time.sleep(_STOPPED_S)
        stand.valkey.thaw()
        load = stand.read(sending)
        wait_until(
            lambda: _spooled(stand) == 0, lambda: f"an empty spool: {ours.audit(stand)}", timeout_s=_SETTLED_WITHIN_S
        )
        jobs = stand.client.lrange(ours.QUEUE, 0, -1)
        kept = len(set(jobs)) - warm
        return (load.sent - load.accepted, load.slowest, max(load.accepted - kept, 0), max(kept - load.accepted, 0))


def _spooled(stand: Stand) -> object:
    return ours.audit(stand).get("spooled")
