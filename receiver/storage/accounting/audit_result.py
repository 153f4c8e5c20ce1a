"""What the sweeper found last, as it stands in the store for every receiver's metrics."""

import contextlib
from dataclasses import dataclass
from typing import Any

import orjson
import redis

from receiver.storage.redis import keys
from receiver.storage.redis.client import StoreClient


@dataclass(frozen=True, slots=True)
class Found:
    """What the sweeper found last, and when (Unix ms); *events* that are kept (None: an earlier version
    found it), and deliveries *in_flight*."""

    at_ms: int
    next_ms: int
    unaccounted: int
    repaired: int
    offenders: tuple[str, ...]
    events: int | None = None
    in_flight: int = 0


def last_found(client: redis.Redis) -> Found | None:
    """Return what the sweeper found last. None: nobody swept yet. Raises StorageUnavailable."""
    return read_found(StoreClient(client).ask("get", keys.AUDIT))


def read_found(stored: bytes | str | None) -> Found | None:
    """Read what the key `fd:audit` holds; None for nothing, and for what this version cannot read."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        fields: dict[str, Any] = orjson.loads(stored or b"")
        return Found(
            int(fields["at_ms"]),
            int(fields["next_ms"]),
            int(fields["unaccounted"]),
            int(fields["repaired"]),
            tuple(fields["offenders"]),
            fields.get("events"),
            int(fields.get("in_flight", 0)),
        )
    return None
