"""Looks at the store every few seconds, in a thread of a process that does something else: groups failures, learns how
many events are usual, and sends alerts.

Of all processes with somewhere to send alerts to, one monitor sends them: the holder of the lock, as long as it lives.
While the store is away, nobody can read there what was sent; the monitor that sent last announces the outage.
"""

import time
from collections.abc import Callable, Collection
from typing import Final

import redis

from receiver.core import durations
from receiver.core.durations import HOUR_MS
from receiver.core.errors import LockLost, StorageUnavailable
from receiver.failures.failure_ledger import FailureLedger
from receiver.observation import arrival_baseline, metrics_store, status_snapshot
from receiver.observation.alerts.alerting import Alerting
from receiver.observation.alerts.notifier import Message, Notifier
from receiver.process import logs
from receiver.process.background import PeriodicTask
from receiver.storage.accounting.data_loss import LossDetector
from receiver.storage.shared.lock import Lock

EVERY_S: Final = 5.0
AWAY_S: Final = 60.0

_ALERTS: Final = "alerts"
_RHYTHM: Final = "rhythm"

_log = logs.get()


class AlertMonitor:
    """Watches until `stop`. *notifier* None: it learns what is usual and sends nothing."""

    def __init__(
        self,
        client: redis.Redis,
        notifier: Notifier | None,
        *,
        patience_ms: int,
        routes: Callable[[], Collection[str]],
        losses: LossDetector | None = None,
        every_s: float = EVERY_S,
        away_s: float = AWAY_S,
    ) -> None:
        """*routes*: those of the table, in its order; the counters of all others are deleted. *losses* recognizes a
        store that lost its data. *away_s*: an outage of the store is announced after so long."""
        self._client = client
        self._losses = losses
        self._failures = FailureLedger(client)
        self._failures_every_ms = int(every_s * 1_000)
        self._notifier = notifier
        self._alerts = Alerting(client, notifier, patience_ms=patience_ms) if notifier else None
        self._routes = routes
        self._lock = Lock(client, _ALERTS)
        self._leads = False
        self._learnt_hour = 0
        self._outage = _Outage(notifier, away_s)
        self._task = PeriodicTask("alerts", self._watch, every_s=every_s)

    def start(self) -> None:
        """Begin."""
        self._task.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Let no further turn begin, and wait a little for the one that runs; then another monitor may lead."""
        self._task.stop(timeout_s)
        if self._leads:
            self._lock.free()

    def turn(self) -> None:
        """Look once. Raises StorageUnavailable."""
        if self._losses:
            self._losses.turn()
        self._failures.turn(every_ms=self._failures_every_ms)
        found = status_snapshot.look(self._client)
        self._learn(found)
        if self._alerts and self._is_leading():
            self._alerts.turn(found)

    def _watch(self) -> None:
        try:
            self.turn()
            self._outage.over()
        except StorageUnavailable as error:
            self._outage.lasts(str(error), leads=self._leads)

    def _is_leading(self) -> bool:
        try:
            if self._leads:
                self._lock.check()
            else:
                self._leads = self._lock.take() is None
        except LockLost:
            self._lock.free()
            self._leads = False
        return self._leads

    def _learn(self, found: status_snapshot.StatusSnapshot) -> None:
        """Once an hour: learn how many events each business sent, and delete the counters of routes that are gone."""
        hour = found.now_ms // HOUR_MS
        if hour == self._learnt_hour:
            return
        with Lock(self._client, _RHYTHM) as lock:
            if lock.take() is not None:
                return
            arrival_baseline.learn(self._client, found.silences, found.now_ms)
            if routes := self._routes():
                metrics_store.forget(self._client, metrics_store.labelled(list(routes)))
        self._learnt_hour = hour


class _Outage:
    """The one alert whose state cannot be kept in the store: that the store is away."""

    def __init__(self, notifier: Notifier | None, after_s: float) -> None:
        self._notifier = notifier
        self._after_s = after_s
        self._since: float | None = None
        self._told: list[str] = []

    def lasts(self, reason: str, *, leads: bool) -> None:
        """Note that the store did not answer; after a while send an alert."""
        if self._since is None:
            self._since = time.monotonic()
            _log.warning("sentry.waiting", error=reason)
        if leads and self._notifier and time.monotonic() - self._since >= self._after_s:
            message = Message(
                "Frontdesk: the store is unavailable",
                "Receivers spool events on their own disks; nothing is delivered. Bring Redis back.",
                "failure",
            )
            for digest in self._notifier.digests:
                if digest not in self._told and self._notifier.send(digest, message):
                    self._told.append(digest)

    def over(self) -> None:
        """Note that it answers, and tell everybody who got the alert."""
        if self._since is None:
            return
        lasted = durations.show(int(time.monotonic() - self._since) * 1_000)
        message = Message("Frontdesk: resolved: the store is unavailable", f"It lasted {lasted}.", "success")
        for digest in self._told:
            if self._notifier:
                self._notifier.send(digest, message)
        self._since, self._told = None, []
