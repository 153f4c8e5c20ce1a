"""Loads the routing table that the settings name: once for a command, or with reloading for a long-running process."""

from functools import partial
from pathlib import Path
from typing import Final

import redis

from receiver.core.settings import Settings
from receiver.nexudus.actions import CODES
from receiver.process import background
from receiver.routing import file
from receiver.routing.table import RoutingTable
from receiver.routing.table_reload import CurrentTable
from receiver.storage.redis import keys

_STORE_WITHIN_S: Final = 1.0
"""Seconds to wait for the store's copy of the last good routes. Resolving the store's name alone may take longer."""


def read_table(path: Path) -> RoutingTable:
    """Read one routing file. Raises RoutesError."""
    return file.read(path, known_actions=CODES)


def load_table(settings: Settings, client: redis.Redis | None = None, *, saves: bool = False) -> CurrentTable:
    """Return the routing table of *settings*. Its `start` or `reload` reads the file.

    If the file is wrong, `start` falls back to the last good one in the data directory or, with a *client*, in the
    store. *saves*: each valid file is also saved in the store, where every process finds it.
    """
    current = partial(CurrentTable, settings.routes, known_actions=CODES, data_dir=settings.data_dir)
    if client is None:
        return current()

    def load() -> str | None:
        text: bytes | None = background.within(_STORE_WITHIN_S, lambda: client.get(keys.ROUTES))  # type: ignore[assignment]
        return None if text is None else text.decode("utf-8", "replace")

    def save(text: str) -> None:
        background.within(_STORE_WITHIN_S, lambda: client.set(keys.ROUTES, text))

    return current(save=save if saves else None, load=load)
