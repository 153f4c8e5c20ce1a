"""What the pages work with: the store, the routing table, the audit log."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from receiver.console.auth.sessions import Session
from receiver.console.framework.audit_cache import AuditCache
from receiver.console.framework.bulk_tasks import BulkTasks
from receiver.console.framework.failures_cache import FailuresCache
from receiver.console.framework.hooks_cache import HooksCache
from receiver.core.errors import RoutesError
from receiver.failures.failure_records import FailureGroup
from receiver.failures.route_changes import Change
from receiver.observation.event_histogram import EventHistogram
from receiver.observation.store_status import StoreStatus
from receiver.operations.edited_replay import EditedReplay
from receiver.operations.release import Release
from receiver.operations.replay import Replay
from receiver.process import logs
from receiver.reconcile.backfill_request import BackfillRequest, Watcher
from receiver.routing.table import RoutingTable
from receiver.routing.table_reload import CurrentTable
from receiver.storage.query.event_reader import EventReader
from receiver.storage.queue.flow_control import Gates
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.gap_ledger import GapLedger


class MakeReplay(Protocol):
    """Makes the tool that replays events; see `receiver.operations.replay.Replay`."""

    def __call__(self, table: RoutingTable, *, route: str | None = None, only_dead: bool = False) -> Replay: ...


class BackfillService(Protocol):
    """Fills gaps; see `receiver.cli.registrar.registrar_adapter.RegistrarAdapter`. Both raise FrontdeskError."""

    def gaps(self, wanted: BackfillRequest) -> int: ...

    def fill(self, wanted: BackfillRequest, *, who: str, watcher: Watcher) -> int: ...


@dataclass(frozen=True, slots=True)
class Services:
    """The parts. *try_route* runs a trial of the playground in a process of its own. *draining* is set when the console
    stops: whatever runs long ends then.
    """

    archive: EventReader
    store_status: StoreStatus
    histogram: EventHistogram
    routes: CurrentTable
    make_replay: MakeReplay
    make_release: Callable[[RoutingTable], Release]
    make_edit: Callable[[RoutingTable], EditedReplay]
    failures: FailuresCache
    changes: Callable[[FailureGroup], list[Change]]
    acts: AuditLog
    gates: Gates
    hooks: HooksCache
    gaps: GapLedger
    names: BusinessNames
    try_route: Callable[[Mapping[str, Any]], dict[str, Any]]
    audit: AuditCache
    backfill: BackfillService
    bulk: BulkTasks = field(default_factory=BulkTasks)
    draining: threading.Event = field(default_factory=threading.Event)

    def table(self) -> RoutingTable:
        """The routing table of now. Raises RoutesError when there is none."""
        table = self.routes.table
        if table is None:
            raise RoutesError(self.routes.problems)
        return table

    def record(self, session: Session, what: str, **detail: object) -> None:
        """Record an operation in the audit log, before it runs. Raises StorageUnavailable; then it must not run."""
        self.acts.record(what, who=session.identity.name, **detail)
        said = {name: value for name, value in detail.items() if value is not None}
        logs.get().info("act.recorded", who=session.identity.name, act=what, **said)
