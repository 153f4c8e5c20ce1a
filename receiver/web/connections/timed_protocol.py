"""Time limits: what a connection waits for from its client, since when, and what happens when that takes too long.

`connection_limits` has the seconds; `receiver.web.server` looks at all connections once a second.

To refuse a client, we write the refusal, close our side of the connection, and drop further input for a moment: closing
at once would reset the connection, and the client might never read the refusal. The limits need no timer for each
request: each connection knows what it waits for and since when, and the server checks all of them once a second.
"""

import time
from enum import Enum
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from receiver.web import answers
from receiver.web.connections.connection_limits import ConnectionBudget

REFUSED = "connection.refused"
"""Key in the ASGI scope: the status with which a connection was refused before the request's body was complete."""


class Awaiting(Enum):
    """What a connection waits for from its client."""

    NOTHING = 0
    HEAD = 1
    BODY = 2
    CLOSE = 3


class TimedProtocol(HttpToolsProtocol):
    """One connection: its state, and the limits on its time and number."""

    transport: Any
    flow: Any
    cycle: Any

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: Any = None,
        *,
        budget: ConnectionBudget,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.url, self.headers = b"", []
        self.budget = budget
        self.limits = budget.limits
        self.awaiting = Awaiting.HEAD
        self.since = time.monotonic()
        self.counted = 0
        self.head_bytes = 0
        self.body_bytes = 0
        self.held = bytearray()
        self.is_half_closed = False
        self._unread_since: float | None = None
        self.is_draining = False
        """Set when each further answer has to close the connection."""

    def neighbours(self) -> list["TimedProtocol"]:
        """Return all connections of this server."""
        return [one for one in self.connections if isinstance(one, TimedProtocol)]

    def shutdown(self) -> None:
        """Finish the requests that were accepted, then close. The server calls this when it stops."""
        self.is_draining = True
        if self.is_busy():
            self.cycle.keep_alive = False
        elif self.awaiting is not Awaiting.HEAD or self.head_bytes == 0:
            self.transport.close()

    def is_idle(self) -> bool:
        """Whether this connection has had a request and now waits for the next one."""
        return self.awaiting is Awaiting.NOTHING and not self.is_busy()

    def expire(self, now: float) -> None:
        """Close the connection if its client takes too long. Called once a second with the monotonic time."""
        waited = now - self.since
        if self.awaiting is Awaiting.HEAD and waited > self.limits.head_s:
            self.refuse(408, "head_time")
        elif self.awaiting is Awaiting.BODY and waited > self.limits.body_s:
            self.refuse(408, "body_time")
        elif self.awaiting is Awaiting.CLOSE and waited > self.limits.farewell_s and not self.is_busy():
            self.transport.abort()
        elif waited > self.limits.idle_s and self.is_idle():
            self.transport.close()
        elif self.transport.get_write_buffer_size() == 0:
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since > self.limits.unread_answer_s:
            self.budget.refused("unread_answer")
            self.transport.abort()

    def spared(self, now: float) -> int | None:
        """Return the rank in which this connection is closed to make room, the lowest first; None: it must stay.

        First come connections that are slow to send a head or to close, then idle ones, then those that are slow to
        send a body, and last those whose head is arriving promptly: the head of an event is complete within
        milliseconds. A connection whose body is arriving promptly stays, and so does one that waits for our answer.
        """
        if self.is_idle():
            return 1
        if self.owes_answer():
            return None
        is_prompt = now - self.since < self.limits.prompt_s
        if self.awaiting is Awaiting.BODY:
            return None if is_prompt else 2
        return 3 if is_prompt else 0

    def count_body(self) -> None:
        """Count the bytes of an incomplete body. When all such bodies together are too large, refuse the slowest."""
        is_dropped = self.cycle.response_complete or self.cycle.disconnected
        if self.budget.count(self, 0 if is_dropped else self.body_bytes):
            self.budget.slowest_body(self.neighbours()).refuse(408, "unfinished_bodies")

    def begin_to_await(self, what: Awaiting) -> None:
        """Note that from now on the connection waits for *what*."""
        self.awaiting = what
        self.since = time.monotonic()
        self.head_bytes = 0

    def owes_answer(self) -> bool:
        """Whether a complete request has not been answered yet."""
        if not self.pipeline and (self.cycle is None or self.cycle.response_complete):
            return False  # nearly always
        return bool(self.pipeline) or (self.awaiting is not Awaiting.BODY and self.is_busy())

    def is_busy(self) -> bool:
        """Whether any request has not been answered yet."""
        return self.cycle is not None and not (self.cycle.response_complete or self.cycle.disconnected)

    def refuse(self, status: int, limit: str) -> None:
        """Answer with *status*, read no more from this connection, and close it."""
        self.budget.refused(limit)
        is_silent = self.awaiting is Awaiting.HEAD and self.head_bytes == 0
        is_answered = self.awaiting is Awaiting.BODY and self.cycle.response_started
        is_behind = self.owes_answer()
        if self.awaiting is Awaiting.BODY:
            self.budget.count(self, 0)
            self.cycle.scope[REFUSED] = status
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.begin_to_await(Awaiting.CLOSE)
        self.held.clear()
        self.transport.is_midway = is_behind
        if is_behind:
            # Requests before this one are being answered; their last answer closes the connection.
            self.cycle.keep_alive = False
        else:
            if not (is_silent or is_answered):
                self.transport.write(answers.raw(status))
            self.transport.end()
        self.read_on()

    def read_on(self) -> None:
        """Resume reading when all input is parsed; or close, when the client has ended and every answer is written."""
        if self.is_half_closed:
            if not self.owes_answer():
                self.transport.close()
        else:
            self.flow.is_held = False
            if not (self.cycle and len(self.cycle.body) > HIGH_WATER_LIMIT):
                self.flow.resume_reading()
