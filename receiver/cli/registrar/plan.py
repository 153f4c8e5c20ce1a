"""`frontdesk plan` and `frontdesk apply`: what would change at Nexudus, and changing it."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from receiver.cli.registrar import apply_plan
from receiver.cli.registrar.factory import RegistrarTools, opened
from receiver.cli.ui import option_values, output, terminal
from receiver.core.errors import UsageError
from receiver.registrar import probe, wording
from receiver.registrar.apply import Applied
from receiver.registrar.change import Op
from receiver.registrar.plan import Plan, Scope

_MARKS = {Op.CREATE: ("+", "green"), Op.UPDATE: ("~", "yellow"), Op.DEACTIVATE: ("-", "red"), Op.DELETE: ("-", "red")}


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far a plan goes.

    Parameters
    ----------
    prune
        Delete webhooks that are no longer routed instead of deactivating them; requires the role WebHook-Delete.
    move_from
        Move webhooks that our URL keys made for this other public URL here; may be given several times.
    """

    prune: bool = False
    move_from: Annotated[list[str] | None, Parameter(negative="")] = None

    def scope(self) -> Scope:
        """Return what is asked for. Raises UsageError."""
        for url in self.move_from or ():
            if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
                raise UsageError(f"--move-from {url!r}: must be a public URL, as in https://old.example.com")
        return Scope(self.prune, tuple(self.move_from or ()))


ReachOptions = Annotated[Reach, Parameter(name="*")]
NEAR = Reach()


def plan(*, reach: ReachOptions = NEAR, json: bool = False) -> int:
    """Show what would change at Nexudus so that its webhooks follow routes.yaml. Changes nothing.

    Exits 2 when something would change, 0 when nothing would.

    Parameters
    ----------
    json
        Print one JSON object.
    """
    scope = reach.scope()
    with opened("plan") as registrar:
        wanted = registrar.planner.wanted(registrar.routes())
        made = _timed(registrar, registrar.planner.plan(wanted, scope))
        names = registrar.names()
    _show(made, names, json=json)
    return 2 if made.changes else 0


def apply(
    *, reach: ReachOptions = NEAR, force: bool = False, yes: bool = False, wait: str = "10m", json: bool = False
) -> int:
    """Bring the webhooks at Nexudus in step with routes.yaml. Shows the plan and asks first. It is safe to repeat.

    Parameters
    ----------
    force
        Continue although more than 30 % of our webhooks (and more than three) would be deactivated or deleted.
    yes
        Do not ask for confirmation; needed without a terminal.
    wait
        How long to wait while another apply runs: a duration such as 10m, or plain seconds.
    json
        Print one JSON object: the changes that are done, pending and failed.
    """
    patience_s = option_values.duration_ms("--wait", wait) / 1_000
    if json and not yes:
        raise UsageError("apply --json cannot ask for confirmation; add --yes, or run plan --json first")
    scope = reach.scope()
    with opened("apply") as registrar:
        wanted = registrar.planner.wanted(registrar.routes())
        shown = _timed(registrar, registrar.planner.plan(wanted, scope))
        names = registrar.names()
        if not json:
            _show(shown, names, json=False)
        _warn_of_moves(registrar, shown)
        if shown.changes and not yes:
            apply_plan.check(shown, force=force)
            _ask(shown)
        with apply_plan.locked(registrar, patience_s) as fence:
            applied = apply_plan.carry_out(
                registrar,
                partial(registrar.planner.plan, wanted, scope),
                wanted,
                fence,
                force=force,
                is_agreed=lambda fresh: yes or fresh.changes == shown.changes,
            )
    return _report(applied, names, json=json)


def _timed(registrar: RegistrarTools, made: Plan) -> Plan:
    """Return *made* with a warning of when it will be done, where it takes more writes than a day allows."""
    a_day = registrar.settings.nexudus_writes_per_day
    days = (len(made.changes) - 1) // a_day
    if days < 1:
        return made
    until = datetime.now(UTC) + timedelta(days=days)
    told = (
        f"{len(made.changes)} changes are more than the {a_day} writes a day that Nexudus allows: apply will be done by"
        f" {until:%Y-%m-%dT%H:%M}Z at the earliest"
    )
    return dataclasses.replace(made, warnings=(*made.warnings, told))


def _show(made: Plan, names: Mapping[int, str], *, json: bool) -> None:
    if json:
        output.json_line(made.as_json(names))
    else:
        _print(made, names)
    for warning in made.warnings:
        output.warn(warning)


def _print(made: Plan, names: Mapping[int, str]) -> None:
    """Print the plan as a coloured diff."""
    console = Console(highlight=False, soft_wrap=True)
    for change in made.changes:
        mark, colour = _MARKS[change.op]
        console.print(Text(f"{mark} {wording.subject(change, names)}: {wording.words(change)}", style=colour))
    console.print(Text(_summary(made), style="bold"))


def _summary(made: Plan) -> str:
    counts = {op: sum(change.op is op for change in made.changes) for op in Op}
    doing = ", ".join(f"{count} to {op.value}" for op, count in counts.items() if count) or "nothing to change"
    text = f"{doing}; {made.unchanged} unchanged, {made.foreign} foreign, {len(made.elsewhere)} elsewhere"
    homes = sorted({owned.home for owned in made.elsewhere})
    return output.plain(text + (f" ({', '.join(homes[:5])}; --move-from moves them here)" if homes else ""))


def _warn_of_moves(registrar: RegistrarTools, shown: Plan) -> None:
    """Say when hooks that work are to leave their URL for one that a receiver may not know yet."""
    moving = sum(change.rotates for change in shown.changes)
    url, keys = registrar.settings.public_url, registrar.ownership.keys
    if not moving or url is None:
        return
    why = probe.unreachable(url, keys) or probe.behind(url, keys)
    if why:
        output.warn(
            f"{moving} webhooks get URLs of the first URL key, and {why}: until every receiver has that key, events"
            " that arrive there are answered 404"
        )


def _ask(shown: Plan) -> None:
    if not terminal.agreed("apply", f"Make these {len(shown.changes)} changes at Nexudus?", yes=False):
        raise UsageError("nothing was changed")


def _report(applied: Applied, names: Mapping[int, str], *, json: bool) -> int:
    if json:
        output.json_line(
            {
                "done": [change.as_json(names) for change in applied.done],
                "pending": [change.as_json(names) for change in applied.pending],
                "failed": [
                    {
                        **failure.change.as_json(names),
                        "error": str(failure.error),
                        "properties": failure.error.properties,
                    }
                    for failure in applied.failed
                ],
            }
        )
    elif applied.done:
        output.say(f"Done: {len(applied.done)} changes, confirmed by a fresh list.")
    elif applied.is_complete:
        output.say("Nothing to do.")
    for failure in applied.failed[:20]:
        output.warn(f"{wording.subject(failure.change, names)}: {failure.error}")
    for change in applied.pending[:20]:
        output.warn(f"{wording.subject(change, names)}: pending: Nexudus does not show the change; run apply again")
    if applied.is_complete:
        return 0
    output.warn(
        f"the apply is incomplete: {len(applied.pending)} changes are pending, {len(applied.failed)} were refused"
    )
    return 1
