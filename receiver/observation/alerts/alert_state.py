"""The open alerts, since when, and who got the message: kept in the store, so that a restart repeats no message.

The hash `fd:alerts` has a field for each alert, `{kind}` or `{kind}/{subject}`, and for each count whose growth is a
condition, `~{name}`. Only the holder of the lock `alerts` writes it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson
import redis

from receiver.storage.redis import keys
from receiver.storage.redis.store_client import replies

_LEVEL: Final = "~"


@dataclass(slots=True)
class AlertState:
    """One alert. Times are Unix ms, 0: not yet. *since_ms*: the condition was first seen; *opened_ms*: it opened;
    *well_ms*: the condition was first absent again. *closing*: it is resolved, and whoever got the message gets another
    one. *told*: digests of the URLs that got the message."""

    title: str
    text: str
    since_ms: int
    opened_ms: int = 0
    well_ms: int = 0
    closing: bool = False
    told: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Level:
    """A count that should not grow: its last value, and when it last grew (Unix ms, 0: never)."""

    height: int
    grew_ms: int = 0

    def see(self, height: int, now_ms: int) -> None:
        """Take its present value."""
        if height > self.height:
            self.grew_ms = now_ms
        self.height = height


class AlertStore:
    """Reads and writes alerts. Every method raises StorageUnavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def states(self) -> dict[str, AlertState]:
        """Return all alerts, by kind and subject."""
        return {name: state for name, state in self._read(AlertState).items() if not name.startswith(_LEVEL)}

    def levels(self) -> dict[str, Level]:
        """Return the counts, by name."""
        found = self._read(Level)
        return {name.removeprefix(_LEVEL): level for name, level in found.items() if name.startswith(_LEVEL)}

    def write(self, name: str, state: AlertState) -> None:
        """Write one alert."""
        replies(self._client, [("HSET", keys.ALERTS, name, orjson.dumps(asdict(state)))])

    def write_levels(self, levels: Mapping[str, Level]) -> None:
        """Write counts."""
        written = [
            ("HSET", keys.ALERTS, f"{_LEVEL}{name}", orjson.dumps(asdict(level))) for name, level in levels.items()
        ]
        replies(self._client, written)

    def remove(self, name: str) -> None:
        """Delete one alert."""
        replies(self._client, [("HDEL", keys.ALERTS, name)])

    def _read(self, kind: type[Any]) -> dict[str, Any]:
        """Read the fields of one kind; what this version cannot read is left out."""
        (found,) = replies(self._client, [("HGETALL", keys.ALERTS)])
        read = {}
        for name, stored in found.items():
            try:
                read[name.decode(errors="replace")] = kind(**orjson.loads(stored))
            except (ValueError, TypeError):
                continue
        return read
