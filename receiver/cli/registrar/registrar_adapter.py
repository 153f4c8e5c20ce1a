"""The registrar as the console uses it: put together from the settings for each look and each apply."""

import time
from collections.abc import Callable

from receiver.cli.registrar import apply_plan, hooks
from receiver.cli.registrar.factory import opened
from receiver.console.framework.hooks_cache import HooksSnapshot, digest_of
from receiver.core.errors import FrontdeskError, UsageError
from receiver.registrar import health
from receiver.registrar.plan import Plan, Scope

_ROLE = "console"
_PATIENCE_S = 60.0


class HookDesk:
    """Looks at Nexudus, and changes it. Both raise FrontdeskError with one sentence."""

    def look(self, *, prune: bool) -> HooksSnapshot:
        """Return every registration of ours and, as far as it is known what is wanted, what has to change."""
        with opened(_ROLE, needs=()) as registrar:
            existing = registrar.webhooks.list()
            made: Plan | None = None
            problem = None
            try:
                registrar.settings.need("public_url", "url_keys")
                made = registrar.survey.plan(registrar.survey.wanted(registrar.routes()), Scope(prune=prune))
            except FrontdeskError as error:
                problem = f"What is wanted is not known: {error}"
            rows = health.rows(existing, registrar.ownership, made, hooks.received(registrar))
            return HooksSnapshot(rows, made, problem, time.monotonic())

    def apply(self, digest: str, advanced: Callable[[], None], *, who: str, prune: bool, force: bool) -> str:
        """Carry out the plan of this digest. Returns what is not as it should be then, or an empty text."""
        with opened(_ROLE) as registrar:
            wanted, scope = registrar.survey.wanted(registrar.routes()), Scope(prune=prune)
            agreed = registrar.survey.plan(wanted, scope)
            if digest_of(agreed) != digest:
                raise UsageError("Nexudus changed since the plan was shown; nothing was done, look at the plan again")
            with apply_plan.locked(registrar, _PATIENCE_S) as fence:
                applied = apply_plan.carry_out(
                    registrar, wanted, scope, fence, force=force, expected=agreed, advanced=advanced, who=who
                )
        if applied.is_complete:
            return ""
        first = f"; the first one: {applied.failed[0].error}" if applied.failed else ""
        return f"{len(applied.pending)} changes are pending and {len(applied.failed)} were refused{first}"
