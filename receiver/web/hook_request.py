"""One request to a hook, from its head to its answer: what stands in uvicorn's protocol where an application's task
would stand otherwise. No scope, no task, no messages: they would cost as much as everything that we do for a request.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

from uvicorn.server import ServerState

from receiver.nexudus.hook_urls import Hook

GONE = 499
"""What is noted of a request whose sender did not stay to the end of its body, as nginx does; nobody is answered."""

Headers = Sequence[tuple[bytes, bytes]]

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii") for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request below `/hooks/` went. *hook*: when the token in the path was right; else whoever sent it is a
    stranger."""

    path: str
    query: bytes
    hook: Hook | None = None


class Host(Protocol):
    """Whoever receives visits; see `receiver.web.hook_endpoint.Door`."""

    def place(self, target: bytes) -> Place | None:
        """Return where a request target leads to; None: to nobody here. Raises ValueError for what is no target."""

    def enter(self, visit: "Visit") -> None:
        """Look at the head. What is answered now is answered without the body."""

    def measure(self, visit: "Visit") -> None:
        """See that what has come of the body is not too large."""

    def take(self, visit: "Visit") -> None:
        """Take the whole body; answer when it is kept."""

    def part(self, visit: "Visit", status: int) -> None:
        """The body did not come to its end: its sender went away (GONE), or was sent away with *status*."""


class Visit:
    """A request. Has the attributes of uvicorn's RequestResponseCycle that its protocol looks at."""

    __slots__ = (
        "_chunks", "_finished", "_host", "_server", "_transport", "disconnected", "expects", "fields", "has_begun",
        "headers", "is_whole", "keep_alive", "method", "peer", "place", "response_complete", "size", "started",
    )  # fmt: skip

    message_event = asyncio.Event()  # uvicorn wakes an application by it; nobody waits for this one

    def __init__(
        self,
        host: Host,
        place: Place,
        method: bytes,
        headers: list[tuple[bytes, bytes]],
        transport: asyncio.Transport,
        server: ServerState,
        *,
        peer: str,
        keep_alive: bool,
        expects: bool,
        finished: Callable[[], None],
    ) -> None:
        """*expects*: the sender waits for `100 Continue`. *finished* is called when the answer has been written."""
        self._host = host
        self.place = place
        self.method = method
        self.headers = headers
        self.fields = dict(headers)
        self._transport = transport
        self._server = server
        self.peer = peer
        self.keep_alive = keep_alive
        self.expects = expects
        self._finished = finished
        self._chunks: list[bytes] = []
        self.size = 0
        self.is_whole = False
        self.has_begun = False
        self.disconnected = False
        self.response_complete = False
        self.started = time.perf_counter()

    @property
    def response_started(self) -> bool:
        """An answer is written in one piece."""
        return self.response_complete

    @property
    def body(self) -> bytes:
        """What has come of the body."""
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    def begin(self) -> None:
        """Begin: the requests before this one on its connection are answered."""
        self.has_begun = True
        self._host.enter(self)
        if self.response_complete:
            return
        if self.is_whole:
            self._host.take(self)
        elif self.expects:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def receive(self, chunk: bytes) -> None:
        """Take a part of the body; of one that has been answered, nothing."""
        if self.response_complete:
            return
        self.size += len(chunk)
        self._chunks.append(chunk)
        if self.has_begun:
            self._host.measure(self)

    def end(self) -> None:
        """Note that the body is whole."""
        self.is_whole = True
        if self.response_complete:
            if not self.keep_alive:
                self._close()
        elif self.has_begun:
            self._host.take(self)

    def leave(self, status: int) -> None:
        """Note that the sender went away (GONE), or was sent away with *status*."""
        if self.disconnected or self.response_complete:
            return
        self.disconnected = True
        if self.has_begun and not self.is_whole:
            self._host.part(self, status)

    def answer(self, status: int, content_type: bytes, body: bytes, more: Headers = ()) -> None:
        """Write the answer. A second one, or one that nobody waits for any more, is not written."""
        if self.response_complete:
            return
        self.response_complete = True
        self._chunks = []
        if self.disconnected or self._transport.is_closing():
            return
        head = b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n" % (
            _STATUS_LINES[status],
            _lines(tuple(self._server.default_headers)),
            content_type,
            len(body),
        )
        if more:
            head += _lines(tuple(more))
        head += b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        self._transport.write(head if self.method == b"HEAD" else head + body)
        if not self.keep_alive:
            self._close()
        self._finished()

    def _close(self) -> None:
        """Close the connection. While the body still comes only our side of it: a reset would take the answer along."""
        if self.is_whole:
            self._transport.close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()


@lru_cache(maxsize=64)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The lines of headers that many answers have; the date in them changes once a second."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])
