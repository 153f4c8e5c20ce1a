"""`frontdesk gaps`: the intervals in which a hook was not known to be healthy, and what became of them."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from receiver.cli.context import Context
from receiver.cli.ui import output
from receiver.core import timestamps
from receiver.core.errors import UsageError
from receiver.core.sanitize import counted
from receiver.core.suggest import hint
from receiver.storage.shared.gap_ledger import Gap, GapLedger, GapState

_COLOURS = {
    GapState.OPEN: "red",
    GapState.HEALING: "yellow",
    GapState.CONFIRM: "yellow",
    GapState.HEALED: "green",
    GapState.CANNOT: "red",
}

_HEADINGS = (
    *("business", "name", "action", "from (UTC)", "to", "why", "state"),
    *("found", "made", "known", "gone", "remark"),
)

_NEXT = {
    GapState.OPEN: "open: the webhook is not healthy yet; `frontdesk hooks` says why",
    GapState.HEALING: "healing: `frontdesk watch` fills it by itself",
    GapState.CONFIRM: "confirm: waits for you; `frontdesk backfill --dry-run` counts its events, without --dry-run it"
    " makes them",
    GapState.CANNOT: "cannot: the remark says what is missing; once that is mended, `frontdesk backfill` tries again",
}


def gaps(
    *,
    action: str | None = None,
    business: int | None = None,
    state: str | None = None,
    json: Annotated[bool, Parameter(help="one JSON object per line")] = False,
) -> None:
    """List the intervals in which a webhook was not known to be healthy, oldest first, and what became of each.

    The registrar (`frontdesk watch`) keeps this list. A gap stays in it for 31 days after it was closed.

    Parameters
    ----------
    action
        Only gaps of this action.
    business
        Only gaps of this location.
    state
        open, healing, confirm, healed or cannot
    """
    if state is not None and state not in set(GapState):
        raise UsageError(f"--state: {state[:60]!r} is not a state{hint(state, [one.value for one in GapState])}")
    context = Context()
    found = [
        gap
        for gap in GapLedger(context.client).gaps()
        if (action is None or gap.action == action)
        and (business is None or gap.business_id == business)
        and (state is None or gap.state == state)
    ]
    names = context.names
    if json:
        for gap in found:
            output.json_line(gap.as_json(names))
        return
    if found:
        output.table(_HEADINGS, [_row(gap, names) for gap in found])
    _sum_up(found)


def _sum_up(found: Sequence[Gap]) -> None:
    """Say how many there are, and what comes next for those that are not healed."""
    undone = sum(gap.state != GapState.HEALED for gap in found)
    output.say(f"{counted(len(found), 'gap')}, {undone} not healed")
    for one, sentence in _NEXT.items():
        if any(gap.state is one for gap in found):
            output.say(sentence)


def _row(gap: Gap, names: dict[int, str]) -> tuple[object, ...]:
    return (
        gap.business_id,
        names.get(gap.business_id, ""),
        gap.action,
        _minute(gap.from_ms),
        _minute(gap.to_ms),
        gap.why.value,
        Text(gap.state.value, style=_COLOURS[gap.state]),
        gap.found,
        gap.made,
        gap.known,
        gap.gone,
        gap.cannot,
    )


def _minute(at_ms: int | None) -> str:
    return (timestamps.show(at_ms) or "")[5:16].replace("T", " ")
