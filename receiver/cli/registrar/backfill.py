"""`frontdesk backfill`: makes events of what no webhook brought; also the first load of a new system."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

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
    json
        print one object for programs
    """

    since: str | None = None
    until: str | None = None
    action: tuple[str, ...] = ()
    business: tuple[int, ...] = ()
    route: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    dry_run: bool = False
    yes: bool = False
    json: bool = False

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
            _show_none(wanted)
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
    with Lock(registrar.store, LOCK) as lock, _progress() as (begin, advance):
        lock.wait(60.0, waiting=lambda who: output.warn(f"{who} is filling gaps; waiting for it"))
        tools = Tools(
            client=registrar.store,
            entities=Entities(registrar.client),
            check=Restraint(registrar.store, lock, table.queues).check,
            ledger=GapLedger(registrar.store) if wanted.since is None else None,
            who=operator(),
            asked=lambda kind: output.warn(f"asking for {kind}"),
            begin=begin,
            advance=advance,
        )
        report = Filling(tools, orders).fill(gaps)
    if not wanted.dry_run:
        made = sum(gap.made for gap in report.gaps)
        AuditLog(registrar.store).record("backfill", gaps=len(gaps), made=made, calls=report.calls)
    return report


@contextlib.contextmanager
def _progress() -> Iterator[tuple[terminal.Advance, terminal.Advance]]:
    """Yield what begins a bar of so many events, and what moves it on."""
    with contextlib.ExitStack() as stack:
        bars: list[terminal.Advance] = []

        def begin(number: int) -> None:
            bars.append(stack.enter_context(terminal.bar("Making events", lambda: number)))

        yield begin, lambda number: bars[-1](number) if bars else None


def _show_none(wanted: Wanted) -> None:
    if wanted.json:
        _show(Report((), calls=0), wanted)
    else:
        output.say("No gap is due: `frontdesk gaps` lists all; --since looks at a time without one.")


def _show(report: Report, wanted: Wanted) -> None:
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


def _sums(gaps: Sequence[Gap]) -> dict[str, int]:
    return {name: sum(getattr(gap, name) for gap in gaps) for name in ("found", "made", "known", "gone")}


def _why(gaps: Sequence[Gap]) -> str:
    return "; ".join(dict.fromkeys(gap.cannot for gap in gaps if gap.cannot))
