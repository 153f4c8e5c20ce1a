"""`frontdesk backfill`: makes events of what no webhook brought; also the first load of a new system."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from cyclopts import Parameter

from receiver.cli.registrar import gap_filling
from receiver.cli.registrar.factory import RegistrarTools, opened
from receiver.cli.ui import output, terminal
from receiver.core.errors import SettingsError
from receiver.core.sanitize import counted
from receiver.reconcile.backfill_request import BackfillRequest, Watcher
from receiver.reconcile.backfill_run import BackfillReport
from receiver.routing.table import RoutingTable
from receiver.storage.redis import schema_version
from receiver.storage.shared.audit_log import operator
from receiver.storage.shared.gap_ledger import Gap, GapState


@dataclass(frozen=True, kw_only=True)
class Wanted(BackfillRequest):
    """What is back-filled.

    Parameters
    ----------
    since
        a time (2026-05-01T12:00:00Z), a date, or an age (365d): everything since then, whether there was a gap or not
    until
        as --since; now unless given
    gap
        only the gap with this id; may be repeated
    action
        only this action; may be repeated
    business
        only this location; may be repeated
    route
        only for this route; may be repeated
    include
        weak: also events that Nexudus does not prove, and that are only probable
    dry_run
        make no events; print how many there would be
    yes
        do not ask for confirmation; needed without a terminal
    json
        print one object
    """

    dry_run: bool = False
    yes: bool = False
    json: bool = False


def backfill(wanted: Annotated[Wanted, Parameter(name="*")] = Wanted()) -> int:
    """Find changes for which no webhook arrived, through the API of Nexudus, and make their events.

    Without --since it fills the gaps of `frontdesk gaps` that are due or wait for a person. With --since it looks at
    all changes since then. An event that is stored already is not made again.
    """
    with opened("backfill", needs=(), alone=False, can_wait=True) as registrar:
        if registrar.store is None:
            raise SettingsError("backfill needs Redis; set FRONTDESK_REDIS_URL")
        schema_version.settle(registrar.store)
        table = registrar.routes()
        gaps = gap_filling.chosen(registrar, table, wanted)
        if not gaps:
            _show_none(wanted)
            return 0
        if not wanted.dry_run and not terminal.agreed(
            "backfill", f"Back-fill {counted(len(gaps), 'gap')}? Handlers will run for what is found.", yes=wanted.yes
        ):
            return 1
        report = _fill(registrar, table, wanted, gaps)
        _show(report, wanted)
        return int(any(gap.state is GapState.HEALING for gap in report.gaps) and not wanted.dry_run)


def _fill(registrar: RegistrarTools, table: RoutingTable, wanted: Wanted, gaps: Sequence[Gap]) -> BackfillReport:
    with _Progress() as progress:
        watcher = Watcher(
            waiting=lambda who: output.warn(f"{who} is filling gaps; waiting for it"),
            asked=progress.asked,
            expect=progress.expect,
            read=progress.read,
            begin=progress.begin,
            advance=lambda number: progress.advance(number),
        )
        return gap_filling.fill(registrar, table, wanted, gaps, who=operator(), watcher=watcher, is_dry=wanted.dry_run)


class _Progress:
    """Two bars, one after the other: the pages that are asked for, and the events that are made."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.expect, self.read = self._stack.enter_context(terminal.growing_bar("Asking Nexudus, pages"))
        self.advance: terminal.Advance = lambda _number: None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def asked(self, kind: str) -> None:
        """Say what is asked for, where no bar tells that something goes on."""
        if not sys.stderr.isatty():
            output.warn(f"asking for {kind}")

    def begin(self, number: int) -> None:
        """Nexudus was asked; so many events are to be made."""
        self._stack.close()
        self.advance = self._stack.enter_context(terminal.bar("Making events", lambda: number))


def _show_none(wanted: Wanted) -> None:
    if wanted.json:
        _show(BackfillReport((), calls=0), wanted)
    else:
        output.say("No gap is due: `frontdesk gaps` lists all; --since looks at a time without one.")


def _show(report: BackfillReport, wanted: Wanted) -> None:
    """Say for each action what was found, and why something cannot be known."""
    by_action: dict[str, list[Gap]] = {}
    for gap in report.gaps:
        by_action.setdefault(gap.action, []).append(gap)
    rows = [(action, *_sums(some).values(), _why(some)) for action, some in by_action.items()]
    if wanted.json:
        output.json_line(
            {
                "dry_run": wanted.dry_run,
                **_sums(report.gaps),
                "completed": report.completed,
                "calls": report.calls,
                "calls_left": report.calls_left,
                "actions": [
                    {"action": action, **_sums(some), "cannot": _why(some) or None}
                    for action, some in by_action.items()
                ],
            }
        )
        return
    made = "to make" if wanted.dry_run else "made"
    output.table(("action", "found", made, "known", "gone", "remark"), rows)
    total = sum(gap.made for gap in report.gaps)
    if wanted.dry_run:
        output.say(
            f"{counted(total, 'event')} to make. It cost {counted(report.calls, 'call')} to Nexudus to count them, and "
            f"takes about {report.calls_left} more to make them."
        )
        return
    more = f", and {counted(report.completed, 'delivery')} of kept events" if report.completed else ""
    output.say(f"{counted(total, 'event')} made{more}, with {counted(report.calls, 'call')} to Nexudus.")


def _sums(gaps: Sequence[Gap]) -> dict[str, int]:
    return {name: sum(getattr(gap, name) for gap in gaps) for name in ("found", "made", "known", "gone")}


def _why(gaps: Sequence[Gap]) -> str:
    return "; ".join(dict.fromkeys(gap.cannot for gap in gaps if gap.cannot))
