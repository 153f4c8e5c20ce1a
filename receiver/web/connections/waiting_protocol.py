"""What a connection waits for from the other end, since when, and what happens when that takes too long.

A refusal is written, our side of the connection is closed, and what still comes is dropped for a moment: closing at
once would reset the connection, and the other end might never read why. No limit costs a timer for each request: each
connection knows what it waits for since when, and the server looks at all of them once a second.
"""

import time
from enum import Enum
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from receiver.web import answers
from receiver.web.connections.connection_budget import Budget

REFUSED = "connection.refused"
"""In the scope of a request whose connection was refused before its body was whole: with which status."""


class Awaiting(Enum):
    """What a connection waits for from the other end."""

    NOTHING = 0
    HEAD = 1
    BODY = 2
    CLOSE = 3


class WaitingProtocol(HttpToolsProtocol):
    """One connection: its state, and the limits of time and number that it is under."""

    transport: Any
    flow: Any
    cycle: Any

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None, *, budget: Budget
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
        """No answer from now on keeps the connection open."""

    def neighbours(self) -> list["WaitingProtocol"]:
        """Return all connections of this server."""
        return [one for one in self.connections if isinstance(one, WaitingProtocol)]

    def shutdown(self) -> None:
        """Finish what was taken, then close; called by the server when it stops."""
        self.is_draining = True
        if self.is_busy():
            self.cycle.keep_alive = False
        elif self.awaiting is not Awaiting.HEAD or self.head_bytes == 0:
            self.transport.close()

    def is_idle(self) -> bool:
        """Whether this connection was of use once and does nothing now."""
        return self.awaiting is Awaiting.NOTHING and not self.is_busy()

    def expire(self, now: float) -> None:
        """Close the connection if the other end took too long; called once a second with the monotonic clock."""
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
        """How readily this connection makes room, the lowest first; None when it must stay.

        First who dawdles with a head or with going, then the idle, then who dawdles with a body, at last whose head is
        coming promptly: that of an event is whole within milliseconds, and never the oldest. A body that comes promptly
        stays, and no answer is lost that we owe for a whole request.
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
        """Count what has come of a body that is not whole; when all of these are too much, the slowest is refused."""
        is_dropped = self.cycle.response_complete or self.cycle.disconnected
        if self.budget.count(self, 0 if is_dropped else self.body_bytes):
            self.budget.slowest_body(self.neighbours()).refuse(408, "unfinished_bodies")

    def begin_to_await(self, what: Awaiting) -> None:
        """Wait for something else from now on."""
        self.awaiting = what
        self.since = time.monotonic()
        self.head_bytes = 0

    def owes_answer(self) -> bool:
        """Whether a request that came whole is still to be answered."""
        if not self.pipeline and (self.cycle is None or self.cycle.response_complete):
            return False  # nearly always
        return bool(self.pipeline) or (self.awaiting is not Awaiting.BODY and self.is_busy())

    def is_busy(self) -> bool:
        """Whether a request is still to be answered."""
        return self.cycle is not None and not (self.cycle.response_complete or self.cycle.disconnected)

    def refuse(self, status: int, limit: str) -> None:
        """Take nothing more from this connection, say why, and close it."""
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
        """Read again, when all that came is parsed; or close, when nothing more will come and nothing is owed."""
        if self.is_half_closed:
            if not self.owes_answer():
                self.transport.close()
        else:
            self.flow.is_held = False
            if not (self.cycle and len(self.cycle.body) > HIGH_WATER_LIMIT):
                self.flow.resume_reading()
