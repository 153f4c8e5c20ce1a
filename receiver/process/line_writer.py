"""Writes lines to an open file from a thread of its own, so that callers never wait and never fail.

The buffer is bounded, in lines and in bytes. Lines that cannot be written, because the disk is full, the pipe is closed
or nobody reads it, are dropped and counted; one line reports their number as soon as writing works again.
"""

import atexit
import contextlib
import os
import select
import threading
import time
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, NamedTuple

MOST_LINES: Final = 20_000
MOST_BYTES: Final = 8_388_608
CLOSE_WITHIN_S: Final = 1.0
"""Seconds that lines which are not written yet may delay the end of a process."""

_LINGER_S: Final = 0.02
_MOST_AT_ONCE: Final = 1_000
_PORTION: Final = 65_536


class _QueuedText(NamedTuple):
    """A text in the buffer. *text* is the text or a function that returns it. *written* is set when everything before
    it is written."""

    text: bytes | Callable[[], bytes]
    lines: int
    size: int
    written: threading.Event | None = None


class LineWriter:
    """Writes to one open file descriptor. The first line starts the thread; a forked child starts its own thread."""

    def __init__(self, file: int) -> None:
        self._file = file
        self.report: Callable[[int], bytes] = _report
        """Returns the line that reports how many lines were lost."""
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        self.lost = 0
        self._unreported = 0
        # Reentrant: a finalizer or signal handler may interrupt a thread that holds the lock, and write a line.
        self._lock = threading.RLock()
        self._queue: SimpleQueue[_QueuedText] = SimpleQueue()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._lines = 0
        self._bytes = 0
        self._is_torn = False
        self._is_stuck = False
        self._is_closed = False

    def put(self, line: bytes) -> None:
        """Write one line, or several; they end with a newline."""
        self._put(_QueuedText(line, line.count(b"\n"), len(line)))

    def put_later(self, render: Callable[[], bytes], *, lines: int, size: int) -> None:
        """Write what *render* returns; the writing thread calls it. *size*: roughly the bytes it holds until then."""
        self._put(_QueuedText(render, lines, size))

    def flush(self, within_s: float = CLOSE_WITHIN_S) -> bool:
        """Wait until everything put so far is written. After a timeout, calls do not wait until writing works again."""
        if self._thread is None or self._is_stuck or self._is_closed:
            return not self._is_stuck
        written = threading.Event()
        self._queue.put(_QueuedText(b"", 0, 0, written))
        self._hurry.set()
        if not written.wait(within_s):
            self._is_stuck = True
        return not self._is_stuck

    def close(self, within_s: float = CLOSE_WITHIN_S) -> None:
        """Write the remaining lines as far as time allows; later lines are dropped."""
        self._is_stuck = False
        self.flush(within_s)
        self._is_closed = True

    def _put(self, waiting: _QueuedText) -> None:
        with self._lock:
            is_full = self._lines + waiting.lines > MOST_LINES or self._bytes + waiting.size > MOST_BYTES
            if is_full or self._is_closed or not self._is_writing():
                self._lose(waiting.lines)
                return
            self._lines += waiting.lines
            self._bytes += waiting.size
        self._queue.put(waiting)

    def _is_writing(self) -> bool:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # no thread can be started now; the next line tries again
                self._thread = None
        return self._thread is not None

    def _lose(self, lines: int) -> None:
        with self._lock:
            self.lost += lines
            self._unreported += lines

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            waiting = [self._queue.get()]
            if self._queue.empty():
                self._hurry.wait(_LINGER_S)  # more may come, and is written in one call
            self._hurry.clear()  # before the lines are taken: whoever sets it has put its line there before
            while len(waiting) < _MOST_AT_ONCE and not self._queue.empty():
                waiting.append(self._queue.get())
            self._write(waiting)

    def _write(self, waiting: list[_QueuedText]) -> None:
        unreported = self._unreported
        if unreported and not self._send(self.report(unreported)):
            with self._lock:
                self._unreported -= unreported
        rest = self._send(b"".join([self._rendered(one) for one in waiting]))
        self._lose(rest.count(b"\n"))
        with self._lock:
            self._lines -= sum(one.lines for one in waiting)
            self._bytes -= sum(one.size for one in waiting)
        self._is_stuck = False
        for one in waiting:
            if one.written:
                one.written.set()

    def _rendered(self, waiting: _QueuedText) -> bytes:
        if isinstance(waiting.text, bytes):
            return waiting.text
        try:
            return waiting.text()
        except Exception:  # noqa: BLE001 - if a line cannot be rendered, only that line is lost
            self._lose(waiting.lines)
            return b""

    def _send(self, text: bytes) -> bytes:
        """Write, and return what could not be written. Uses the descriptor instead of a stream, so that no lock is held
        that the end of the process would wait for."""
        rest = b"\n" + text if self._is_torn and text else text
        while rest:
            try:
                written = os.write(self._file, rest[:_PORTION])
            except BlockingIOError:  # another process that shares the file has made it non-blocking
                with contextlib.suppress(OSError):
                    poll = select.poll()
                    poll.register(self._file, select.POLLOUT)
                    poll.poll(1_000)
            except OSError:
                return rest
            else:
                self._is_torn = rest[written - 1 : written] != b"\n"
                rest = rest[written:]
        return rest


def close_all(within_s: float = CLOSE_WITHIN_S) -> None:
    """Close all writers of this process, within *within_s* seconds in total."""
    until = time.monotonic() + within_s
    for writer in list(_writers):
        writer.close(max(until - time.monotonic(), 0.0))


def _report(lines: int) -> bytes:
    return f"... {lines} lines could not be written\n".encode()


def _begin_all() -> None:
    for writer in list(_writers):
        writer._begin()  # noqa: SLF001 - of this module


_writers: weakref.WeakSet[LineWriter] = weakref.WeakSet()
atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)
