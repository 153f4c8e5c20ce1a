"""What all connections of one server share: their limits, the bytes that they hold, and who has to go."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on connections. Seconds and bytes.

    *idle_s* is longer than load balancers keep idle connections (up to 600 s), so that they close them, and not we
    under a request. When there are too many connections, a body that has been coming for less than *prompt_s* is left
    alone. *unfinished_bytes* bounds the bodies of all connections together, as far as they are still coming.
    """

    connections: int = 1_000
    head_bytes: int = 65_536
    target_bytes: int = 8_192
    unfinished_bytes: int = 64 * 1_048_576
    head_s: float = 10.0
    body_s: float = 30.0
    unread_answer_s: float = 30.0
    idle_s: float = 620.0
    farewell_s: float = 3.0
    prompt_s: float = 1.0


class Connection(Protocol):
    """What is to be known of a connection. *since*: when what it waits for began; *counted*: bytes of its body."""

    since: float
    counted: int

    def spared(self, now: float) -> int | None: ...


C = TypeVar("C", bound=Connection)


class Budget:
    """What the connections of one server share. *refused* is called with the limit that a connection ran into."""

    def __init__(self, limits: Limits, refused: Callable[[str], None]) -> None:
        self.limits = limits
        self.refused = refused
        self._unfinished = 0

    def count(self, connection: Connection, size: int) -> bool:
        """Note how much of an unfinished body a connection holds; return whether all of them hold too much."""
        self._unfinished += size - connection.counted
        connection.counted = size
        return self._unfinished > self.limits.unfinished_bytes

    def slowest_body(self, connections: Iterable[C]) -> C:
        """Return the connection whose unfinished body has been coming for longest."""
        return min((one for one in connections if one.counted), key=lambda one: one.since)

    def most_spared(self, newcomer: C, connections: Iterable[C]) -> C:
        """Return the connection that makes room for a new one; the new one itself if none can be spared."""
        now = time.monotonic()
        others = (one for one in connections if one is not newcomer)
        ranked = [(rank, one.since, one) for one in others if (rank := one.spared(now)) is not None]
        return min(ranked, key=lambda each: each[:2])[2] if ranked else newcomer
