"""A campaign: events flow, one fault after another is struck, everything settles, the rows are drawn up."""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults import load
from tests.faults.blows import Blow
from tests.faults.ledger import Row
from tests.faults.stand import Stand
from tests.support.processes import wait_until


@dataclass(frozen=True, slots=True)
class Plan:
    """*rate*: events in a second. *before_s*, *after_s*: of quiet around each fault. *echo_every*: see load."""

    rate: float = 60.0
    before_s: float = 0.3
    after_s: float = 1.2
    echo_every: int = 10
    settles_within_s: float = 90.0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. *settled*: whether everything came to an end in time."""

    rows: list[Row]
    settled: bool


def run(stand: Stand, blows: Sequence[Blow], plan: Plan) -> Result:
    """Strike each blow on a running stand, in this order."""
    sender = stand.start_sender(plan.rate, echo_every=plan.echo_every)
    wait_until(lambda: any(answer.status == 202 for answer in load.read(stand.answers)), "the first 202")
    marks = []
    for blow in blows:
        time.sleep(plan.before_s)
        marks.append((time.time(), blow.name))
        blow.strike(stand)
        time.sleep(plan.after_s)
    sender.signal(signal.SIGTERM)
    sender.wait(timeout_s=plan.settles_within_s)
    settled = stand.settle(timeout_s=plan.settles_within_s)
    return Result(stand.ledger().rows(marks), settled)
