"""One line for each attempt, as quick as it can be: noted where the attempt ended, written by a thread of its own.

A structured logger costs more than a handler that does nothing. Lines wait a tenth of a second at most and are written
together; whoever ends the process closes the log.
"""

import contextlib
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any, BinaryIO, Literal

import orjson

from workers import settlement
from workers.execution import Ended
from workers.preparation import Prepared

_MOST_WAITING = 20_000
_MOST_AT_ONCE = 1_000
_WRITE_EVERY_S = 0.1


class AttemptLog:
    """Writes the lines. Attempts may end in any thread; none of them waits for whoever reads the log."""

    def __init__(
        self, level: str = "info", style: Literal["json", "console"] | None = None, stream: BinaryIO | None = None
    ) -> None:
        """*style* None: `console` on a terminal, else `json`. Below *level* nothing is written."""
        self._stream = stream or sys.stderr.buffer
        self._is_console = style == "console" or (style is None and self._stream.isatty())
        self._is_written = level in ("debug", "info")
        self._waiting: deque[tuple[float, dict[str, Any]]] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._run, name="log", daemon=True)
        self._writer.start()

    def tell(self, prepared: Prepared, ended: Ended, took_ms: int) -> None:
        """Note an attempt, unless too many lines wait already."""
        if not self._is_written:
            return
        if self._is_console:
            settlement.tell(prepared, ended, took_ms)
        elif len(self._waiting) >= _MOST_WAITING:
            self._dropped += 1
        else:
            self._waiting.append((time.time(), settlement.account(prepared, ended, took_ms)))
            if not self._wake.is_set():
                self._wake.set()

    def close(self, within_s: float = 2.0) -> None:
        """Write what is left, as far as it can be written in time."""
        self._closing.set()
        self._wake.set()
        self._writer.join(within_s)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._closing.wait(_WRITE_EVERY_S)
            self._wake.clear()  # before the lines are taken: one that comes meanwhile wakes us again
            self._write()
        self._write()

    def _write(self) -> None:
        while self._waiting or self._dropped:
            lines = []
            for _ in range(min(len(self._waiting), _MOST_AT_ONCE)):
                when, line = self._waiting.popleft()
                lines.append(_rendered("delivery.attempted", "info", when, line))
            dropped, self._dropped = self._dropped, 0
            if dropped:
                lines.append(_rendered("log.dropped", "warning", time.time(), {"lines": dropped}))
            with contextlib.suppress(OSError, ValueError):  # a log that is gone is no reason to stop working
                self._stream.write(b"".join(lines))
                self._stream.flush()


def _rendered(event: str, level: str, when: float, fields: dict[str, Any]) -> bytes:
    line = fields | {"event": event, "level": level, "timestamp": datetime.fromtimestamp(when, UTC)}
    return orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)
