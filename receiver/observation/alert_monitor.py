"""Looks at the store every few seconds, in a thread of a process that does something else: learns what is usual, and
tells people when something is wrong.

One sentry among all processes that have somewhere to send to does the telling: whoever holds the lock, for as long as
it lives. When the store itself goes away, nobody can ask it what was told; the sentry that told last says that.
"""

import threading
import time
from collections.abc import Callable, Collection
from typing import Final

import redis

from receiver.core import durations
from receiver.core.durations import HOUR_MS
from receiver.core.errors import LockLost, StorageUnavailable
from receiver.observation import arrival_baseline, metrics_store, status_snapshot
from receiver.observation.alerts import Alerts
from receiver.observation.outgoing import Message, Outgoing
from receiver.process import logs
from receiver.storage.accounting.data_loss import LossDetector
from receiver.storage.shared.lock import Lock

EVERY_S: Final = 5.0
AWAY_S: Final = 60.0

_ALERTS: Final = "alerts"
_RHYTHM: Final = "rhythm"

_log = logs.get()


class Sentry:
    """Watches until `stop`. *outgoing* None: it only learns, and leaves the telling to others."""

    def __init__(
        self,
        client: redis.Redis,
        outgoing: Outgoing | None,
        *,
        patience_ms: int,
        routes: Callable[[], Collection[str]],
        losses: LossDetector | None = None,
        every_s: float = EVERY_S,
        away_s: float = AWAY_S,
    ) -> None:
        """*routes*: those of the table, in its order; the counters of others are forgotten. *losses*
        remembers the store. *away_s*: how long the
        store must be away for that to be told."""
        self._client = client
        self._losses = losses
        self._outgoing = outgoing
        self._alerts = Alerts(client, outgoing, patience_ms=patience_ms) if outgoing else None
        self._routes = routes
        self._every_s = every_s
        self._lock = Lock(client, _ALERTS)
        self._leads = False
        self._learnt_hour = 0
        self._away = _Away(outgoing, away_s)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sentry", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Let no further turn begin, and wait a little for the one that runs; then another sentry may lead."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._leads:
            self._lock.free()

    def turn(self) -> None:
        """Look once. Raises StorageUnavailable."""
        if self._losses:
            self._losses.turn()
        found = status_snapshot.look(self._client)
        self._learn(found)
        if self._alerts and self._is_leading():
            self._alerts.turn(found)

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self.turn()
                self._away.over()
            except StorageUnavailable as error:
                self._away.lasts(str(error), leads=self._leads)
            except Exception:  # noqa: BLE001 - a fault in one turn must not end all of them, unseen
                _log.exception("sentry.failed")

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

    def _learn(self, found: status_snapshot.Vitals) -> None:
        """Once in an hour: what came in it, for the rhythm; and forget the counters of routes that are gone."""
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


class _Away:
    """The one state that cannot be noted in the store: that it is away."""

    def __init__(self, outgoing: Outgoing | None, after_s: float) -> None:
        self._outgoing = outgoing
        self._after_s = after_s
        self._since: float | None = None
        self._told: list[str] = []

    def lasts(self, reason: str, *, leads: bool) -> None:
        """Note that the store did not answer; after a while tell."""
        if self._since is None:
            self._since = time.monotonic()
            _log.warning("sentry.waiting", error=reason)
        if leads and self._outgoing and time.monotonic() - self._since >= self._after_s:
            message = Message(
                "Frontdesk: the store is away",
                "Receivers put events on their own disks meanwhile; nothing is delivered. Bring Redis back.",
                "failure",
            )
            for digest in self._outgoing.digests:
                if digest not in self._told and self._outgoing.send(digest, message):
                    self._told.append(digest)

    def over(self) -> None:
        """Note that it answers, and tell those who were told."""
        if self._since is None:
            return
        lasted = durations.show(int(time.monotonic() - self._since) * 1_000)
        message = Message("Frontdesk: over: the store is away", f"It lasted {lasted}.", "success")
        for digest in self._told:
            if self._outgoing:
                self._outgoing.send(digest, message)
        self._since, self._told = None, []
