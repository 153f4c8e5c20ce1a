"""Writes the gap ledger, after each look of the registrar and when it could not look; `gap_rules` decides what."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from receiver.registrar import gap_rules
from receiver.registrar.gap_rules import Look
from receiver.registrar.plan import Plan, WantedHooks
from receiver.storage.shared.gap_ledger import CoverageChange, Gap, GapLedger, GapState, Pair
from receiver.storage.shared.registrar_state import RegistrarState

_JUMP_MS: Final = 60_000
"""By how much a clock differs from the time that passed before that is worth a word."""


class GapKeeper:
    """Writes what looks say. *every_ms*: how often they come; *steady*: seconds, by a clock that nobody sets. Every
    method raises StorageUnavailable."""

    def __init__(
        self,
        ledger: GapLedger,
        memory: RegistrarState,
        *,
        every_ms: int,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._memory = memory
        self._every_ms = every_ms
        self._steady = steady
        self._looked_at: tuple[int, float] | None = None
        self._log = structlog.get_logger()

    def looked(
        self,
        plan: Plan,
        wanted: WantedHooks,
        unreachable: Callable[[], str | None],
        *,
        now_ms: int,
        began_ms: int = 0,
    ) -> CoverageChange:
        """Note what a look found. *unreachable*: why the receiver cannot be reached, in one clause, or None."""
        before, still_open = self._ledger.coverage(), self._open()
        look = Look(
            now_ms=now_ms,
            every_ms=self._every_ms,
            seen=gap_rules.seen(plan, wanted.pairs()),
            received=self._memory.last_received(),
            reached=unreachable() is None,
            began_ms=began_ms,
        )
        self._tell_of_the_clock(now_ms, before.looked_ms)
        change = gap_rules.after_look(look, before, still_open)
        self._ledger.apply(change)
        self._log_gaps(change.gaps)
        self._ledger.tidy(now_ms)
        return change

    def could_not_look(self, *, now_ms: int) -> None:
        """Note that the registrar could not look: Nexudus did not answer, or not as it should."""
        self._open_only(gap_rules.after_failure(self._ledger.coverage(), self._open(), now_ms))

    def mending(self, plan: Plan, wanted: WantedHooks, *, now_ms: int) -> None:
        """Note which hooks a person is about to mend: between two looks, nobody else would know that they were bad."""
        found = gap_rules.seen(plan, wanted.pairs())
        self._open_only(gap_rules.before_mending(found, self._ledger.coverage(), self._open(), now_ms))

    def _tell_of_the_clock(self, now_ms: int, looked_ms: int) -> None:
        """Log that the clock of this machine was set, which shifts where gaps begin and may open one for every hook."""
        before, steady = self._looked_at, self._steady()
        self._looked_at = now_ms, steady
        ahead_ms = now_ms - before[0] - int((steady - before[1]) * 1_000) if before else min(now_ms - looked_ms, 0)
        if abs(ahead_ms) < _JUMP_MS:
            return
        if ahead_ms > 0:
            what = "went ahead, or it slept; a gap is opened for every webhook, and back-fill looks at all of it"
        else:
            what = "went back; gaps begin 15 minutes before the earlier of both times"
        self._log.warning("clock.jumped", ahead_s=ahead_ms // 1_000, reason=f"the clock of this machine {what}")

    def _open_only(self, change: CoverageChange) -> None:
        self._ledger.apply(change)
        self._log_gaps(change.gaps)

    def _open(self) -> dict[Pair, Gap]:
        return {gap.pair: gap for gap in self._ledger.gaps() if gap.state is GapState.OPEN}

    def _log_gaps(self, gaps: Iterable[Gap]) -> None:
        """Log how many gaps opened and closed; one line for each cause, because a location has up to 89 of them."""
        opened = Counter(gap.why for gap in gaps if gap.to_ms is None)
        for why, number in sorted(opened.items()):
            self._log.warning("gaps.opened", why=why.value, number=number)
        if closed := sum(gap.to_ms is not None for gap in gaps):
            self._log.info("gaps.closed", number=closed)
