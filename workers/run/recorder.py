"""Records the results of deliveries, in batches and in order, and retries as long as the store is unavailable."""

import queue
import threading
import time
from collections.abc import Callable, Sequence

from receiver.core.errors import StorageUnavailable
from receiver.process import logs
from receiver.storage.queue.queue import Acknowledgement, DeliveryQueue

_MOST_IN_ONE_CALL = 256
_REMEMBERED = 4_096
_SHORTEST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0

_log = logs.get()


class Recorder:
    """One thread that records. Results that arrive during a call form the next batch."""

    def __init__(
        self, deliveries: DeliveryQueue, worker: str, recorded: Callable[[Sequence[Acknowledgement]], None]
    ) -> None:
        """*deliveries* has a connection of its own, so that recording never waits behind a blocking claim.

        *recorded* is called with each batch after it was recorded.
        """
        self._deliveries = deliveries
        self._worker = worker
        self._recorded = recorded
        self._ended: queue.SimpleQueue[Acknowledgement | None] = queue.SimpleQueue()
        self._recent: dict[str, Acknowledgement] = {}
        self._earlier: dict[str, Acknowledgement] = {}
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def put(self, ended: Acknowledgement) -> None:
        """Queue an acknowledgement. Never blocks."""
        self._ended.put(ended)

    def recorded_as(self, job: str) -> Acknowledgement | None:
        """Return the acknowledgement that was recorded lately for a job; None when it is not known, or no longer."""
        return self._recent.get(job) or self._earlier.get(job)

    def close(self, timeout_s: float) -> None:
        """Wait until everything is recorded, at most *timeout_s*. Another worker runs again what is not."""
        self._ended.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            batch = [self._ended.get()]
            while len(batch) < _MOST_IN_ONE_CALL and batch[-1] is not None:
                try:
                    batch.append(self._ended.get_nowait())
                except queue.Empty:
                    break
            self._record([one for one in batch if one is not None])
            if batch[-1] is None:
                return

    def _record(self, batch: list[Acknowledgement]) -> None:
        """Record a batch, and retry until it succeeds: what has run must not run again."""
        pause = _SHORTEST_PAUSE_S
        while batch:
            try:
                stale = self._deliveries.acknowledge(self._worker, batch)
            except StorageUnavailable as error:
                _log.warning("record.delayed", attempts=len(batch), error=str(error), pause_s=pause)
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            if stale:
                _log.warning("record.stale", jobs=list(stale))
            self._remember(batch)
            self._recorded(batch)
            return

    def _remember(self, batch: Sequence[Acknowledgement]) -> None:
        """Remember the last few thousand: a store that fails over may have lost the last writes."""
        if len(self._recent) >= _REMEMBERED:
            self._recent, self._earlier = {}, self._recent
        self._recent.update((one.job, one) for one in batch)
