"""Fills gaps by itself: what the registrar does when a gap has closed. One process at a time does it."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import redis
import structlog

from receiver.core.errors import CredentialsRefused, FrontdeskError, LockLost
from receiver.nexudus.api.entities import Entities
from receiver.reconcile.backfill_run import BackfillReport, BackfillRun, Orders, Tools
from receiver.reconcile.route_selection import RouteSelection
from receiver.reconcile.rules.action_rules import RULES
from receiver.reconcile.rules.rule import entity_of
from receiver.reconcile.search.id_sets import EVERY_MS, IdSets
from receiver.routing.table import RoutingTable
from receiver.storage.redis import rq_keys
from receiver.storage.redis.store_client import StoreClient
from receiver.storage.shared.gap_ledger import Gap, GapLedger, GapState, GapWhy, opened
from receiver.storage.shared.lock import Lock
from receiver.storage.spool import reports

LOCK: Final = "backfill"
"""Whoever fills gaps holds it."""

_MINUTE_MS: Final = 60_000
_SPOOLS_WAIT_MS: Final = 30 * _MINUTE_MS
"""How long after a gap closed events that wait in spools keep it from being filled: hooks may have brought them."""

_AGAIN_S: Final = 3_600.0
"""How soon Ids are compared again after a comparison that failed."""

_BUSY_LENGTH: Final = 1_000
_BUSY_WAIT_S: Final = 30.0
"""Back-fill waits while a queue is longer than this, but not forever: its workers may be away."""


class Restraint:
    """Keeps back-fill behind live traffic. `check` waits while queues are long, and raises when the lock is gone."""

    def __init__(
        self, client: redis.Redis, lock: Lock, queues: tuple[str, ...], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._calls = StoreClient(client)
        self._lock = lock
        self._queues = queues
        self._sleep = sleep

    def check(self) -> None:
        """Return when back-fill may go on. Raises LockLost, StorageUnavailable."""
        waited_s = 0.0
        self._lock.check()
        while waited_s < _BUSY_WAIT_S and self._is_busy():
            self._sleep(1.0)
            waited_s += 1.0
            self._lock.check()

    def _is_busy(self) -> bool:
        lengths = self._calls.ask_all("llen", map(rq_keys.queue, self._queues))
        return any(length > _BUSY_LENGTH for length in lengths)


class AutomaticBackfill:
    """Fills the gaps that are due, by the routes of now. *routes* returns the table, None while there is none."""

    def __init__(
        self,
        client: redis.Redis,
        entities: Callable[[], Entities],
        routes: Callable[[], RoutingTable | None],
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._entities = entities
        self._routes = routes
        self._ledger = GapLedger(client)
        self._clock = clock
        self._sleep = sleep
        self._compared_s = 0.0
        self._log = structlog.get_logger()

    def heal(self) -> BackfillReport | None:
        """Fill what is due. Returns None when nothing was, or somebody else is at it. Never raises FrontdeskError."""
        try:
            return self._heal()
        except LockLost as error:
            self._log.warning("backfill.interrupted", reason=str(error))
        except CredentialsRefused as error:
            self._log.warning("backfill.refused", reason=str(error))
        except FrontdeskError as error:
            self._log.warning("backfill.failed", reason=str(error))
        return None

    def _heal(self) -> BackfillReport | None:
        table = self._routes()
        due = [] if table is None else self._due(table)
        if table is None or not (due or self._kinds_due(table)):
            return None
        if table.reconcile.backfill == "confirm":
            why = "reconcile.backfill is confirm; `frontdesk backfill` fills it"
            self._ledger.write(replace(gap, state=GapState.CONFIRM, cannot=why) for gap in due)
            return None
        with Lock(self._client, LOCK) as lock:
            if lock.take() is not None:
                return None
            due = self._due(table)  # somebody else may have filled them just now
            entities = self._entities()
            tools = Tools(
                client=self._client,
                entities=entities,
                check=Restraint(self._client, lock, table.queues, sleep=self._sleep).check,
                ledger=self._ledger,
                clock=self._clock,
            )
            orders = Orders(RouteSelection(table), table.reconcile.limit, table.reconcile.window_ms)
            report = BackfillRun(tools, orders).fill(due)
            if kinds := self._kinds_due(table):
                self._compared_s = self._clock()
                BackfillRun(replace(tools, ledger=None), orders).fill(self._daily(table, kinds))
        self._tell(report)
        return report

    def _kinds_due(self, table: RoutingTable) -> frozenset[str]:
        """Return the kinds whose Ids are to be compared: once a day, those that a route wants to know of."""
        is_too_soon = self._clock() - self._compared_s < _AGAIN_S
        if is_too_soon or table.reconcile.deletes != "daily" or table.reconcile.backfill != "auto":
            return frozenset()
        id_sets, now_ms = IdSets(self._client, self._entities()), int(self._clock() * 1_000)
        wanted = table.actions(RULES)
        kinds = {entity_of(rule) for rule in RULES.values() if rule.by_ids and rule.action in wanted}
        ages = {kind: id_sets.age_ms(kind, now_ms) for kind in kinds}
        return frozenset(kind for kind, age_ms in ages.items() if age_ms is None or age_ms >= EVERY_MS)

    def _daily(self, table: RoutingTable, kinds: frozenset[str]) -> list[Gap]:
        """Return the time since the last comparison as gaps of each hook that is looked after; not of the ledger."""
        now_ms = int(self._clock() * 1_000)
        return [
            replace(opened(pair, now_ms - EVERY_MS, GapWhy.UNKNOWN), to_ms=now_ms, state=GapState.HEALING)
            for pair in self._ledger.coverage().pairs
            if pair[1] in RULES and RULES[pair[1]].by_ids and entity_of(RULES[pair[1]]) in kinds
        ]

    def _due(self, table: RoutingTable) -> list[Gap]:
        """Return the gaps that are closed, whose hooks' events are no longer in a spool, and that may be tried."""
        if table.reconcile.backfill == "never":
            return []
        now_ms = int(self._clock() * 1_000)
        closed = [gap for gap in self._ledger.gaps() if gap.state is GapState.HEALING and gap.to_ms is not None]
        ready = [gap for gap in closed if now_ms >= gap.done_ms + (_MINUTE_MS << gap.tries if gap.tries else 0)]
        if ready and any(report.depth for report in reports.reports(self._client)):
            ready = [gap for gap in ready if now_ms - (gap.to_ms or 0) > _SPOOLS_WAIT_MS]
        return ready

    def _tell(self, report: BackfillReport) -> None:
        states = [gap.state for gap in report.gaps]
        self._log.info(
            "backfill.finished",
            gaps=len(states),
            healed=states.count(GapState.HEALED),
            confirm=states.count(GapState.CONFIRM),
            cannot=states.count(GapState.CANNOT),
            made=sum(gap.made for gap in report.gaps),
            calls=report.calls,
        )
