"""The limits of connections, in seconds and bytes, and the state that all connections of one server share: the bytes
that they hold, and which one is closed first. `timed_protocol` closes connections by them.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds on connections. Seconds and bytes.

    *idle_s* is longer than load balancers keep idle connections (up to 600 s), so that the load balancer closes them:
    if we did, a request could already be on its way. When there are too many connections, those whose body has been
    arriving for less than *prompt_s* are spared. *unfinished_bytes* bounds all incomplete bodies together.
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
    """A connection as the budget sees it. *since*: when its current wait began; *counted*: bytes of its body so far."""

    since: float
    counted: int

    def spared(self, now: float) -> int | None: ...


C = TypeVar("C", bound=Connection)


class ConnectionBudget:
    """The state shared by the connections of one server. *refused* is called with the limit that a connection hit."""

    def __init__(self, limits: ConnectionLimits, refused: Callable[[str], None]) -> None:
        self.limits = limits
        self.refused = refused
        self._unfinished = 0

    def count(self, connection: Connection, size: int) -> bool:
        """Note the size of a connection's incomplete body; return whether all such bodies together are too large."""
        self._unfinished += size - connection.counted
        connection.counted = size
        return self._unfinished > self.limits.unfinished_bytes

    def slowest_body(self, connections: Iterable[C]) -> C:
        """Return the connection whose incomplete body has been arriving for the longest time."""
        return min((one for one in connections if one.counted), key=lambda one: one.since)

    def most_spared(self, newcomer: C, connections: Iterable[C]) -> C:
        """Return the connection to close so that a new one fits; the new one itself if no other may be closed."""
        now = time.monotonic()
        others = (one for one in connections if one is not newcomer)
        ranked = [(rank, one.since, one) for one in others if (rank := one.spared(now)) is not None]
        return min(ranked, key=lambda each: each[:2])[2] if ranked else newcomer
