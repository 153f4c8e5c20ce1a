"""Deliveries that may have no live job. A job is looked for in all queues at once, and twice, before one is named."""

import time
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Self

from receiver.storage.model import decoding
from receiver.storage.model.keep_script import rq_time
from receiver.storage.redis import keys
from receiver.storage.redis.client import StoreClient

_MOST_HELD = 10_000
_ASKED_AT_ONCE = 64
_PAUSE_S = 0.25
_PAGE = 5_000
_SHARDS = 256
_MASK = 2**64 - 1


class CompactSet:
    """A set that keeps 64 bits of a hash of each member: ten million members take 80 MB.

    What was added is always found. Something else is taken for a member once in 10^13 questions to a million members.
    """

    def __init__(self) -> None:
        self._shards = [array("Q") for _ in range(_SHARDS)]
        self._sorted = True

    def add_all(self, members: Iterable[bytes]) -> None:
        """Add members."""
        for member in members:
            number = hash(member) & _MASK
            self._shards[number % _SHARDS].append(number)
        self._sorted = False

    def __contains__(self, member: bytes) -> bool:
        if not self._sorted:
            self._shards = [array("Q", sorted(shard)) for shard in self._shards]
            self._sorted = True
        number = hash(member) & _MASK
        shard = self._shards[number % _SHARDS]
        at = bisect_left(shard, number)
        return at < len(shard) and shard[at] == number

    @classmethod
    def of_queues(cls, calls: StoreClient) -> Self:
        """Read every queue once, from its tail to its head.

        Jobs leave a queue at its head and join it at its tail: read in this direction and by positions counted from the
        tail, a job that stands in a queue all the while is never jumped over.
        """
        jobs = cls()
        queues = {decoding.text(queue) for queue in calls.ask("smembers", keys.QUEUES)} | {keys.ISOLATED}
        for queue in sorted(queues):
            key = keys.rq_queue(queue)
            # Twice the length: what joins while we read moves the rest away from us.
            for turn in range(int(calls.ask("llen", key)) * 2 // _PAGE + 2):
                page = calls.ask("lrange", key, -_PAGE * (turn + 1), -_PAGE * turn - 1)
                jobs.add_all(page)
                if len(page) < _PAGE:
                    break
        return jobs


class MissingJobs:
    """Collects deliveries in flight, and finds those that are adrift: in no queue, no schedule and no worker's hands.

    The queues are read once for all of them. Who is not in that set may have been claimed, or been queued after it was
    read: so after a short pause the queues are read again, and those that are missing there too are asked about one by
    one, in the script that also repairs. A delivery that was queued at both looks under the same job and stood in the
    queue between them was seen; so only one that was claimed and given back meanwhile is left, and that one stands at
    the head of its queue, where the script looks.
    """

    def __init__(self, calls: StoreClient, *, repair: bool) -> None:
        self._calls = calls
        self._verb = "repair" if repair else "look"
        self._in_queues: CompactSet | None = None
        self._unseen: set[bytes] = set()
        self._nowhere: set[bytes] = set()
        self._adrift: set[str] = set()

    def consider(self, queued: Iterable[bytes], adrift: Iterable[bytes]) -> None:
        """Take in the jobs of deliveries that are queued, and of those that were seen adrift."""
        for job in queued:
            if self._in_queues is None:
                self._in_queues = CompactSet.of_queues(self._calls)
            if job not in self._in_queues:
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
            # This set also serves whatever is considered next.
            self._in_queues = in_queues = CompactSet.of_queues(self._calls)
            self._unseen = {job for job in self._unseen if job not in in_queues}
        missing = sorted(self._unseen | self._nowhere)
        self._unseen.clear()
        self._nowhere.clear()
        for start in range(0, len(missing), _ASKED_AT_ONCE):
            some = missing[start : start + _ASKED_AT_ONCE]
            found = self._calls.run("missing_jobs", rq_time(), self._verb, *some)
            self._adrift.update(decoding.text(job) for job in found)
