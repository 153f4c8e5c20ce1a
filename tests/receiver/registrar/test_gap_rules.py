"""What a look changes in the gap ledger: when gaps open, where they begin, when they close."""

from dataclasses import replace

import pytest

from receiver.registrar import gap_rules
from receiver.registrar.gap_rules import OVERLAP_MS, Look, Seen
from receiver.storage.shared.gap_ledger import Coverage, CoverageChange, Gap, GapState, GapWhy, Pair, opened

MINUTE = 60_000
START = 1_000 * 86_400_000
PAIR = (1001, "BookingCreate")
WELL = Seen(None)


class Ledger:
    """The ledger in memory; each call is one look."""

    def __init__(self) -> None:
        self.coverage = Coverage()
        self.gaps: dict[str, Gap] = {}
        self.now = START
        self.received: dict[Pair, int] = {}

    def _apply(self, change: CoverageChange) -> None:
        pairs = {pair: one for pair, one in self.coverage.pairs.items() if pair not in change.dropped} | dict(
            change.pairs
        )
        looked = self.coverage.looked_ms if change.looked_ms is None else change.looked_ms
        self.coverage = Coverage(looked, self.coverage.is_reached or change.is_reached, pairs)
        self.gaps |= {gap.id: gap for gap in change.gaps}

    def _open(self) -> dict[Pair, Gap]:
        return {gap.pair: gap for gap in self.gaps.values() if gap.state is GapState.OPEN}

    def look(self, found: Seen | None = WELL, *, after: int = 1, reached: bool = True) -> list[Gap]:
        """Look *after* so many minutes; None: the pair is not routed. Returns all gaps."""
        self.now += after * MINUTE
        seen = {} if found is None else {PAIR: found}
        self._apply(
            gap_rules.after_look(Look(self.now, MINUTE, seen, self.received, reached), self.coverage, self._open())
        )
        return list(self.gaps.values())

    def fail(self, *, after: int = 1) -> list[Gap]:
        """A look that failed."""
        self.now += after * MINUTE
        self._apply(gap_rules.after_failure(self.coverage, self._open(), self.now))
        return list(self.gaps.values())

    def settled(self) -> "Ledger":
        """A ledger after twenty good looks."""
        for _ in range(20):
            assert self.look() == []
        return self


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Seen(GapWhy.DISABLED, errors=10), GapWhy.DISABLED),
        (Seen(GapWhy.MISSING), GapWhy.MISSING),
        (Seen(None, errors=1), GapWhy.ERRORS),
    ],
)
def test_a_gap_opens_at_the_last_good_look_and_closes_at_the_next(found: Seen, why: GapWhy) -> None:
    """It begins a quarter of an hour earlier, and its causes are told apart."""
    ledger = Ledger().settled()
    last_good = ledger.now

    (opened,) = ledger.look(found, after=2)
    ledger.look(found, after=2)
    (closed,) = ledger.look(replace(found, why=None), after=2)

    assert (opened.from_ms, opened.to_ms, opened.why, opened.state) == (last_good - OVERLAP_MS, None, why, "open")
    expected = last_good + (4 if why is GapWhy.ERRORS else 6) * MINUTE
    assert (closed.id, closed.to_ms, closed.state) == (opened.id, expected, GapState.HEALING)


def test_errors_that_rise_again_keep_it_open() -> None:
    """Each look compares with the one before; errors that fall are a success."""
    ledger = Ledger().settled()
    for errors in (1, 2, 3):
        (gap,) = ledger.look(Seen(None, errors=errors))
        assert gap.state is GapState.OPEN

    (gap,) = ledger.look(Seen(None, errors=0))

    assert gap.state is GapState.HEALING


def test_a_look_that_fails_opens_a_gap_of_every_hook() -> None:
    """Nobody knows whether they still serve; the next good look closes it."""
    ledger = Ledger().settled()

    (opened,) = ledger.fail()
    assert (opened.why, opened.state) == (GapWhy.UNKNOWN, GapState.OPEN)
    assert ledger.fail() == [opened]
    (closed,) = ledger.look()

    assert (closed.id, closed.to_ms, closed.state) == (opened.id, ledger.now, GapState.HEALING)


def test_a_registrar_that_was_away_has_missed_what_happened() -> None:
    """Two rounds may pass; an hour may not, and neither may the next process that leads."""
    ledger = Ledger().settled()
    assert ledger.look(after=2) == []
    last_good = ledger.now

    (gap,) = ledger.look(after=60)

    assert (gap.why, gap.state) == (GapWhy.UNKNOWN, GapState.HEALING)
    assert (gap.from_ms, gap.to_ms) == (last_good - OVERLAP_MS, last_good + 60 * MINUTE)


def test_a_receiver_that_is_down_opens_a_gap_if_it_was_ever_reached() -> None:
    """Where this machine never reaches the public URL, the probe tells nothing."""
    never = Ledger()
    assert never.look(reached=False) == never.look(reached=False) == []
    ledger = Ledger().settled()

    (opened,) = ledger.look(reached=False)
    (closed,) = ledger.look()

    assert (opened.why, opened.state, closed.state) == (GapWhy.RECEIVER_DOWN, GapState.OPEN, GapState.HEALING)


