"""The budget of Nexudus calls that all processes of one deployment share, in Redis and by its clock.

How large it is, and why, is in `receiver.nexudus.api.call_limits`.
"""

import time
from collections.abc import Callable

import redis

from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

_KEYS = (keys.NEXUDUS_BUDGET, keys.NEXUDUS_BUDGET_LONG)


class SharedBudget:
    """Takes calls from the shared buckets. *first*: the caller is the registrar, which is served before all others.

    Each bucket is (burst, per second); an hour's calls and a day's writes are counted in addition. Threads may
    share it. Raises StorageUnavailable when Redis does not answer.
    """

    def __init__(
        self,
        connection: redis.Redis,
        calls: tuple[int, float],
        writes: tuple[int, float],
        *,
        first: bool,
        calls_per_hour: int = 5_000,
        writes_per_day: int = 5_000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._calls = StoreClient(connection, "call_budget")
        self._limits = (*calls, *writes, calls_per_hour, writes_per_day)
        self._first = first
        self._sleep = sleep

    def take(self, *, write: bool) -> None:
        """Sleep until the call is allowed; takes from all limits or from none."""
        while wait := self._ask(write):
            self._sleep(wait / 1_000_000)

    def _ask(self, write: bool) -> int:
        return int(self._calls.run("call_budget", int(write), int(self._first), *self._limits, keys=_KEYS))
