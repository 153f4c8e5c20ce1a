"""`frontdesk backfill`: makes events of what no webhook brought; also the first load of a new system."""

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Self

from cyclopts import Parameter

from receiver.cli.registrar.factory import RegistrarTools, opened
from receiver.cli.ui import output, terminal
from receiver.core import timestamps
from receiver.core.errors import SettingsError, UsageError
from receiver.core.sanitize import counted
from receiver.core.suggest import hint
from receiver.nexudus.actions import CODES
from receiver.nexudus.entities import Entities
from receiver.reconcile import windows
from receiver.reconcile.filling import Filling, Orders, Report, Tools
from receiver.reconcile.healing import LOCK, Restraint
from receiver.reconcile.selection import Selection
from receiver.routing.table import RoutingTable
from receiver.storage.redis import schema_version
from receiver.storage.shared.audit_log import AuditLog, operator
from receiver.storage.shared.gap_ledger import Gap, GapLedger, GapState, GapWhy
from receiver.storage.shared.lock import Lock

_DUE: Final = (GapState.HEALING, GapState.CONFIRM, GapState.CANNOT)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is back-filled.

    Parameters
    ----------
    since
        a time (2026-05-01T12:00:00Z), a date, or an age (365d): everything since then, whether there was a gap or not
    until
        as --since; now unless given
    action
        only this action; may be repeated
    business
        only this location; may be repeated
    route
        only for this route; may be repeated
    include
        weak: also what can only be guessed
    dry_run
        count, and make nothing
    yes
        do not ask
    """

    since: str | None = None
    until: str | None = None
    action: tuple[str, ...] = ()
    business: tuple[int, ...] = ()
    route: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    dry_run: bool = False
    yes: bool = False

    def check(self, table: RoutingTable) -> None:
        """Raise UsageError for what is not there."""
        for name in self.action:
            if name not in CODES:
                raise UsageError(f"--action: {name[:60]!r} is not a known action{hint(name, CODES)}")
        names = [route.name for route in table.routes]
        for name in self.route:
            if name not in names:
                raise UsageError(f"--route: {table.file} has no route {name[:60]!r}{hint(name, names)}")
        for name in self.include:
            if name != "weak":
                raise UsageError(f"--include: {name[:60]!r} is not known; write weak")
        if self.until is not None and self.since is None:
            raise UsageError("--until: needs --since; without both, the gaps of the ledger are filled")

    def names(self, gap: Gap) -> bool:
        """Whether a gap is among what is wanted."""
        return (not self.action or gap.action in self.action) and (
            not self.business or gap.business_id in self.business
        )


def backfill(wanted: Annotated[Wanted, Parameter(name="*")] = Wanted()) -> int:
    """Make events of what no webhook brought, by what the API of Nexudus shows.

    Without --since it fills the gaps of `frontdesk gaps` that are due or wait for a person. With --since it looks at
    everything since then. What is kept already, or was made before, is not made again.
    """
    with opened("backfill", needs=(), alone=False, can_wait=True) as registrar:
        if registrar.store is None:
            raise SettingsError("backfill needs Redis; set FRONTDESK_REDIS_URL")
        schema_version.settle(registrar.store)
        table = registrar.routes()
        wanted.check(table)
        gaps = _gaps(registrar, table, wanted)
        if not gaps:
            output.say("No gap is due: `frontdesk gaps` lists all; --since looks at a time without one.")
            return 0
        if not wanted.dry_run and not terminal.agreed(
            "backfill", f"Back-fill {counted(len(gaps), 'gap')}? Handlers will run for what is found.", yes=wanted.yes
        ):
            return 1
        report = _fill(registrar, table, wanted, gaps)
        _show(report, wanted)
        return int(any(gap.state is GapState.HEALING for gap in report.gaps) and not wanted.dry_run)


def _gaps(registrar: RegistrarTools, table: RoutingTable, wanted: Wanted) -> list[Gap]:
    """Return the gaps of the ledger that are due, or those that --since makes of every hook that is routed."""
    assert registrar.store is not None  # noqa: S101 -- seen to above; for the type checker
    since_ms = timestamps.parse("--since", wanted.since)
    if since_ms is None:
        return [gap for gap in GapLedger(registrar.store).gaps() if gap.state in _DUE and wanted.names(gap)]
    now_ms = int(time.time() * 1_000)
    until_ms = min(timestamps.parse("--until", wanted.until) or now_ms, now_ms)
    if since_ms >= until_ms:
        raise UsageError("--since: is not before --until, or not before now")
    ledger = GapLedger(registrar.store)
    pairs = registrar.planner.wanted(table).pairs()
    coverage, gaps = ledger.coverage().pairs, ledger.gaps()
    expired_ms = now_ms - registrar.settings.retention
    made = [
        Gap(f"{pair}-{begin}", *pair, begin, end, GapWhy.UNKNOWN, GapState.HEALING)
        for pair in pairs
        for begin, end in windows.to_look_at(
            (since_ms, until_ms),
            solid=None if wanted.route else windows.solid(pair, coverage, gaps, expired_ms),
        )
    ]
    return [gap for gap in made if wanted.names(gap)]


def _fill(registrar: RegistrarTools, table: RoutingTable, wanted: Wanted, gaps: Sequence[Gap]) -> Report:
    assert registrar.store is not None  # noqa: S101 -- seen to above; for the type checker
    selection = Selection(table, is_asked=True, routes=frozenset(wanted.route))
    orders = Orders(selection, weak="weak" in wanted.include, is_dry=wanted.dry_run)
    with Lock(registrar.store, LOCK) as lock, _Progress() as progress:
        lock.wait(60.0, waiting=lambda who: output.warn(f"{who} is filling gaps; waiting for it"))
        tools = Tools(
            client=registrar.store,
            entities=Entities(registrar.client),
            check=Restraint(registrar.store, lock, table.queues).check,
            ledger=GapLedger(registrar.store) if wanted.since is None else None,
            who=operator(),
            asked=progress.asked,
            expect=progress.expect,
            read=progress.read,
            begin=progress.begin,
            advance=lambda number: progress.advance(number),
        )
        report = Filling(tools, orders).fill(gaps)
    if not wanted.dry_run:
        made = sum(gap.made for gap in report.gaps)
        AuditLog(registrar.store).record("backfill", gaps=len(gaps), made=made, calls=report.calls)
    return report


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


def _show(report: Report, wanted: Wanted) -> None:
    """Say for each action what was found, and why something cannot be known."""
    by_action: dict[str, list[Gap]] = {}
    for gap in report.gaps:
        by_action.setdefault(gap.action, []).append(gap)
    rows = [
        (action, *(sum(getattr(gap, name) for gap in some) for name in ("found", "made", "known", "gone")), _why(some))
        for action, some in by_action.items()
    ]
    made = "to make" if wanted.dry_run else "made"
    output.table(("action", "found", made, "known", "gone", "cannot be known"), rows)
    total = sum(gap.made for gap in report.gaps)
    if wanted.dry_run:
        output.say(
            f"{counted(total, 'event')} to make. It cost {counted(report.calls, 'call')} to Nexudus to count them, and "
            f"takes about {report.calls_left} more to make them."
        )
        return
    more = f", and {counted(report.completed, 'delivery')} of kept events" if report.completed else ""
    output.say(f"{counted(total, 'event')} made{more}, with {counted(report.calls, 'call')} to Nexudus.")


def _why(gaps: Sequence[Gap]) -> str:
    return "; ".join(dict.fromkeys(gap.cannot for gap in gaps if gap.cannot))
