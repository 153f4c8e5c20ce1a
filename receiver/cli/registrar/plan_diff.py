"""A plan for people: a coloured diff."""

from rich.console import Console
from rich.text import Text

from receiver.cli.ui import output
from receiver.registrar import wording
from receiver.registrar.change import Op
from receiver.registrar.plan import Plan

_MARKS = {Op.CREATE: ("+", "green"), Op.UPDATE: ("~", "yellow"), Op.DEACTIVATE: ("-", "red"), Op.DELETE: ("-", "red")}


def show(plan: Plan) -> None:
    """Print the plan."""
    console = Console(highlight=False, soft_wrap=True)
    for change in plan.changes:
        mark, colour = _MARKS[change.op]
        console.print(Text(f"{mark} {wording.subject(change)}: {wording.words(change)}", style=colour))
    console.print(Text(_summary(plan), style="bold"))


def _summary(plan: Plan) -> str:
    counts = {op: sum(change.op is op for change in plan.changes) for op in Op}
    doing = ", ".join(f"{count} to {op.value}" for op, count in counts.items() if count) or "nothing to change"
    text = f"{doing}; {plan.unchanged} unchanged, {plan.foreign} foreign, {len(plan.elsewhere)} elsewhere"
    homes = sorted({owned.home for owned in plan.elsewhere})
    return output.plain(text + (f" ({', '.join(homes[:5])}; --move-from moves them here)" if homes else ""))
