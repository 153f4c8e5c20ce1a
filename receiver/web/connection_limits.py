"""HTTP/1.1 with bounds: a conversation, which trusts whoever is on the other end, under limits of size and time.

A refusal is written, our side of the connection is closed, and what still comes is dropped for a moment: closing at
once would reset the connection, and the other end might never read why. No limit costs a timer for each request: each
connection knows what it waits for since when, and the server looks at all of them once a second.
"""

import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from receiver.observation.receiver_metrics import IngestMetrics
from receiver.web import answers
from receiver.web.conversation import Conversation
from receiver.web.hook_request import Host


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on every connection. Seconds and bytes.

    *idle_s* is longer than load balancers keep idle connections (60 s), so that they close them, and not we under a
    request. When there are too many connections, what has been coming for less than *prompt_s* is left alone.
    """

    connections: int = 1_000
    head_bytes: int = 65_536
    target_bytes: int = 8_192
    head_s: float = 10.0
    body_s: float = 30.0
    unread_answer_s: float = 30.0
    idle_s: float = 75.0
    farewell_s: float = 3.0
    prompt_s: float = 1.0


class _Awaiting(Enum):
    """What a connection waits for from the other end."""

    NOTHING = 0
    HEAD = 1
    BODY = 2
    CLOSE = 3


class BoundedProtocol(Conversation):
    """One connection. Made by the server through `functools.partial` with *limits*, *metrics* and *host*."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: Any = None,
        *,
        limits: Limits,
        metrics: IngestMetrics,
        host: Host | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop, host=host)
        self._limits = limits
        self._metrics = metrics
        self._awaiting = _Awaiting.HEAD
        self._since = time.monotonic()
        self._head_bytes = 0
        self._refusal = 400
        self._unread_since: float | None = None

    def connection_made(self, transport: Any) -> None:
        """Take a connection. When there are too many, the one that can best be spared makes room, or it goes itself."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._metrics.connection_refused("connections")
            spared = self._most_spared()
            self.connections.discard(spared)
            spared.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what came, and see that a head stays within its bounds while it is still coming."""
        if self._awaiting is _Awaiting.CLOSE:
            return
        if self._awaiting is _Awaiting.NOTHING:
            self._await(_Awaiting.HEAD)
        if self._awaiting is _Awaiting.HEAD:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._awaiting is _Awaiting.HEAD and self._head_bytes > self._limits.head_bytes:
            self._refuse(431, "head")

    def on_message_begin(self) -> None:
        """Begin a head; with pipelining that may be in the middle of what came."""
        super().on_message_begin()
        if self._awaiting is not _Awaiting.HEAD:
            self._await(_Awaiting.HEAD)

    def on_url(self, url: bytes) -> None:
        """Collect the request target."""
        super().on_url(url)
        if len(self.url) > self._limits.target_bytes:
            self._refusal = 414
            raise ValueError("request target too long")

    def on_headers_complete(self) -> None:
        """Check the whole head when it may be too large, then start the request."""
        if self.asks_for_upgrade():
            return
        if self.parser.get_http_version() not in ("1.1", "1.0"):
            raise ValueError("not a version that we speak")
        if self._head_bytes > self._limits.head_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._limits.head_bytes:
                self._refusal = 431
                raise ValueError("request head too large")
        super().on_headers_complete()
        self._await(_Awaiting.BODY)
        self._hurry()

    def on_message_complete(self) -> None:
        """End a request; the connection owes us nothing now."""
        if self.asks_for_upgrade():
            return
        self._awaiting = _Awaiting.NOTHING
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Be idle from now on, or in haste."""
        self._since = time.monotonic()
        super().on_response_complete()
        self._hurry()

    def _hurry(self) -> None:
        """Give a request whose answer came first (413, 404) only a moment to end; what comes of it is dropped."""
        if self._awaiting is _Awaiting.BODY and self.cycle.response_complete:
            self._since = time.monotonic() - self._limits.body_s + self._limits.farewell_s

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed; called by uvicorn."""
        self._refuse(self._refusal, {431: "head", 414: "target"}.get(self._refusal, "malformed"))

    def is_idle(self) -> bool:
        """Whether this connection was of use once and does nothing now."""
        return self._awaiting is _Awaiting.NOTHING and not self._is_busy()

    def expire(self, now: float) -> None:
        """Close the connection if the other end took too long; called once a second with the monotonic clock."""
        waited = now - self._since
        if self._awaiting is _Awaiting.HEAD and waited > self._limits.head_s:
            self._refuse(408, "head_time")
        elif self._awaiting is _Awaiting.BODY and waited > self._limits.body_s:
            self._refuse(408, "body_time")
        elif self._awaiting is _Awaiting.CLOSE and waited > self._limits.farewell_s and not self._is_busy():
            self.transport.abort()
        elif waited > self._limits.idle_s and self.is_idle():
            self.transport.close()
        else:
            self._expire_unread_answer(now)

    def shutdown(self) -> None:
        """Finish what was taken, then close; called by the server when it stops."""
        self.is_draining = True
        if self._is_busy():
            self.cycle.keep_alive = False
        elif self._awaiting is not _Awaiting.HEAD or self._head_bytes == 0:
            self.transport.close()

    def _expire_unread_answer(self, now: float) -> None:
        if self.transport.get_write_buffer_size() == 0:
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since > self._limits.unread_answer_s:
            self._metrics.connection_refused("unread_answer")
            self.transport.abort()

    def _await(self, what: _Awaiting) -> None:
        self._awaiting = what
        self._since = time.monotonic()
        self._head_bytes = 0

    def _most_spared(self) -> "BoundedProtocol":
        """Return the connection that makes room for this one, or this one."""
        now = time.monotonic()
        others = [one for one in self.connections if isinstance(one, BoundedProtocol) and one is not self]
        ranked = [(rank, one) for one in others if (rank := one._spared(now))]  # noqa: SLF001 - of this same class
        return min(ranked, key=lambda each: each[0])[1] if ranked else self

    def _spared(self, now: float) -> tuple[int, float] | None:
        """How readily this connection makes room, the lowest first: its kind and since when; None when it must stay.

        First who dawdles with a head or with going, then the idle, then who dawdles with a body. What was promptly sent
        is none of these, and no answer is lost that we owe for a whole request.
        """
        if self.is_idle():
            return (1, self._since)
        if self._owes_answer() or now - self._since < self._limits.prompt_s:
            return None
        return (2 if self._awaiting is _Awaiting.BODY else 0, self._since)

    def _owes_answer(self) -> bool:
        """Whether a request that came whole is still to be answered."""
        return bool(self.pipeline) or (self._awaiting is not _Awaiting.BODY and self._is_busy())

    def _is_busy(self) -> bool:
        """Whether a request is still to be answered."""
        return self.cycle is not None and not (self.cycle.response_complete or self.cycle.disconnected)

    def _refuse(self, status: int, limit: str) -> None:
        """Take nothing more from this connection, say why, and close it."""
        self._metrics.connection_refused(limit)
        is_silent = self._awaiting is _Awaiting.HEAD and self._head_bytes == 0
        is_answered = self._awaiting is _Awaiting.BODY and self.cycle.response_started
        is_behind = self._owes_answer()
        if self._awaiting is _Awaiting.BODY:
            self._leave(status)
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._await(_Awaiting.CLOSE)
        if is_behind:
            # Requests before this one are being answered; their last answer closes the connection.
            self.cycle.keep_alive = False
            return
        if not (is_silent or is_answered):
            self.transport.write(answers.raw(status))
        if self.transport.can_write_eof():
            self.transport.write_eof()
