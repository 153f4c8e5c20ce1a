"""The log line of each attempt. A thread formats and writes it, so that the attempt does not wait.

A structured logger would take longer than a handler that does nothing.
"""

import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson

from receiver.process import logs
from receiver.process.line_writer import LineWriter
from receiver.process.standard_streams import ERROR
from workers.run.delivery_loader import LoadedDelivery
from workers.run.execution import AttemptResult

_SIZE = 1_000
"""About how many bytes of memory a line uses until it is written."""

_log = logs.get()


def log_attempt(loaded: LoadedDelivery, result: AttemptResult, took_ms: int) -> None:
    """Log the attempt in one line, at once."""
    _log.info("delivery.attempted", **_fields(loaded, result, took_ms))


def _fields(loaded: LoadedDelivery, result: AttemptResult, took_ms: int) -> dict[str, Any]:
    """Return the fields of an attempt's line. Of an error only its class: the message may quote the record."""
    event = loaded.event
    said = {
        "event_id": event.id,
        "delivery_id": loaded.claim.delivery_id,
        "action": event.action,
        "business_id": event.business_id,
        "route": loaded.route.name,
        "attempt": event.attempt,
        "outcome": str(result.outcome),
        "ms": took_ms,
    }
    return said | {"error": result.error.partition(":")[0]} if result.error else said


class AttemptLog:
    """Writes the lines. Any thread may call it, and none waits for the reader of the log."""

    def __init__(self, level: str = "info", style: logs.Style = None, writer: LineWriter = ERROR) -> None:
        """*style* None means `console` on a terminal, else `json`. Lines are of level info."""
        self._writer = writer
        self._is_console = logs.is_console(style)
        self._is_written = level in ("debug", "info")

    def write(self, loaded: LoadedDelivery, result: AttemptResult, took_ms: int) -> None:
        """Queue the line of an attempt. It is dropped when too many lines wait already."""
        if not self._is_written:
            return
        if self._is_console:
            log_attempt(loaded, result, took_ms)
        else:
            line = partial(_rendered, time.time(), _fields(loaded, result, took_ms))
            self._writer.put_later(line, lines=1, size=_SIZE)


def _rendered(when: float, fields: dict[str, Any]) -> bytes:
    line = fields | {"event": "delivery.attempted", "level": "info", "timestamp": datetime.fromtimestamp(when, UTC)}
    return orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)
