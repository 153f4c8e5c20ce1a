"""Compares what the store and a worker process know of each other: the deliveries that it holds, and the time."""

import time
from collections.abc import Set as AbstractSet

from receiver.process import logs
from receiver.storage.queue.queue import Acknowledgement, DeliveryQueue
from receiver.storage.redis.clock import StoreClock
from workers.run.recorder import Recorder

_EVERY_S = 5.0

_log = logs.get()


class LeaseCheck:
    """Used by the thread that claims: only there, no delivery is between being claimed and being held."""

    def __init__(self, deliveries: DeliveryQueue, worker: str, recorder: Recorder, clock: StoreClock) -> None:
        """*clock* is set to the store's time at each check."""
        self._deliveries = deliveries
        self._worker = worker
        self._recorder = recorder
        self._clock = clock
        self._due_at = 0.0

    def request(self) -> None:
        """Make the next `run` check at once: a call has failed, and the store may have carried it out nevertheless."""
        self._due_at = 0.0

    def run(self, holding: AbstractSet[str]) -> None:
        """Check every few seconds that the store agrees with *holding*; correct it. Raises StorageUnavailable."""
        if time.monotonic() < self._due_at:
            return
        asked = self._clock.steady_now()
        self._clock.adjust(self._deliveries.time(), asked)
        self._return_what_was_lost(holding)
        self._due_at = time.monotonic() + _EVERY_S

    def _return_what_was_lost(self, holding: AbstractSet[str]) -> None:
        """Acknowledge what the store believes that this worker holds and it does not. Nobody else would while it lives.

        A claim whose reply never arrived is given back. A result that was recorded before the store failed over to a
        replica without it is recorded again, so that the delivery does not run again.
        """
        ours = set(holding)  # copied before the call: what is recorded meanwhile may still be in its reply
        lost = self._deliveries.held(self._worker) - ours
        if lost:
            _log.warning("claim.lost", worker=self._worker, jobs=len(lost))
            again = [self._recorder.recorded_as(job) or Acknowledgement(job, "give_back") for job in lost]
            self._deliveries.acknowledge(self._worker, again)
