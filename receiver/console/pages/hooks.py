"""The hooks at Nexudus: their health, the plan, and applying it."""

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from receiver.console.framework.bulk_tasks import Progress, ProgressReport
from receiver.console.framework.hooks_cache import NEEDS_ATTENTION, HooksSnapshot, digest_of
from receiver.console.framework.page import Done, Facts, Operation, Page, PageRequest
from receiver.console.selection import bulk_selection
from receiver.core import timestamps
from receiver.core.errors import FrontdeskError, UnsafePlan
from receiver.process import logs
from receiver.registrar import wording
from receiver.registrar.plan import Plan

_MOST_ROWS: Final = 1_000


def facts(request: PageRequest) -> Facts:
    """Our registrations, and the plan. Query: `prune=yes` to plan deletions, `look=yes` to ask Nexudus again."""
    values: Facts = {
        "hooks": [],
        "problem": None,
        "plan": None,
        "seen_s": None,
        "progress": bulk_selection.progress(request),
    }
    try:
        seen = request.services.hooks.look(fresh=request.asked("look") == "yes", prune=_is_pruning(request))
    except FrontdeskError as error:
        return values | {"problem": str(error), "received": _received(request), "number": 0, "trouble": 0}
    order = sorted(seen.rows, key=lambda row: row.condition not in NEEDS_ATTENTION)
    return values | {
        "hooks": [row.as_json(request.services.names.all()) for row in order[:_MOST_ROWS]],
        "number": len(seen.rows),
        "trouble": seen.trouble,
        "problem": seen.problem,
        "plan": _plan(seen.plan, request.services.names.all()) if seen.plan else None,
        "seen_s": round(time.monotonic() - seen.at),
        "received": [],
    }


def _is_pruning(request: PageRequest) -> bool:
    return request.asked("prune") == "yes"


def _plan(plan: Plan, names: Mapping[int, str]) -> dict[str, Any]:
    """A plan without the URLs, which hold tokens."""
    try:
        plan.check_safe()
        unsafe = None
    except UnsafePlan as error:
        unsafe = str(error).partition(";")[0]
    return {
        "digest": digest_of(plan),
        "changes": [
            {
                "op": str(change.op),
                "business_id": change.business_id,
                "business": names.get(change.business_id),
                "action": change.action,
                "hook_id": change.hook_id,
                "subject": wording.subject(change, names),
                "words": wording.words(change),
            }
            for change in plan.changes
        ],
        "unchanged": plan.unchanged,
        "foreign": plan.foreign,
        "elsewhere": len(plan.elsewhere),
        "warnings": list(plan.warnings),
        "unsafe": unsafe,
    }


def _received(request: PageRequest) -> list[dict[str, Any]]:
    """What the store knows about hooks, for when Nexudus cannot be asked."""
    found = sorted(request.services.store_status.received().items())[:_MOST_ROWS]
    names = request.services.names.all()
    return [
        {
            "business_id": business,
            "business": names.get(business),
            "action": action,
            "last_received_at": timestamps.show(at),
        }
        for (business, action), at in found
    ]


def more(request: PageRequest, values: Facts) -> Mapping[str, Any]:
    """What only the page needs."""
    return {"now_ms": request.services.store_status.now_ms(), "is_pruning": _is_pruning(request)}


def apply(request: PageRequest) -> Done:
    """Carry out the plan that was shown. Form: `digest` of it, `prune`, and `force` when it takes much away."""
    digest = request.asked("digest") or ""
    prune, force = _is_pruning(request), request.asked("force") == "yes"
    registry, who = request.services.hooks, request.session.identity.name
    plan = registry.agreed(digest, prune=prune)
    if not force:
        plan.check_safe()

    def run(count: ProgressReport, stop: threading.Event) -> str:
        del stop  # the registrar ends by itself; what it has begun at Nexudus it also checks
        return registry.apply(digest, lambda: count(""), who=who, prune=prune, force=force)

    request.services.bulk.start(Progress("apply", who, len(plan.changes), "changes"), run)
    logs.get().info("apply.begun", who=who, changes=len(plan.changes), prune=prune, force=force)
    return Done("The plan is being carried out.", "/hooks", {"changes": len(plan.changes)})


def summary(seen: HooksSnapshot | None) -> dict[str, Any] | None:
    """The hooks in numbers, for the overview."""
    return {"number": len(seen.rows), "trouble": seen.trouble, "problem": seen.problem} if seen else None


_TABLES: Final = {
    "hooks": ("action", "business_id", "state", "-last_trigger", "-last_received_at", "-error_count", "last_error"),
    "received": ("action", "business_id", "-last_received_at"),
}
PAGE: Final = Page("/hooks", "Hooks", "hooks.html", facts, more, tables=_TABLES)
OPERATIONS: Final = (Operation("/hooks/apply", apply),)
