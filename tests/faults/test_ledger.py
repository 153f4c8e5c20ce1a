"""The ledger finds what it is there to find: each kind of loss, doubling and delay, put in by hand."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults import verdict
from tests.faults.blows import Blow, calm
from tests.faults.deeds import Note
from tests.faults.ledger import Ledger
from tests.faults.load import Answer

CALM = Blow("no fault", calm)
CRASH = Blow("crash", calm, crashes=True)
OUTAGE = Blow("outage", calm, outage=True)

GOOD = Ledger(
    answers=[Answer(number, 1, 100.0 + number, 5.0, 202, f"id-{number}", "accepted") for number in range(10)],
    notes=[
        Note("quick", number, what, 100.5 + number, 77) for number in range(10) for what in ("began", "done")
    ],
    kept={number: [f"id-{number}"] for number in range(10)},
    deaths={},
    killed=set(),
    ended=frozenset(range(10)),
    leads=lambda event_id: event_id.startswith("id-"),
    wanted=lambda _: frozenset({"quick"}),
)  # fmt: skip


def _complaints(ledger: Ledger, blow: Blow = CALM) -> list[str]:
    return verdict.complaints([CALM, blow], ledger.rows([(0.0, "no fault"), (105.0, blow.name)]))


def test_nothing_is_said_of_a_run_in_which_all_went_well() -> None:
    """And each number is in the row of the fault during which it was sent."""
    before, after = GOOD.rows([(105.0, "later"), (0.0, "first")])

    assert (before.fault, before.sent, before.taken, before.stored, before.handled) == ("first", 5, 5, 5, 5)
    assert (after.fault, after.sent, after.slowest_ms) == ("later", 5, 5.0)
    assert _complaints(GOOD) == []


def _without_note(ledger: Ledger) -> Ledger:
    return replace(ledger, notes=[note for note in ledger.notes if note.number != 7])


def _without_record(ledger: Ledger) -> Ledger:
    return replace(ledger, ended=ledger.ended - {7})


def _kept_twice(ledger: Ledger) -> Ledger:
    return replace(ledger, kept={**ledger.kept, 7: ["id-7", "id-8"]})


def _lost_id(ledger: Ledger) -> Ledger:
    return replace(ledger, answers=[*ledger.answers, Answer(7, 2, 107.0, 5.0, 202, "another", "spooled")])


def _late(ledger: Ledger) -> Ledger:
    return replace(ledger, notes=[replace(note, at=note.at + 31) for note in ledger.notes])


def _never_taken(ledger: Ledger) -> Ledger:
    return replace(ledger, answers=[*ledger.answers, Answer(99, 1, 107.0, 5.0, 0, error="OSError")])


def _refused(ledger: Ledger) -> Ledger:
    return replace(ledger, answers=[*ledger.answers, Answer(7, 2, 107.0, 5.0, 503)])


def _repeated(ledger: Ledger) -> Ledger:
    return replace(ledger, notes=[*ledger.notes, *(note for note in ledger.notes if note.number == 7)])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_without_note, "1 events are missing"),
        (_without_record, "1 events are missing"),
        (_kept_twice, "1 events are kept twice"),
        (_lost_id, "1 ids were answered that lead nowhere"),
        (_late, "5 handlers ran later than 30 s"),
        (_never_taken, "1 events were never taken"),
        (_refused, "answers other than 202: {503: 1}"),
        (_repeated, "1 runs were repeated, and only 0 of them in the crash window"),
    ],
)
def test_what_is_wrong_is_said(spoil: Callable[[Ledger], Ledger], sentence: str) -> None:
    """Each kind of it."""
    assert any(sentence in complaint for complaint in _complaints(spoil(GOOD), CRASH))


def test_a_repeated_run_is_excused_in_the_crash_window_alone() -> None:
    """By a death on record, or because the process that ran it is known to have been killed; and only in a crash."""
    repeated = _repeated(GOOD)

    assert _complaints(replace(repeated, deaths={(7, "quick"): 1}), CRASH) == []
    assert _complaints(replace(repeated, killed={77}), CRASH) == []
    assert _complaints(replace(repeated, killed={77}), CALM) != []


def test_slow_answers_count_in_an_outage() -> None:
    """More than a small share of them above 300 ms; elsewhere they are only shown."""
    slow = replace(GOOD, answers=[replace(answer, ms=301.0 * (answer.number > 6)) for answer in GOOD.answers])

    assert _complaints(slow, CALM) == []
    assert "3 of 5 answers took longer than 300 ms" in _complaints(slow, OUTAGE)[0]
