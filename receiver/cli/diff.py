"""A plan for people: a coloured diff. Tokens in URLs are secrets and are cut short."""

import re

from rich.console import Console
from rich.text import Text

from receiver.cli import output
from receiver.registrar.change import Change, Op, State
from receiver.registrar.plan import Plan

_MARKS = {Op.CREATE: ("+", "green"), Op.UPDATE: ("~", "yellow"), Op.DEACTIVATE: ("-", "red"), Op.DELETE: ("-", "red")}
_TOKEN = re.compile(r"(/hooks/[^/]+/[^/]+/[^/]{1,4})[^/]*$")


def show(plan: Plan) -> None:
    """Print the plan."""
    console = Console(highlight=False, soft_wrap=True)
    for change in plan.changes:
        mark, colour = _MARKS[change.op]
        console.print(Text(f"{mark} {subject(change)}: {_words(change)}", style=colour))
    console.print(Text(_summary(plan), style="bold"))


def subject(change: Change) -> str:
    """Return which registration a change is about."""
    number = f" #{change.hook_id}" if change.hook_id is not None else ""
    return output.plain(f"{change.business_id} {change.action}{number}")


def _words(change: Change) -> str:
    if change.op is Op.CREATE and change.after is not None:
        return f"create {shown_url(change.after.url)}"
    if change.op is Op.UPDATE and change.before is not None and change.after is not None:
        return "; ".join(_differences(change.before, change.after))
    return f"{change.op.value}, {change.why}"


def _differences(before: State, after: State) -> list[str]:
    pairs = [
        ("url", shown_url(before.url), shown_url(after.url)),
        ("name", output.plain(before.name), after.name),
        ("action", before.action, after.action),
        ("active", str(before.active).lower(), str(after.active).lower()),
    ]
    return [f"{name} {old or 'empty'} -> {new}" for name, old, new in pairs if old != new]


def shown_url(url: str) -> str:
    """Return *url* with its token cut short."""
    return output.plain(_TOKEN.sub(r"\1...", url))


def _summary(plan: Plan) -> str:
    counts = {op: sum(change.op is op for change in plan.changes) for op in Op}
    doing = ", ".join(f"{count} to {op.value}" for op, count in counts.items() if count) or "nothing to change"
    text = f"{doing}; {plan.unchanged} unchanged, {plan.foreign} foreign, {len(plan.elsewhere)} elsewhere"
    homes = sorted({owned.home for owned in plan.elsewhere})
    return output.plain(text + (f" ({', '.join(homes[:5])}; --move-from moves them here)" if homes else ""))
