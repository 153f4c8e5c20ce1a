"""A roll call: which jobs stand in the queues. Eight bytes for each, so that ten millions of them fit into 80 MB."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Self

from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.client import StoreClient

_PAGE = 5_000
_SHARDS = 256
_MASK = 2**64 - 1


class Roll:
    """A set that keeps 64 bits of a hash of each member.

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
        roll = cls()
        queues = {decoding.text(queue) for queue in calls.ask("smembers", keys.QUEUES)} | {keys.ISOLATED}
        for queue in sorted(queues):
            key = keys.rq_queue(queue)
            # Twice the length: what joins while we read moves the rest away from us.
            for turn in range(int(calls.ask("llen", key)) * 2 // _PAGE + 2):
                page = calls.ask("lrange", key, -_PAGE * (turn + 1), -_PAGE * turn - 1)
                roll.add_all(page)
                if len(page) < _PAGE:
                    break
        return roll
