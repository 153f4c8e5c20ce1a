"""What was answered, kept and handled, number by number, and what is wrong about it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field

from tests.faults.deeds import Note
from tests.faults.load import Answer

LATE_S = 30.0
"""What a dead worker held is run again within thirty seconds; nothing has to wait longer."""

PROMPT_MS = 300.0
"""How long an answer may take while the store is away."""


@dataclass(slots=True)
class Row:
    """One fault, and what became of the events that were sent from its beginning to the next one's.

    *missing*: events answered 202 that are not kept, or whose handlers are not all done. *doubled*: events kept twice.
    *repeated*: runs of a handler that was done with the number already. *excused*: those of them that lie in the crash
    window: the process that ran them was killed before it could have that recorded, or the store has a death of the
    delivery on record. *interrupted*: runs that never came to their end. *lost_ids*: ids from 202 answers that lead
    nowhere. *never*: sent, never taken.
    """

    fault: str
    sent: int = 0
    taken: int = 0
    stored: int = 0
    handled: int = 0
    missing: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    repeated: int = 0
    excused: int = 0
    interrupted: int = 0
    late: int = 0
    lost_ids: list[str] = field(default_factory=list)
    never: int = 0
    spooled: int = 0
    unanswered: int = 0
    refusals: Counter[int] = field(default_factory=Counter)
    answers: int = 0
    tardy: int = 0
    slowest_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything known after a campaign.

    *kept*: number to the ids of its events. *deaths*: (number, route) to how many attempts the store says were ended by
    a death. *killed*: processes that were killed while they ran handlers. *ended*: numbers whose record in the store is
    complete. *leads*: whether an id leads to a kept event. *wanted*: the routes of a number. *knows* False: the stack
    keeps no records, and what was handled is all there is to see.
    """

    answers: list[Answer]
    notes: list[Note]
    kept: Mapping[int, list[str]]
    deaths: Mapping[tuple[int, str], int]
    killed: Container[int]
    ended: frozenset[int]
    leads: Callable[[str], bool]
    wanted: Callable[[int], frozenset[str]]
    knows: bool = True

    def rows(self, marks: Iterable[tuple[float, str]]) -> list[Row]:
        """One row for each mark: (Unix seconds, fault), from the earliest."""
        windows = sorted(marks)
        tries: defaultdict[int, list[Answer]] = defaultdict(list)
        for answer in self.answers:
            tries[answer.number].append(answer)
        done: defaultdict[tuple[int, str], list[Note]] = defaultdict(list)
        open_runs: Counter[int] = Counter()
        for note in self.notes:
            open_runs[note.number] += 1 if note.what == "began" else -1
            if note.what == "done":
                done[note.number, note.route].append(note)
        rows = [Row(fault) for _, fault in windows]

        def row_of(moment: float) -> Row:
            return rows[max(sum(mark <= moment for mark, _ in windows) - 1, 0)]

        for number, answers in sorted(tries.items()):
            row = row_of(min(answer.at for answer in answers))
            row.interrupted += open_runs[number]
            self._enter(row, number, answers, done)
        for answer in self.answers:
            _enter_answer(row_of(answer.at), answer)
        return rows

    def _enter(self, row: Row, number: int, answers: list[Answer], done: Mapping[tuple[int, str], list[Note]]) -> None:
        row.sent += 1
        taken = [answer for answer in answers if 200 <= answer.status < 300]
        ids = self.kept.get(number, [])
        runs = {route: done.get((number, route), []) for route in self.wanted(number)}
        is_handled = all(runs.values())
        row.stored += bool(ids)
        row.handled += is_handled
        row.doubled += [number] * (len(ids) > 1)
        row.lost_ids += [one.event_id for one in taken if self.knows and not self.leads(one.event_id)]
        for route, notes in runs.items():
            earlier = notes[:-1]
            by_killed = sum(note.pid in self.killed for note in earlier)
            row.repeated += len(earlier)
            row.excused += min(len(earlier), by_killed + self.deaths.get((number, route), 0))
        if not taken:
            row.never += 1
            return
        row.taken += 1
        if not is_handled or (self.knows and number not in self.ended):
            row.missing.append(number)
        since = min(answer.at + answer.ms / 1_000 for answer in taken)
        row.late += sum(notes[0].at - since > LATE_S for notes in runs.values() if notes)


def _enter_answer(row: Row, answer: Answer) -> None:
    """How an answer came is counted for the fault that was on when it was asked for."""
    row.spooled += answer.verdict == "spooled"
    if answer.status == 0:
        row.unanswered += 1
        return
    row.answers += 1
    row.tardy += answer.ms > PROMPT_MS
    row.slowest_ms = max(row.slowest_ms, answer.ms)
    if not 200 <= answer.status < 300:
        row.refusals[answer.status] += 1
