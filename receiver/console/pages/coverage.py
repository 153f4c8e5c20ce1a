"""Coverage: for each location and action whether anything was missed, and what became of it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from receiver.console.framework.page import Facts, Page, PageRequest
from receiver.core import timestamps
from receiver.nexudus import actions
from receiver.storage.shared.gap_ledger import Coverage, Gap, GapState, GapWhy, Pair

_MOST_GAPS: Final = 200
_MOST_BUSINESSES: Final = 30
SOLID: Final = "solid"

_WORDS: Final = {
    GapState.OPEN: "gap open",
    GapState.HEALING: "healing",
    GapState.CONFIRM: "needs confirmation",
    GapState.HEALED: "healed",
    GapState.CANNOT: "cannot be known",
}

_CAUSES: Final = {
    GapWhy.DISABLED: "the webhook was disabled",
    GapWhy.MISSING: "the webhook was missing",
    GapWhy.ERRORS: "calls of the webhook failed",
    GapWhy.RECEIVER_DOWN: "no receiver answered",
    GapWhy.UNKNOWN: "nobody knows whether the webhook worked",
}


def facts(request: PageRequest) -> Facts:
    """The state of each hook, and the gaps, those that are not healed first."""
    ledger, names = request.services.gaps, request.services.names.all()
    coverage, gaps = ledger.coverage(), ledger.gaps()
    newest = {gap.pair: gap for gap in gaps}
    businesses = sorted({business for business, _ in (*coverage.pairs, *newest)})
    listed = sorted(gaps, key=lambda gap: (gap.state is GapState.HEALED, -gap.from_ms))
    return {
        "looked_at": timestamps.show(coverage.looked_ms) if coverage.looked_ms else None,
        "businesses": [
            {
                "business_id": business,
                "business": names.get(business),
                "actions": _cells(business, coverage, newest),
            }
            for business in businesses[:_MOST_BUSINESSES]
        ],
        "more_businesses": max(len(businesses) - _MOST_BUSINESSES, 0),
        "gaps": [gap.as_json(names) for gap in listed[:_MOST_GAPS]],
        "number": len(gaps),
    }


def _cells(business: int, coverage: Coverage, newest: Mapping[Pair, Gap]) -> dict[str, dict[str, str]]:
    """Return the state of each action at one location, with a sentence that explains it."""
    found = {action for place, action in (*coverage.pairs, *newest) if place == business}
    return {action: _cell((business, action), coverage, newest) for action in _ordered(found)}


def _cell(pair: Pair, coverage: Coverage, newest: Mapping[Pair, Gap]) -> dict[str, str]:
    health, gap = coverage.pairs.get(pair), newest.get(pair)
    if gap is None:
        since = _minute(health.since_ms if health else None)
        return {"state": SOLID, "why": f"healthy at each look since {since} UTC"}
    return {"state": gap.state.value, "why": _sentence(gap)}


def _sentence(gap: Gap) -> str:
    begin, end = _minute(gap.from_ms), "now" if gap.to_ms is None else _minute(gap.to_ms)
    told = f"{_WORDS[gap.state]}: {_CAUSES[gap.why]}, UTC {begin} to {end}"
    counts = f"; {gap.found} found, {gap.made} made, {gap.known} known, {gap.gone} gone" if gap.to_ms else ""
    return told + counts + (f"; {gap.cannot}" if gap.cannot else "")


def _minute(at_ms: int | None) -> str:
    return (timestamps.show(at_ms) or "")[:16].replace("T", " ")


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (actions.code_of(name) or 0, name))


def more(_request: PageRequest, values: Facts) -> Mapping[str, Any]:
    """What only the page needs: all actions of the table's rows, and a word for each state."""
    found = {action for one in values["businesses"] for action in one["actions"]}
    return {
        "rows": _ordered(found),
        "causes": {why.value: cause for why, cause in _CAUSES.items()},
        "words": {state.value: word for state, word in _WORDS.items()} | {SOLID: "healthy"},
    }


_COLUMNS: Final = ("business_id", "action", "-from", "-to", "why", "state", "-found", "-made")
PAGE: Final = Page("/coverage", "Coverage", "coverage.html", facts, more, tables={"gaps": _COLUMNS})
