"""The registrar as the console uses it: put together from the settings for each look, apply and back-fill."""

import contextlib
import time
from collections.abc import Callable

from receiver.cli.registrar import apply_plan, gap_filling, hooks
from receiver.cli.registrar.factory import RegistrarTools, opened
from receiver.console.framework.hooks_cache import HooksSnapshot, digest_of
from receiver.core.errors import FrontdeskError
from receiver.reconcile.backfill_request import BackfillRequest, Watcher
from receiver.registrar import hook_health
from receiver.registrar.plan import Plan, Scope, WantedHooks

_ROLE = "console"
_PATIENCE_S = 60.0


class RegistrarAdapter:
    """Looks at Nexudus, changes it, and fills gaps. Methods raise FrontdeskError with one sentence."""

    def look(self, *, prune: bool) -> HooksSnapshot:
        """Return every registration of ours and, as far as it is known what is wanted, what has to change."""
        with opened(_ROLE, needs=()) as registrar:
            try:
                registrar.settings.need("public_url", "url_keys")
                wanted = registrar.planner.wanted(registrar.routes())
            except FrontdeskError as error:
                return _seen(registrar, None, problem=f"What is wanted is not known: {error}")
            return _seen(registrar, wanted, prune=prune)

    def apply(
        self, digest: str, advanced: Callable[[], None], *, who: str, prune: bool, force: bool
    ) -> tuple[HooksSnapshot, str]:
        """Apply the plan of this digest. Returns what is there then, and what is not as it should be, or no text."""
        with opened(_ROLE) as registrar:
            wanted = registrar.planner.wanted(registrar.routes())
            looks = list[HooksSnapshot]()

            def plan() -> Plan:
                looks[:] = [_seen(registrar, wanted, prune=prune)]
                assert looks[0].plan is not None  # noqa: S101 -- it is known what is wanted; for the type checker
                return looks[0].plan

            with apply_plan.locked(registrar, _PATIENCE_S) as fence:
                applied = apply_plan.carry_out(
                    registrar,
                    plan,
                    wanted,
                    fence,
                    force=force,
                    is_agreed=lambda fresh: digest_of(fresh) == digest,
                    advanced=advanced,
                    who=who,
                )
        if applied.is_complete:
            return looks[0], ""
        first = f"; the first one: {applied.failed[0].error}" if applied.failed else ""
        return looks[0], f"{len(applied.pending)} changes are pending and {len(applied.failed)} were refused{first}"

    def gaps(self, wanted: BackfillRequest) -> int:
        """Return how many gaps a back-fill would fill."""
        with self._backfill() as registrar:
            return len(gap_filling.chosen(registrar, registrar.routes(), wanted, prefix=""))

    def fill(self, wanted: BackfillRequest, *, who: str, watcher: Watcher) -> int:
        """Fill gaps as an act of *who*, and return how many events it made."""
        with self._backfill() as registrar:
            table = registrar.routes()
            gaps = gap_filling.chosen(registrar, table, wanted, prefix="")
            report = gap_filling.fill(registrar, table, wanted, gaps, who=who, watcher=watcher)
        return sum(gap.made for gap in report.gaps)

    @staticmethod
    def _backfill() -> contextlib.AbstractContextManager[RegistrarTools]:
        return opened(_ROLE, needs=(), alone=False, can_wait=True)


def _seen(
    registrar: RegistrarTools, wanted: WantedHooks | None, *, prune: bool = False, problem: str | None = None
) -> HooksSnapshot:
    """List the hooks once, and say what has to change when it is known what is *wanted*."""
    existing = registrar.webhooks.list()
    made = None if wanted is None else registrar.planner.plan(wanted, Scope(prune=prune), existing)
    rows = hook_health.rows(existing, registrar.ownership, made, hooks.received(registrar))
    return HooksSnapshot(rows, made, problem, time.monotonic())
