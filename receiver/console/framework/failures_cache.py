"""The groups of failures for pages: shown as they were found last, and looked for again in the background meanwhile."""

import contextlib
import threading
import time
from concurrent.futures import Future
from typing import Final

from receiver.core.errors import StorageUnavailable
from receiver.failures.failure_ledger import FailureLedger
from receiver.failures.failure_records import FailureGroup, Summary
from receiver.process.background import begin

_WAIT_S: Final = 0.04
"""How long a page waits for the look: one at a few thousand failures is done by then."""

_OLDER_MS: Final = 5_000
"""Where a look takes longer than that, one of another process that is not older will do."""

_REST: Final = 4
"""How often the time that a look took passes before the next one."""


class FailuresCache:
    """Shared by all requests. Methods raise StorageUnavailable."""

    def __init__(self, ledger: FailureLedger) -> None:
        self.ledger = ledger
        self._lock = threading.Lock()
        self._look: Future[Summary] | None = None
        self._rests_until = 0.0
        self._took = 0.0

    def latest(self) -> Summary:
        """Return the groups as somebody found them last, which may be now."""
        self._look_meanwhile()
        return self.ledger.summary()

    def group(self, group_id: str) -> FailureGroup | None:
        """Return one group as somebody found it last, which may be now; None when there is none of this id."""
        self._look_meanwhile()
        return self.ledger.group(group_id)

    def _look_meanwhile(self) -> None:
        with self._lock:
            if (self._look is None or self._look.done()) and time.monotonic() >= self._rests_until:
                self._look = begin(self._refresh)
            look = self._look
        if look is not None and self._took < _WAIT_S:
            with contextlib.suppress(TimeoutError, StorageUnavailable):
                look.result(_WAIT_S)

    def _refresh(self) -> Summary:
        began = time.monotonic()
        try:
            return self.ledger.refresh(older_ms=0 if self._took < _WAIT_S else _OLDER_MS)
        finally:
            # What another process found costs nothing, and does not say that looking has become cheap.
            self._took = max(time.monotonic() - began, self._took * 0.8)
            self._rests_until = time.monotonic() + _REST * self._took
