"""Deliveries that may have no live job. A job is looked for in all queues at once, and twice, before one is named."""

import time
from collections.abc import Iterable

from receiver.storage.accounting.compact_set import Roll
from receiver.storage.model import decoding
from receiver.storage.model.keep_script import rq_time
from receiver.storage.redis.client import StoreClient

_MOST_HELD = 10_000
_ASKED_AT_ONCE = 64
_PAUSE_S = 0.25


class Suspects:
    """Collects deliveries in flight, and finds those that are adrift: in no queue, no schedule and no worker's hands.

    The queues are read once for all of them. Who is not in that roll may have been claimed, or been queued after it was
    read: so after a short pause the queues are read again, and those that are missing there too are asked about one by
    one, in the script that also repairs. A delivery that was queued at both looks under the same job and stood in the
    queue between them was seen; so only one that was claimed and given back meanwhile is left, and that one stands at
    the head of its queue, where the script looks.
    """

    def __init__(self, calls: StoreClient, *, repair: bool) -> None:
        self._calls = calls
        self._verb = "repair" if repair else "look"
        self._roll: Roll | None = None
        self._unseen: set[bytes] = set()
        self._nowhere: set[bytes] = set()
        self._adrift: set[str] = set()

    def consider(self, queued: Iterable[bytes], adrift: Iterable[bytes]) -> None:
        """Take in the jobs of deliveries that are queued, and of those that were seen adrift."""
        for job in queued:
            if self._roll is None:
                self._roll = Roll.of_queues(self._calls)
            if job not in self._roll:
                self._unseen.add(job)
        self._nowhere.update(adrift)
        if len(self._unseen) + len(self._nowhere) >= _MOST_HELD:
            self._look_again()

    def settle(self) -> set[str]:
        """Return the jobs of all deliveries that are adrift, or were until they were repaired."""
        self._look_again()
        return self._adrift

    def _look_again(self) -> None:
        if self._unseen:
            time.sleep(_PAUSE_S)
            # This roll also serves whatever is considered next.
            self._roll = roll = Roll.of_queues(self._calls)
            self._unseen = {job for job in self._unseen if job not in roll}
        missing = sorted(self._unseen | self._nowhere)
        self._unseen.clear()
        self._nowhere.clear()
        for start in range(0, len(missing), _ASKED_AT_ONCE):
            some = missing[start : start + _ASKED_AT_ONCE]
            found = self._calls.run("adrift", rq_time(), self._verb, *some)
            self._adrift.update(decoding.text(job) for job in found)
