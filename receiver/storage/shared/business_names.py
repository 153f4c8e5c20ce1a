"""The names of the locations: as routes.yaml has them, else as Nexudus last told them."""

import time
from collections.abc import Callable, Mapping
from typing import Final

import redis

from receiver.core.errors import StorageUnavailable
from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

_LONGEST: Final = 200
_FRESH_S: Final = 30.0


class BusinessNames:
    """Reads and writes names. *told*: those of routes.yaml, by number; they go before those of Nexudus."""

    def __init__(self, client: redis.Redis, told: Callable[[], Mapping[int, str]] = dict) -> None:
        self._calls = StoreClient(client)
        self._told = told
        self._known: dict[int, str] = {}
        self._read_s: float | None = None

    def remember(self, names: Mapping[int, str]) -> None:
        """Remember the names that Nexudus tells. Raises StorageUnavailable."""
        if names:
            self._calls.ask(
                "hset", keys.BUSINESSES, mapping={str(number): name[:_LONGEST] for number, name in names.items()}
            )

    def all(self) -> dict[int, str]:
        """Return each known location's name. A store that is away hides names and nothing else; they are kept for
        half a minute."""
        now_s = time.monotonic()
        if self._read_s is None or now_s - self._read_s > _FRESH_S:
            self._read_s = now_s
            try:
                found = self._calls.ask("hgetall", keys.BUSINESSES)
            except StorageUnavailable:
                found = {}
            read = ((decoding.number(number), decoding.text(name)) for number, name in found.items())
            self._known = {number: name for number, name in read if number is not None and name}
        return self._known | dict(self._told())


def place(business_id: int, names: Mapping[int, str]) -> str:
    """Return a location as people read it: its number and, where it is known, its name."""
    return f"{business_id} {names.get(business_id, '')}".rstrip()
