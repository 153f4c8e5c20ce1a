"""Finds deliveries that have no live job. Before it reports one, it searches all queues for the job, twice."""

import time
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Self

from receiver.storage.model import decoding
from receiver.storage.model.keep_script import rq_time
from receiver.storage.redis import keys, rq_keys
from receiver.storage.redis.store_client import StoreClient

_MOST_HELD = 10_000
_ASKED_AT_ONCE = 64
_PAUSE_S = 0.25
_PAGE = 5_000
_SHARDS = 256
_MASK = 2**64 - 1


class CompactSet:
    """A set that keeps 64 bits of a hash of each member: ten million members take 80 MB.

    Members are always found. With a million members, one in 10^13 lookups takes something else for a member.
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

        Jobs leave a queue at its head and join it at its tail. Read from the tail, by positions counted from the tail,
        a job that stays in the queue is never skipped.
        """
        jobs = cls()
        queues = {decoding.text(queue) for queue in calls.ask("smembers", keys.QUEUES)} | {rq_keys.ISOLATED}
        for queue in sorted(queues):
            key = rq_keys.queue(queue)
            # Twice the length: jobs that join while we read move the rest further from the tail.
            for turn in range(int(calls.ask("llen", key)) * 2 // _PAGE + 2):
                page = calls.ask("lrange", key, -_PAGE * (turn + 1), -_PAGE * turn - 1)
                jobs.add_all(page)
                if len(page) < _PAGE:
                    break
        return jobs


class MissingJobs:
    """Collects deliveries in flight, and finds those that are adrift: in no queue, not scheduled, and with no worker.

    The queues are read once for all of them. A job that is not among those read may have been claimed, or queued after
    its queue was read. So after a short pause the queues are read again, and the script that also repairs checks each
    job that is missing again. A job that stayed in a queue was found by one of the two reads. The only other live case
    is a job that was claimed and given back meanwhile; it is at the head of its queue, where the script looks.
    """

    def __init__(self, calls: StoreClient, *, repair: bool) -> None:
        self._calls = calls
        self._verb = "repair" if repair else "look"
        self._in_queues: CompactSet | None = None
        self._unseen: set[bytes] = set()
        self._nowhere: set[bytes] = set()
        self._adrift: set[str] = set()

    def consider(self, queued: Iterable[bytes], adrift: Iterable[bytes]) -> None:
        """Add the jobs of deliveries that are queued, and of those that seem to be adrift."""
        for job in queued:
            if self._in_queues is None:
                self._in_queues = CompactSet.of_queues(self._calls)
            if job not in self._in_queues:
                self._unseen.add(job)
        self._nowhere.update(adrift)
        if len(self._unseen) + len(self._nowhere) >= _MOST_HELD:
            self._look_again()

    def settle(self) -> set[str]:
        """Return the jobs of all deliveries that are adrift, or were adrift before this call repaired them."""
        self._look_again()
        return self._adrift

    def _look_again(self) -> None:
        if self._unseen:
            time.sleep(_PAUSE_S)
            # The same set is used for jobs that are considered later.
            self._in_queues = in_queues = CompactSet.of_queues(self._calls)
            self._unseen = {job for job in self._unseen if job not in in_queues}
        missing = sorted(self._unseen | self._nowhere)
        self._unseen.clear()
        self._nowhere.clear()
        for start in range(0, len(missing), _ASKED_AT_ONCE):
            some = missing[start : start + _ASKED_AT_ONCE]
            found = self._calls.run("missing_jobs", rq_time(), self._verb, *some)
            self._adrift.update(decoding.text(job) for job in found)
