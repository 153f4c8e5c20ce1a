"""What the store believes of a worker, compared with what is so: which deliveries are in its hands, and the time."""

import time
from collections.abc import Set as AbstractSet

from receiver.process import logs
from receiver.storage.queue.queue import Acknowledgement, DeliveryQueue
from receiver.storage.redis.clock import StoreClock
from workers.run.recorder import Recorder

_EVERY_S = 5.0

_log = logs.get()


class LeaseCheck:
    """For the thread that claims: only there nothing is between being claimed and being held."""

    def __init__(self, deliveries: DeliveryQueue, worker: str, recorder: Recorder, clock: StoreClock) -> None:
        """*clock* is set by the store's, each time."""
        self._deliveries = deliveries
        self._worker = worker
        self._recorder = recorder
        self._clock = clock
        self._due_at = 0.0

    def request(self) -> None:
        """Compare at the next occasion: a call has failed, and nobody knows whether the store has heard it."""
        self._due_at = 0.0

    def run(self, holding: AbstractSet[str]) -> None:
        """Compare, every few seconds, and put right what is wrong. Raises StorageUnavailable."""
        if time.monotonic() < self._due_at:
            return
        asked = self._clock.asks()
        self._clock.heard(self._deliveries.time(), asked)
        self._return_what_was_lost(holding)
        self._due_at = time.monotonic() + _EVERY_S

    def _return_what_was_lost(self, holding: AbstractSet[str]) -> None:
        """Put right what the store believes to be in our hands and is not. Nobody else would, as long as we live.

        That is what a claim handed over whose answer never arrived: it is given back. And what we had recorded, where
        the store failed over to a replica that had not heard of it: it is recorded again rather than run again.
        """
        ours = set(holding)  # before the store is asked: what is recorded meanwhile is still in its answer
        lost = self._deliveries.held(self._worker) - ours
        if lost:
            _log.warning("claim.lost", worker=self._worker, jobs=len(lost))
            again = [self._recorder.recorded_as(job) or Acknowledgement(job, "give_back") for job in lost]
            self._deliveries.acknowledge(self._worker, again)
