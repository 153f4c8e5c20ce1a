"""The budget of Nexudus calls that all processes of one deployment share: in Redis, by its clock."""

import time
from collections.abc import Callable
from importlib.resources import files

import redis

from receiver.core.errors import StorageUnavailable
from receiver.storage.redis import keys

_SCRIPT = files("receiver.storage.redis.scripts").joinpath("budget.lua")


class SharedBudget:
    """Takes calls from the shared buckets. *first*: the registrar, which is served before everyone else.

    Each bucket is (burst, per second); an hour's calls and a day's writes are counted beside. Threads may
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
        self._script = connection.register_script(_SCRIPT.read_text(encoding="utf-8"))
        self._limits = (*calls, *writes, calls_per_hour, writes_per_day)
        self._first = first
        self._sleep = sleep

    def take(self, *, write: bool) -> None:
        """Sleep until the call is allowed; takes from all limits or from none."""
        while wait := self._ask(write):
            self._sleep(wait / 1_000_000)

    def _ask(self, write: bool) -> int:
        try:
            names = [keys.NEXUDUS_BUDGET, keys.NEXUDUS_BUDGET_LONG]
            return int(self._script(keys=names, args=[int(write), int(self._first), *self._limits]))
        except redis.RedisError as error:
            raise StorageUnavailable(f"Redis does not keep the budget of Nexudus calls: {error}") from error
