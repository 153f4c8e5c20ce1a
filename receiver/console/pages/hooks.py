"""Our registrations at Nexudus: their health, what has to change, and changing it."""

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from receiver.console.framework.bulk_tasks import Count, Progress
from receiver.console.framework.hooks_cache import TROUBLE, Seen, digest_of
from receiver.console.framework.page import Act, Done, Facts, Page
from receiver.console.framework.page_request import Visit
from receiver.console.pages import bulk_selection
from receiver.core import timestamps
from receiver.core.errors import FrontdeskError, UnsafePlan
from receiver.process import logs
from receiver.registrar import wording
from receiver.registrar.plan import Plan

_MOST_ROWS: Final = 1_000


def facts(visit: Visit) -> Facts:
    """Our registrations, and the plan. Query: `prune=yes` to plan deletions, `look=yes` to ask Nexudus anew."""
    told: Facts = {
        "hooks": [],
        "problem": None,
        "plan": None,
        "seen_s": None,
        "progress": bulk_selection.progress(visit),
    }
    try:
        seen = visit.desk.registry.look(fresh=visit.asked("look") == "yes", prune=_is_pruning(visit))
    except FrontdeskError as error:
        return told | {"problem": str(error), "received": _received(visit), "number": 0, "trouble": 0}
    order = sorted(seen.rows, key=lambda row: row.condition not in TROUBLE)
    return told | {
        "hooks": [row.as_json() for row in order[:_MOST_ROWS]],
        "number": len(seen.rows),
        "trouble": seen.trouble,
        "problem": seen.problem,
        "plan": _plan(seen.plan) if seen.plan else None,
        "seen_s": round(time.monotonic() - seen.at),
        "received": [],
    }


def _is_pruning(visit: Visit) -> bool:
    return visit.asked("prune") == "yes"


def _plan(plan: Plan) -> dict[str, Any]:
    """A plan without the URLs, which hold tokens."""
    try:
        plan.check_safe()
        unsafe = None
    except UnsafePlan as error:
        unsafe = str(error).partition(";")[0]
    return {
        "digest": digest_of(plan),
        "changes": [
            {"op": str(change.op), "subject": wording.subject(change), "words": wording.words(change)}
            for change in plan.changes
        ],
        "unchanged": plan.unchanged,
        "foreign": plan.foreign,
        "elsewhere": len(plan.elsewhere),
        "warnings": list(plan.warnings),
        "unsafe": unsafe,
    }


def _received(visit: Visit) -> list[dict[str, Any]]:
    """What the store itself knows of hooks, when Nexudus cannot be asked."""
    found = sorted(visit.desk.pulse.received().items())[:_MOST_ROWS]
    return [
        {"business_id": business, "action": action, "last_received_at": timestamps.show(at)}
        for (business, action), at in found
    ]


def more(visit: Visit, told: Facts) -> Mapping[str, Any]:
    """What only the page needs."""
    return {"now_ms": visit.desk.pulse.now_ms(), "is_pruning": _is_pruning(visit)}


def apply(visit: Visit) -> Done:
    """Carry out the plan that was shown. Form: `digest` of it, `prune`, and `force` when it takes much away."""
    digest = visit.asked("digest") or ""
    prune, force = _is_pruning(visit), visit.asked("force") == "yes"
    registry, who = visit.desk.registry, visit.session.identity.name
    plan = registry.agreed(digest, prune=prune)
    if not force:
        plan.check_safe()

    def run(count: Count, stop: threading.Event) -> str:
        del stop  # the registrar ends by itself; what it has begun at Nexudus it also checks
        return registry.apply(digest, lambda: count(""), who=who, prune=prune, force=force)

    visit.desk.bulk.start(Progress("apply", who, len(plan.changes), "changes"), run)
    logs.get().info("apply.begun", who=who, changes=len(plan.changes), prune=prune, force=force)
    return Done("The plan is being carried out.", "/hooks", {"changes": len(plan.changes)})


def summary(seen: Seen | None) -> dict[str, Any] | None:
    """What the overview says."""
    return {"number": len(seen.rows), "trouble": seen.trouble, "problem": seen.problem} if seen else None


PAGE: Final = Page("/hooks", "Hooks", "hooks.html", facts, more)
ACTS: Final = (Act("/hooks/apply", apply),)
