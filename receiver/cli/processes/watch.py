"""`frontdesk watch`: the registrar as a process that runs long."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import redis
from cyclopts import Parameter

from receiver.cli.health import alerts
from receiver.cli.registrar.factory import LOCK, RegistrarTools, opened
from receiver.cli.ui import option_values
from receiver.core.errors import SettingsError
from receiver.nexudus.api.entities import Entities
from receiver.process import end_signals, standard_streams
from receiver.process.alive_file import AliveFile
from receiver.process.background import PeriodicTask
from receiver.reconcile.automatic_backfill import AutomaticBackfill
from receiver.registrar import probe, watch_schedule
from receiver.registrar.gap_keeper import GapKeeper
from receiver.registrar.guardrails import Guardrails
from receiver.registrar.watch import RegistrarWatch, WatchParts
from receiver.routing.loading import load_table
from receiver.routing.table_reload import CurrentTable
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.gap_ledger import GapLedger
from receiver.storage.shared.lock import Lock
from receiver.storage.shared.registrar_state import RegistrarState

_LEADER = "registrar-leader"


def watch(*, every: str | None = None, grace: str = "7d", once: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Keep the webhooks at Nexudus in step with routes.yaml; of several, one leads and the others stand by.

    It re-enables webhooks that Nexudus disabled, once the receiver answers at FRONTDESK_PUBLIC_URL. It never moves
    webhooks between hosts and never removes more than 30 % of them. It runs until SIGTERM or Ctrl-C.

    Parameters
    ----------
    every
        How often to compare, give or take a fifth. Default: FRONTDESK_WATCH_EVERY. An edit of routes.yaml takes effect
        within seconds.
    grace
        How long a webhook that is no longer routed stays active.
    once
        Compare once and end; exit status 1 when something could not be done. A change that has to wait (for the grace
        period, for an answer of the receiver) is not a failure.
    """
    given_ms = None if every is None else max(option_values.duration_ms("--every", every), 100)
    grace_ms = option_values.duration_ms("--grace", grace)
    end_signals.answer(lambda *_: sys.exit(0))
    standard_streams.detach_output()
    with opened("watch", alone=False) as registrar:
        if registrar.store is None:
            raise SettingsError("watch needs Redis; set FRONTDESK_REDIS_URL")
        every_ms = registrar.settings.watch_every if given_ms is None else given_ms
        alive = AliveFile(registrar.settings.data_dir, "watch")
        with _Leader(registrar.store, alive) as leader:
            routes = load_table(registrar.settings)
            routes.reload()  # not start(): nothing is registered by the last good copy of another day
            reconciler = _reconciler(registrar, routes, leader, Guardrails(grace_ms=grace_ms), every_ms)
            if once:
                leader.wait(0, waiting=lambda _: None)
                applied = reconciler.reconcile()
                return 0 if applied is not None and applied.is_complete else 1
            with alerts.watching(registrar.settings), _filling_gaps(routes, every_ms):
                routes.start_watching()
                watch_schedule.run(reconciler.reconcile, leader, routes, every_s=every_ms / 1_000, sleep=leader.sleep)
    return 0


@contextlib.contextmanager
def _filling_gaps(routes: CurrentTable, every_ms: int) -> Iterator[None]:
    """Fill gaps meanwhile, in a thread with a client of its own: a filling may take long, and looks go on."""
    with opened("backfill", alone=False, can_wait=True) as registrar:
        assert registrar.store is not None  # noqa: S101 -- as above; for the type checker
        backfill = AutomaticBackfill(registrar.store, lambda: Entities(registrar.client), lambda: routes.table)
        task = PeriodicTask("backfill", backfill.heal, every_s=every_ms / 1_000)
        task.start()
        try:
            yield
        finally:
            task.stop()


class _Leader(Lock):
    """The leader's lock; whenever it is taken, waited for or made sure of, and in pauses, the loop is seen to turn."""

    def __init__(self, store: redis.Redis, alive: AliveFile) -> None:
        super().__init__(store, _LEADER)
        self._alive = alive

    def take(self) -> str | None:
        """As ever."""
        self._alive.touch()
        return super().take()

    def check(self) -> None:
        """As ever."""
        self._alive.touch()
        super().check()

    def sleep(self, seconds: float) -> None:
        """Pause; schedule.run pauses at least once a second."""
        self._alive.touch()
        time.sleep(seconds)


def _reconciler(
    registrar: RegistrarTools, routes: CurrentTable, leader: Lock, guardrails: Guardrails, every_ms: int
) -> RegistrarWatch:
    store, url = registrar.store, registrar.settings.public_url
    assert store is not None and url is not None  # noqa: S101, PT018 -- opened() saw to it; for the type checker
    memory = RegistrarState(store)
    parts = WatchParts(
        webhooks=registrar.webhooks,
        planner=registrar.planner,
        memory=memory,
        acts=AuditLog(store, is_logged=True),
        lock=Lock(store, LOCK),
        routes=lambda: routes.table,
        unreachable=lambda: probe.unreachable(url, registrar.ownership.keys),
        behind=lambda: probe.behind(url, registrar.ownership.keys),
        gaps=GapKeeper(GapLedger(store), memory, every_ms=every_ms),
        names=BusinessNames(store),
    )
    return RegistrarWatch(parts, leads=leader.check, guardrails=guardrails)
