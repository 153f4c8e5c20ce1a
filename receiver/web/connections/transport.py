"""A connection's transport as uvicorn's protocol uses it: reads in order, writes at once, closes without a reset."""

from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length: "


class OrderedFlow(FlowControl):
    """Reads nothing more while *is_held*: while something that came before is still to be parsed."""

    is_held = False

    def resume_reading(self) -> None:
        """Read again, if nothing is held; called by uvicorn whenever an application asks for more of a body."""
        if not self.is_held:
            super().resume_reading()


class GentleTransport:
    """Writes the head of an answer together with its body: uvicorn writes them apart, and uvloop sends each by itself,
    which costs a call of the system.

    Its `close` lets a request that is still coming come to its end: a reset would take the answer along, and its sender
    would never read why. *is_midway*: such a request is coming.
    """

    __slots__ = ("_head", "_inner", "_write", "abort", "get_write_buffer_size", "is_closing", "is_ending", "is_midway")

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._write = inner.write
        self._head = b""
        self.abort = inner.abort
        self.is_closing = inner.is_closing
        self.get_write_buffer_size = inner.get_write_buffer_size
        self.is_midway = False
        self.is_ending = False
        """Whether our side is closed, or will be; nothing more is to be begun."""

    def write(self, data: bytes) -> None:
        """Write; the head of an answer whose length it tells waits for the body, or for the end of the answer."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.endswith(_HEAD_END) and _LENGTH in data:
            self._head = data
            return
        self._write(data)

    def flush(self) -> None:
        """Write what waits."""
        if self._head:
            data, self._head = self._head, b""
            self._write(data)

    def close(self) -> None:
        """Close the connection; our side of it only, while a request is coming."""
        if self.is_midway:
            self.end()
        else:
            self.flush()
            self._inner.close()

    def end(self) -> None:
        """Close our side of the connection, once what was written is sent."""
        self.flush()
        if not self.is_ending and self._inner.can_write_eof():
            self._inner.write_eof()
        self.is_ending = True

    def end_request(self) -> None:
        """Note that a request has come whole; now a connection that was to be closed is closed."""
        self.is_midway = False
        if self.is_ending:
            self._inner.close()
