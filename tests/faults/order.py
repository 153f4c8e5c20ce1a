"""Whether what happens to one record is handled in the order in which it was kept, whatever becomes of the store."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults import blows, campaigns
from tests.faults.blows import Blow
from tests.faults.following import Senders, Sent
from tests.faults.link import Mode
from tests.faults.ordered import Handled, Ordered, handled
from tests.faults.stand import Stand

_QUIET_S = 0.8
_SETTLES_WITHIN_S = 90.0


@dataclass(frozen=True, slots=True)
class Judged:
    """*handled*: events whose handler began; *late*: what began after a later event of its record; *missing*: what was
    answered 202 and not handled; *superseded*: newest events of a record whose handler was told of a newer one."""

    handled: int
    late: list[Handled]
    missing: int
    superseded: int = 0

    def __str__(self) -> str:
        wrong = f"{self.missing} missing, {self.superseded} newest events called superseded"
        return f"{len(self.late)} of {self.handled} late, {wrong}, such as {self.late[:3]}"


def judge(sent: Sent, found: Sequence[Handled], *, at_once: int, by_id: bool) -> Judged:
    """Compare the order of handling with that of keeping. *by_id*: also what was sent together, to one receiver."""
    newest: defaultdict[int, int] = defaultdict(int)
    newest_id: defaultdict[int, str] = defaultdict(str)
    late = []
    for one in found:
        is_late = one.number // at_once < newest[one.record] // at_once
        if is_late or (by_id and one.event_id < newest_id[one.record]):
            late.append(one)
        newest[one.record] = max(newest[one.record], one.number)
        newest_id[one.record] = max(newest_id[one.record], one.event_id)
    seen = {(one.record, one.number) for one in found}
    missing = sum((record, number) not in seen for record, count in sent.numbers.items() for number in range(count))
    last = {one.record: one for one in sorted(found, key=lambda one: one.event_id)}
    return Judged(len(seen), late, missing, sum(one.superseded for one in last.values()))


# -- campaigns --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Campaign:
    """Blows that are struck while *records* senders send *at_once* events each; *hosts*, *processes*: of receivers."""

    name: str
    blows: Sequence[Blow]
    hosts: int = 1
    processes: int = 1
    records: int = 80
    every_s: float = 0.3

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    @property
    def at_once(self) -> int:
        """What several receivers take at once has no order."""
        return 2 if self.hosts * self.processes == 1 else 1


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a campaign, in words when something is wrong."""

    judged: Judged
    spooled: int
    wrong: list[str]


def run(one: Campaign, folder: Path) -> Result:
    """Strike each blow, let everything settle, and compare."""
    marks: list[tuple[float, str]] = []
    with Ordered(folder, hosts=one.hosts, receivers=one.processes) as stand:
        with Senders(stand.ports, records=one.records, at_once=one.at_once, every_s=one.every_s) as senders:
            for blow in one.blows:
                time.sleep(_QUIET_S)
                marks.append((time.time(), blow.name))
                blow.strike(stand)
                time.sleep(_QUIET_S)
        settled = stand.settle(timeout_s=_SETTLES_WITHIN_S)
        judged = judge(senders.sent, list(handled(stand.notes)), at_once=one.at_once, by_id=one.at_once > 1)
        wrong = [] if settled else ["it did not settle"]
        wrong += stand.unaccounted() if settled else []
    if judged.late or judged.missing or judged.superseded:
        struck = Counter(max(mark for mark in marks if mark[0] <= late.at)[1] for late in judged.late)
        wrong.append(f"{judged}; late after {dict(struck)}")
    return Result(judged, senders.sent.spooled, wrong)


def cut_off(stand: Stand, host: int, mode: Mode) -> None:
    """One of several receivers cannot reach the store."""
    assert isinstance(stand, Ordered)
    link = stand.receiver_to_store if host == 0 else stand.more_hosts[host - 1].link
    link.tell(mode)
    time.sleep(blows.OUTAGE_S)
    link.tell("pass")


_CUT_OFF = tuple(
    Blow(f"receiver {host} of 2: {mode}", partial(cut_off, host=host, mode=mode))
    for host in (0, 1)
    for mode in ("stall", "refuse", "drop")
)

SHORT = (
    Campaign("pauses", (campaigns.STORE[2], campaigns.RECEIVER_TO_STORE[2])),
    Campaign("two receivers", (_CUT_OFF[0], campaigns.STORE[2], campaigns.SPOOL[0]), hosts=2),
)

LONG = (
    Campaign("receiver", (*campaigns.RECEIVER, *campaigns.SPOOL, *campaigns.RECEIVER_TO_STORE)),
    Campaign("store", (*campaigns.STORE, *campaigns.WORKER, *campaigns.STORE)),
    Campaign("two receivers", (*_CUT_OFF, *campaigns.STORE, *campaigns.RECEIVER, *campaigns.SPOOL), hosts=2),
    Campaign("two processes", (*campaigns.RECEIVERS, *campaigns.STORE, campaigns.ORPHANS), processes=2),
)
