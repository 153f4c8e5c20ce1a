"""The transport below uvicorn's protocol: reads in order, writes an answer at once, and closes without a reset."""

from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length: "


class OrderedFlow(FlowControl):
    """Flow control that stops reading while *is_held*, that is, while earlier input has not been parsed yet."""

    is_held = False

    def resume_reading(self) -> None:
        """Resume reading unless input is held. uvicorn calls this whenever an application asks for more of a body."""
        if not self.is_held:
            super().resume_reading()


class GentleTransport:
    """Writes the head of an answer together with its body: uvicorn writes them separately, and uvloop would make a
    system call for each.

    `close` waits for the end of a request that is still arriving: a reset would discard the answer, and its sender
    would never learn the reason. *is_midway*: such a request is arriving.
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
        """Whether our side is closed or about to be; no new work may be started."""

    def write(self, data: bytes) -> None:
        """Write. The head of an answer with a Content-Length waits for the body, or for the end of the answer."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.endswith(_HEAD_END) and _LENGTH in data:
            self._head = data
            return
        self._write(data)

    def flush(self) -> None:
        """Write a head that waits for its body."""
        if self._head:
            data, self._head = self._head, b""
            self._write(data)

    def close(self) -> None:
        """Close the connection; while a request is arriving, close only our side of it."""
        if self.is_midway:
            self.end()
        else:
            self.flush()
            self._inner.close()

    def end(self) -> None:
        """Close our side of the connection when everything that was written is sent."""
        self.flush()
        if not self.is_ending and self._inner.can_write_eof():
            self._inner.write_eof()
        self.is_ending = True

    def end_request(self) -> None:
        """Note that a request has arrived completely, and close the connection if that was requested before."""
        self.is_midway = False
        if self.is_ending:
            self._inner.close()
