"""What is wrong, since when, and who was told: kept in the store, so that a restart repeats no message.

The hash `fd:alerts` has a field for each state, `{kind}` or `{kind}/{subject}`, and for each number whose growth is a
state, `~{name}`. Only the holder of the lock `alerts` writes it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson
import redis

from receiver.storage.redis import batch, keys

_LEVEL: Final = "~"


@dataclass(slots=True)
class AlertState:
    """One state. Times are Unix ms, 0: not yet. *since_ms* it is seen without a break, *opened_ms* it counts, *well_ms*
    it is no longer seen; *closing*: it is over, and those who were told are to hear of it. *told*: digests of the URLs
    that have been told."""

    title: str
    text: str
    since_ms: int
    opened_ms: int = 0
    well_ms: int = 0
    closing: bool = False
    told: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Level:
    """A number that should not grow: what it was when last seen, and when it last grew (Unix ms, 0: never)."""

    height: int
    grew_ms: int = 0

    def see(self, height: int, now_ms: int) -> None:
        """Note what it is now."""
        if height > self.height:
            self.grew_ms = now_ms
        self.height = height


class AlertStore:
    """The book. Every method raises StorageUnavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def states(self) -> dict[str, AlertState]:
        """Return all states, by kind and subject."""
        return {name: state for name, state in self._read(AlertState).items() if not name.startswith(_LEVEL)}

    def levels(self) -> dict[str, Level]:
        """Return the numbers, by name."""
        found = self._read(Level)
        return {name.removeprefix(_LEVEL): level for name, level in found.items() if name.startswith(_LEVEL)}

    def write(self, name: str, state: AlertState) -> None:
        """Write one state."""
        batch.replies(self._client, [("HSET", keys.ALERTS, name, orjson.dumps(asdict(state)))])

    def write_levels(self, levels: Mapping[str, Level]) -> None:
        """Write numbers."""
        written = [
            ("HSET", keys.ALERTS, f"{_LEVEL}{name}", orjson.dumps(asdict(level))) for name, level in levels.items()
        ]
        batch.replies(self._client, written)

    def remove(self, name: str) -> None:
        """Forget one state."""
        batch.replies(self._client, [("HDEL", keys.ALERTS, name)])

    def _read(self, kind: type[Any]) -> dict[str, Any]:
        """Read the fields that hold such a thing; what this version cannot read is left out."""
        (found,) = batch.replies(self._client, [("HGETALL", keys.ALERTS)])
        read = {}
        for name, stored in found.items():
            try:
                read[name.decode(errors="replace")] = kind(**orjson.loads(stored))
            except (ValueError, TypeError):
                continue
        return read
