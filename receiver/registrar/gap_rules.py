"""When a gap opens and closes, and since when each hook is known to be healthy: what one look changes. Pure.

A gap begins when the last good look began, less an overlap: a call of Nexudus that fails may be tried for minutes. It
ends when the next look that finds the hook healthy has ended.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from receiver.nexudus.api.registration import Registration
from receiver.registrar.change import Op
from receiver.registrar.plan import Pair, Plan
from receiver.storage.shared.gap_ledger import (
    Coverage,
    CoverageChange,
    Gap,
    GapState,
    GapWhy,
    PairHealth,
    opened,
)

OVERLAP_MS: Final = 15 * 60_000
"""How much earlier than the last good look a gap begins."""

_TRIGGER_LAG_MS: Final = 5 * 60_000
"""How much later than the last event that we kept Nexudus may say that it fired: spools, repeated calls, two clocks."""

_LEAST_PATIENCE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Seen:
    """How a look found one hook. *why* None: it serves. *trigger_ms* 0: Nexudus does not say when it last fired."""

    why: GapWhy | None
    errors: int = 0
    trigger_ms: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """One look, which ended at *now_ms*. *reached* None: the receiver was not asked. *received*: when each hook's last
    event was kept. *began_ms*: when the hooks began to be listed, which takes minutes when calls are short; 0: at once.
    """

    now_ms: int
    every_ms: int
    seen: Mapping[Pair, Seen]
    received: Mapping[Pair, int]
    reached: bool | None = None
    began_ms: int = 0

    @property
    def good_ms(self) -> int:
        """Until when a hook that it found healthy was healthy for certain."""
        return self.began_ms or self.now_ms


def seen(plan: Plan, wanted: Iterable[Pair]) -> dict[Pair, Seen]:
    """Return how the hook of each wanted pair was found, by the plan that was made of the look."""
    troubles: dict[Pair, GapWhy] = {}
    for change in plan.changes:
        if change.op is Op.CREATE:
            troubles[change.business_id, change.action] = GapWhy.MISSING
        elif change.op is Op.UPDATE and change.before and change.after:
            moved = change.before.url != change.after.url and not change.rotates
            if change.enables:
                troubles[change.business_id, change.action] = GapWhy.DISABLED
            elif moved or change.before.action != change.after.action:
                troubles[change.business_id, change.action] = GapWhy.MISSING
    return {pair: _seen(troubles.get(pair), plan.serving.get(pair)) for pair in wanted}


def _seen(why: GapWhy | None, registration: Registration | None) -> Seen:
    if registration is None:
        return Seen(why)
    return Seen(why, registration.error_count, _moment(registration.last_trigger))


def _moment(written: str | None) -> int:
    try:
        at = datetime.fromisoformat(written or "")
        return max(0, int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000))
    except (ValueError, OverflowError):
        return 0


def after_look(look: Look, before: Coverage, open_gaps: Mapping[Pair, Gap]) -> CoverageChange:
    """Return what a look that succeeded changes. *open_gaps*: the gap of each pair that has an open one."""
    is_down = look.reached is False and before.is_reached
    patience_ms = max(2 * look.every_ms, look.every_ms + _LEAST_PATIENCE_MS)
    is_late = bool(before.looked_ms) and look.good_ms - before.looked_ms > patience_ms
    pairs: dict[Pair, PairHealth] = {}
    gaps: list[Gap] = []
    for pair, found in look.seen.items():
        health, gap = before.pairs.get(pair), open_gaps.get(pair)
        why = found.why or (GapWhy.RECEIVER_DOWN if is_down else None)
        if health is None:
            if why is None:
                health = pairs[pair] = PairHealth(look.good_ms, look.good_ms, found.errors, found.trigger_ms)
            if gap is not None and why is None:
                gaps.append(_closed(gap, look.now_ms))
            continue
        change = _judge(look, before.looked_ms, health, gap, _Judged(pair, found, why, is_late))
        if change.health != health:
            pairs[pair] = change.health
        if change.gap is not None:
            gaps.append(change.gap)
    dropped = [pair for pair in before.pairs if pair not in look.seen]
    gaps += [_closed(gap, look.now_ms) for pair, gap in open_gaps.items() if pair not in look.seen]
    return CoverageChange(look.good_ms, bool(look.reached), pairs, dropped, gaps)


def after_failure(before: Coverage, open_gaps: Mapping[Pair, Gap], now_ms: int) -> CoverageChange:
    """Return what it changes that the registrar could not look: of no hook is known whether it still serves."""
    return _only_opened(dict.fromkeys(before.pairs, GapWhy.UNKNOWN), before, open_gaps, now_ms)


def before_mending(
    found: Mapping[Pair, Seen], before: Coverage, open_gaps: Mapping[Pair, Gap], now_ms: int
) -> CoverageChange:
    """Return what it changes that a person is about to mend hooks: the next look would find them healthy."""
    troubles = {pair: one.why for pair, one in found.items() if one.why is not None and pair in before.pairs}
    return _only_opened(troubles, before, open_gaps, now_ms)


def _only_opened(
    troubles: Mapping[Pair, GapWhy], before: Coverage, open_gaps: Mapping[Pair, Gap], now_ms: int
) -> CoverageChange:
    gaps = [
        _opened(pair, before.pairs[pair], why, before.looked_ms, now_ms)
        for pair, why in troubles.items()
        if pair not in open_gaps
    ]
    return CoverageChange(None, is_reached=False, pairs={}, dropped=(), gaps=gaps)


@dataclass(frozen=True, slots=True)
class _Judged:
    pair: Pair
    found: Seen
    why: GapWhy | None
    is_late: bool


@dataclass(frozen=True, slots=True)
class _PairChange:
    health: PairHealth
    gap: Gap | None = None


def _judge(look: Look, looked_ms: int, health: PairHealth, gap: Gap | None, one: _Judged) -> _PairChange:
    now_ms, found = look.now_ms, one.found
    after = replace(health, errors=found.errors, trigger_ms=found.trigger_ms)
    why = one.why or (GapWhy.ERRORS if _has_failed(health, found) else None)
    if why is not None:
        return _PairChange(after, None if gap else _opened(one.pair, health, why, looked_ms, now_ms))
    well = replace(after, since_ms=look.good_ms)
    if gap is not None:
        return _PairChange(well, _closed(gap, now_ms))
    if one.is_late or _is_reset(health, found):
        return _PairChange(well, _closed(_opened(one.pair, health, GapWhy.UNKNOWN, looked_ms, now_ms), now_ms))
    if _is_missed(look, health, one):
        missed = _opened(one.pair, health, GapWhy.UNKNOWN, looked_ms, min(now_ms, found.trigger_ms))
        return _PairChange(well, _closed(missed, now_ms))
    return _PairChange(after)


def _has_failed(health: PairHealth, found: Seen) -> bool:
    """Whether a call failed since the last look. Failures are counted in a row: a lower count has begun anew since."""
    return found.errors not in (0, health.errors)


def _is_reset(health: PairHealth, found: Seen) -> bool:
    """Whether the count of failures is over without a success: somebody enabled the hook between two looks."""
    return health.errors > 0 and found.errors == 0 and found.trigger_ms == health.trigger_ms


def _is_missed(look: Look, health: PairHealth, one: _Judged) -> bool:
    """Whether Nexudus says that it fired the hook, and nothing came; each such time opens one gap only."""
    at_ms = one.found.trigger_ms
    if at_ms == health.trigger_ms or not health.first_ms <= at_ms < look.now_ms - _LEAST_PATIENCE_MS:
        return False
    return at_ms > look.received.get(one.pair, 0) + _TRIGGER_LAG_MS


def _opened(pair: Pair, health: PairHealth, why: GapWhy, looked_ms: int, latest_ms: int) -> Gap:
    """Return a gap that begins at the last good look, and at *latest_ms* at the latest: clocks are set back.

    It does not begin before we looked after the hook: nobody wanted its events then.
    """
    from_ms = min(looked_ms, latest_ms) - OVERLAP_MS
    return opened(pair, max(from_ms, health.first_ms) if health.first_ms <= latest_ms else from_ms, why, looked_ms)


def _closed(gap: Gap, now_ms: int) -> Gap:
    return replace(gap, to_ms=max(now_ms, gap.from_ms), state=GapState.HEALING)
