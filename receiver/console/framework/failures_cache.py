"""The groups of failures for pages: shown as they were found last, and looked for again in the background meanwhile."""

import contextlib
import threading
import time
from concurrent.futures import Future
from typing import Final

from receiver.core.errors import StorageUnavailable
from receiver.failures.failure_ledger import FailureLedger
from receiver.failures.failure_records import Summary
from receiver.process.background import begin

_WAIT_S: Final = 0.04
"""How long a page waits for the look: one at a few thousand failures is done by then."""

_REST: Final = 4
"""How often the time that a look took passes before the next one."""


class FailuresCache:
    """Shared by all requests. Methods raise StorageUnavailable."""

    def __init__(self, ledger: FailureLedger) -> None:
        self.ledger = ledger
        self._lock = threading.Lock()
        self._look: Future[Summary] | None = None
        self._rests_until = 0.0

    def latest(self) -> Summary:
        """Return the groups as somebody found them last, which may be now."""
        with self._lock:
            if (self._look is None or self._look.done()) and time.monotonic() >= self._rests_until:
                self._look = begin(self._refresh)
            look = self._look
        if look is not None:
            with contextlib.suppress(TimeoutError, StorageUnavailable):
                look.result(_WAIT_S)
        return self.ledger.summary()

    def _refresh(self) -> Summary:
        began = time.monotonic()
        try:
            return self.ledger.refresh()
        finally:
            self._rests_until = time.monotonic() + _REST * (time.monotonic() - began)
