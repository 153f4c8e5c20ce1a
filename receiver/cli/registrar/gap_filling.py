"""Filling the gaps that a person asks for: for `frontdesk backfill` and for the console."""

import time
from collections.abc import Sequence
from typing import Final

import redis

from receiver.cli.registrar.factory import RegistrarTools
from receiver.core import timestamps
from receiver.core.errors import SettingsError, UsageError
from receiver.nexudus.api.entities import Entities
from receiver.reconcile import since_windows
from receiver.reconcile.automatic_backfill import LOCK, Restraint
from receiver.reconcile.backfill_request import BackfillRequest, Watcher
from receiver.reconcile.backfill_run import BackfillReport, BackfillRun, Orders, Tools
from receiver.reconcile.route_selection import RouteSelection
from receiver.routing.table import RoutingTable
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.shared.gap_ledger import Gap, GapLedger, GapState, GapWhy
from receiver.storage.shared.lock import Lock

_DUE: Final = (GapState.HEALING, GapState.CONFIRM, GapState.CANNOT)
_PATIENCE_S: Final = 60.0


def chosen(registrar: RegistrarTools, table: RoutingTable, wanted: BackfillRequest, prefix: str = "--") -> list[Gap]:
    """Return the gaps of the ledger that are wanted, or those that *since* makes of every hook that is routed.

    Raises UsageError, StorageUnavailable, NexudusError.
    """
    wanted.check(table, prefix)
    ledger = GapLedger(_store(registrar))
    since_ms = timestamps.parse(f"{prefix}since", wanted.since)
    if since_ms is None:
        return [gap for gap in ledger.gaps() if gap.state in _DUE and wanted.names(gap)]
    now_ms = int(time.time() * 1_000)
    until_ms = min(timestamps.parse(f"{prefix}until", wanted.until) or now_ms, now_ms)
    if since_ms >= until_ms:
        raise UsageError(f"{prefix}since: is not before {prefix}until, or not before now")
    pairs = registrar.planner.wanted(table).pairs()
    coverage, gaps = ledger.coverage().pairs, ledger.gaps()
    expired_ms = now_ms - registrar.settings.retention
    made = [
        Gap(f"{pair}-{begin}", *pair, begin, end, GapWhy.UNKNOWN, GapState.HEALING)
        for pair in pairs
        for begin, end in since_windows.to_look_at(
            (since_ms, until_ms),
            solid=None if wanted.route else since_windows.solid(pair, coverage, gaps, expired_ms),
        )
    ]
    return [gap for gap in made if wanted.names(gap)]


def fill(
    registrar: RegistrarTools,
    table: RoutingTable,
    wanted: BackfillRequest,
    gaps: Sequence[Gap],
    *,
    who: str,
    watcher: Watcher,
    is_dry: bool = False,
) -> BackfillReport:
    """Fill gaps, one process at a time, and record it as an act of *who*. Raises what `BackfillRun.fill` raises."""
    store = _store(registrar)
    selection = RouteSelection(table, is_asked=True, routes=frozenset(wanted.route))
    orders = Orders(selection, weak="weak" in wanted.include, is_dry=is_dry)
    with Lock(store, LOCK) as lock:
        lock.wait(_PATIENCE_S, waiting=watcher.waiting)
        restraint = Restraint(store, lock, table.queues)

        def check() -> None:
            watcher.check()
            restraint.check()

        tools = Tools(
            client=store,
            entities=Entities(registrar.client),
            check=check,
            ledger=GapLedger(store) if wanted.since is None else None,
            who=who,
            asked=watcher.asked,
            expect=watcher.expect,
            read=watcher.read,
            begin=watcher.begin,
            advance=watcher.advance,
        )
        report = BackfillRun(tools, orders).fill(gaps)
    if not is_dry:
        made = sum(gap.made for gap in report.gaps)
        AuditLog(store).record("backfill", who, gaps=len(gaps), made=made, calls=report.calls)
    return report


def _store(registrar: RegistrarTools) -> redis.Redis:
    if registrar.store is None:
        raise SettingsError("backfill needs Redis; set FRONTDESK_REDIS_URL")
    return registrar.store
