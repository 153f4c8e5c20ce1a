"""The audit for programs that ask: one at a time, and remembered for a while, because it looks at many events."""

import threading
import time
from typing import Any, Final

import redis

from receiver.core import timestamps
from receiver.storage.accounting.audit import Audit

_FRESH_S: Final = 30.0
_PAUSE_S: Final = 0.001
_PAGES_SCANNED: Final = 20


class AuditCache:
    """Shared by all requests."""

    def __init__(self, client: redis.Redis) -> None:
        self._audit = Audit(client, pause_s=_PAUSE_S, scanned=_PAGES_SCANNED)
        self._lock = threading.Lock()
        self._latest: dict[str, Any] = {}
        self._fresh_until = 0.0

    def latest(self) -> dict[str, Any]:
        """Return the object of `frontdesk audit --json`, and when it was made (`at`). Raises StorageUnavailable."""
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                self._latest = self._audit.run().shape() | {"at": timestamps.show(int(time.time() * 1_000))}
                self._fresh_until = time.monotonic() + _FRESH_S
            return self._latest
