"""HTTP/1.1 with limits: a subclass of uvicorn's protocol, which itself trusts its clients.

Input is parsed one request at a time, each in its own iteration of the event loop, so that a client who sends thousands
of requests at once does not delay others.
"""

import time
from typing import Any

import httptools

from receiver.web.connections.timed_protocol import Awaiting, TimedProtocol
from receiver.web.connections.transport import GentleTransport, OrderedFlow

_HEAD_END = b"\r\n\r\n"
_PORTION = 4_096
_USUAL = 16_384


class BoundedProtocol(TimedProtocol):
    """One connection. The server creates it through `functools.partial` with *budget*."""

    def connection_made(self, transport: Any) -> None:
        """Accept a connection. When there are too many, close the one that can best be spared, which may be this
        one."""
        super().connection_made(transport)
        self.flow = OrderedFlow(transport)
        self.transport = GentleTransport(transport)
        if len(self.connections) > self.limits.connections:
            self.budget.refused("connections")
            spared = self.budget.most_spared(self, self.neighbours())
            self.connections.discard(spared)
            spared.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell an application that waits for more of a body, and break reference cycles."""
        self.budget.count(self, 0)
        self.held.clear()
        super().connection_lost(exc)
        self.pipeline.clear()
        self.cycle = None

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more. It still reads the answers to its complete requests; close after those."""
        self.is_half_closed = bool(self.held) or self.owes_answer()
        return self.is_half_closed

    # -- input ------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse the input, but nothing after a request that has not been answered yet."""
        if self.awaiting is Awaiting.CLOSE:
            return
        if self.held:
            is_of_one = False
        elif self.awaiting is Awaiting.BODY:
            is_of_one = len(data) <= self._body_left()
        else:
            is_of_one = len(data) <= _USUAL and not self.owes_answer() and _is_one_request(data)
        if is_of_one:  # nearly always
            self._parse(data)
        else:
            self._hold(data)
            self._parse_held()

    def _hold(self, data: bytes) -> None:
        self.held += data
        self.flow.is_held = True
        self.flow.pause_reading()

    def _parse_held(self) -> None:
        """Parse one request of the held input. The rest is parsed in a later iteration, or after the answer."""
        while self.held and not (self.transport.is_closing() or self.owes_answer()):
            left = self._body_left() if self.awaiting is Awaiting.BODY else 0
            end = self.held.find(_HEAD_END, 0, _PORTION)
            size = left or (_PORTION if end < 0 else end + len(_HEAD_END))
            portion = bytes(self.held[:size])
            del self.held[:size]
            self._parse(portion)
            is_in_body = self.awaiting is Awaiting.BODY and self._body_left() > 0
            if self.held and not is_in_body and not self.owes_answer():
                self.loop.call_soon(self._parse_held)
                return
        if not self.held:
            self.read_on()

    def _parse(self, data: bytes) -> None:
        if self.awaiting is Awaiting.NOTHING:
            self.begin_to_await(Awaiting.HEAD)
        if self.awaiting is Awaiting.HEAD:
            self.head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            why = error.__context__
            self.refuse(*(why.args if isinstance(why, _Refusal) else (400, "malformed")))
        if self.awaiting is Awaiting.BODY:
            self.count_body()
        elif self.awaiting is Awaiting.HEAD and self.head_bytes > self.limits.head_bytes:
            is_target = not self.headers and len(self.url) > self.limits.target_bytes
            self.refuse(*((414, "target") if is_target else (431, "head")))

    def _decline_upgrade(self, rest: bytes) -> None:
        """Read a request again without its offer to change the protocol (mostly to HTTP/2); *rest* follows it."""
        head = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.begin_to_await(Awaiting.HEAD)
        behind = bytes(self.held)
        self.held.clear()
        self._hold(b"".join((head, *lines, b"\r\n", rest, behind)))
        self.loop.call_soon(self._parse_held)

    def _asks_for_upgrade(self) -> bool:
        """Whether the parser will take the body of this request for data of another protocol."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def _body_left(self) -> int:
        """Bytes of the body that are still to come; 0 when that is unknown (chunked encoding)."""
        for name, value in self.headers:
            if name == b"content-length":
                return max(int(value) - self.body_bytes, 0)
        return 0

    # -- called by the parser and the application -------------------------------------------------------------------

    def on_headers_complete(self) -> None:
        """Check the complete head, then start the request."""
        if self._asks_for_upgrade():
            return
        if self.parser.get_http_version() not in ("1.1", "1.0"):
            raise _Refusal(400, "malformed")
        if len(self.url) > self.limits.target_bytes:
            raise _Refusal(414, "target")
        if self.head_bytes > self.limits.head_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self.limits.head_bytes:
                raise _Refusal(431, "head")
        super().on_headers_complete()
        self.body_bytes = 0
        self.begin_to_await(Awaiting.BODY)
        self.transport.is_midway = True
        if self.is_draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Pass on a part of a body, unless the request was answered already."""
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request: its body is complete."""
        if self._asks_for_upgrade():
            return
        self.awaiting = Awaiting.NOTHING
        if self.counted:
            self.budget.count(self, 0)
        super().on_message_complete()
        self.transport.end_request()

    def on_response_complete(self) -> None:
        """Continue with the input that followed the request, or become idle."""
        self.transport.flush()
        self.server_state.total_requests += 1
        self.since = time.monotonic()
        if self.cycle.response_complete:
            if self.awaiting is Awaiting.BODY:
                # It was answered before its body was complete (413, 404): it must end soon, and the rest is dropped.
                self.since += self.limits.farewell_s - self.limits.body_s
                self.budget.count(self, 0)
            self.cycle.body = bytearray()
        if self.transport.is_closing():
            return
        if self.pipeline and not self.transport.is_ending:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.held:
            self.loop.call_soon(self._parse_held)
        elif self.flow.read_paused or self.is_half_closed:
            self.read_on()


def _is_one_request(data: bytes) -> bool:
    """Return whether *data* surely holds one request only: no line break follows the head, as in all hook bodies."""
    end = data.find(_HEAD_END)
    return end < 0 or data.find(b"\r", end + len(_HEAD_END)) < 0


class _Refusal(Exception):
    """Ends parsing; carries the HTTP status and the name of the limit that was hit."""