def test_a_hook_that_fired_into_nothing_is_a_gap_once() -> None:
    """LastTrigger is later than anything we kept; what we kept shortly before is what it fired."""
    ledger = Ledger().settled()
    fired = ledger.now - 3 * MINUTE
    ledger.received = {PAIR: fired - 1_000}
    assert ledger.look(Seen(None, trigger_ms=fired)) == []
    ledger.received = {PAIR: fired - 20 * MINUTE}

    (gap,) = ledger.look(Seen(None, trigger_ms=fired + MINUTE))
    again = ledger.look(Seen(None, trigger_ms=fired + MINUTE))

    assert (gap.why, gap.state, gap.from_ms) == (GapWhy.UNKNOWN, GapState.HEALING, fired + MINUTE - OVERLAP_MS)
    assert again == [gap]


def test_a_new_route_has_no_gap_before_it_was_there() -> None:
    """Its hook is missing until it is made; a gap never reaches back before that."""
    ledger = Ledger()
    assert ledger.look(Seen(GapWhy.MISSING)) == []
    assert ledger.look() == []
    first = ledger.now

    (gap,) = ledger.look(Seen(GapWhy.DISABLED))

    assert gap.from_ms == first


def test_a_gap_survives_that_its_route_goes() -> None:
    """It is closed then, for back-fill to say that nobody wants it; routed again, the hook starts afresh."""
    ledger = Ledger().settled()
    ledger.look(Seen(GapWhy.DISABLED))

    (gap,) = ledger.look(None)
    assert (gap.state, gap.to_ms) == (GapState.HEALING, ledger.now)
    assert ledger.look() == [gap]
    assert ledger.coverage.pairs[PAIR].first_ms == ledger.now


def test_a_clock_that_jumps_back_makes_no_gap_that_ends_before_it_begins() -> None:
    """The end is never before the beginning."""
    ledger = Ledger().settled()
    ledger.look(Seen(GapWhy.DISABLED))

    (gap,) = ledger.look(after=-600)

    assert gap.to_ms is not None
    assert gap.to_ms >= gap.from_ms


def test_a_count_that_began_anew_is_a_failure_too() -> None:
    """Nexudus counts failures in a row: nine, a success and two are two, and those two are missing."""
    ledger = Ledger().settled()
    ledger.look(Seen(None, errors=9))
    (closed,) = ledger.look(Seen(None, errors=9))
    assert closed.state is GapState.HEALING

    found = ledger.look(Seen(None, errors=2))

    assert [(gap.why, gap.state) for gap in found if gap != closed] == [(GapWhy.ERRORS, GapState.OPEN)]


def test_a_hook_that_somebody_enabled_between_two_looks_is_a_gap() -> None:
    """Its count of failures is over, and it has not fired since; after a success it would have."""
    ledger = Ledger().settled()
    ledger.look(Seen(None, errors=9, trigger_ms=5))
    before = ledger.look(Seen(None, errors=9, trigger_ms=5))

    found = ledger.look(Seen(None, errors=0, trigger_ms=5))

    (fresh,) = (gap for gap in found if gap not in before)
    assert (fresh.why, fresh.state, fresh.to_ms) == (GapWhy.UNKNOWN, GapState.HEALING, ledger.now)


def test_a_gap_that_begins_like_the_one_before_is_another_one() -> None:
    """Both begin when the hook was first looked after; while the first is filled, the second may open."""
    ledger = Ledger()
    ledger.look()
    (first,) = ledger.look(Seen(GapWhy.DISABLED))
    ledger.look()

    found = ledger.look(Seen(GapWhy.DISABLED))

    assert {(gap.state, gap.from_ms) for gap in found} == {
        (GapState.HEALING, first.from_ms),
        (GapState.OPEN, first.from_ms),
    }


def test_a_clock_that_was_ahead_hides_nothing() -> None:
    """The last good look was an hour ahead; a gap begins before now all the same."""
    ledger = Ledger().settled()
    ledger.look(after=60)
    ledger.look()

    found = ledger.look(Seen(GapWhy.DISABLED), after=-60)

    (fresh,) = (gap for gap in found if gap.state is GapState.OPEN)
    assert fresh.from_ms == ledger.now - OVERLAP_MS


def test_what_is_listed_for_long_was_well_when_the_look_began() -> None:
    """A hook may break after it was listed; so the next gap begins before the list, and the last one ends after it."""
    ledger = Ledger().settled()
    began, ended = ledger.now + MINUTE, ledger.now + 3 * MINUTE
    look = Look(ended, MINUTE, {PAIR: WELL}, {}, None, began)

    change = gap_rules.after_look(look, ledger.coverage, {})
    closing = gap_rules.after_look(look, ledger.coverage, {PAIR: opened(PAIR, began, GapWhy.DISABLED)})

    assert change.looked_ms == began
    assert [gap.to_ms for gap in closing.gaps] == [ended]


def test_what_a_person_mends_between_two_looks_is_a_gap() -> None:
    """The next look finds all well; hooks that nobody looked after yet have no gap."""
    ledger = Ledger().settled()
    found = {PAIR: Seen(GapWhy.DISABLED), (1001, "TeamCreated"): Seen(GapWhy.MISSING)}

    change = gap_rules.before_mending(found, ledger.coverage, {}, ledger.now)

    assert [(gap.pair, gap.why, gap.state) for gap in change.gaps] == [(PAIR, GapWhy.DISABLED, GapState.OPEN)]
    assert (change.looked_ms, change.pairs, gap_rules.before_mending(found, Coverage(), {}, 1).gaps) == (
        None,
        {},
        [],
    )
