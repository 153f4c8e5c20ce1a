"""Logs one line for each request to a hook, with all that is known about it, but never its payload, token or signature.

The lines are formatted here, without structlog, which would cost as much for each request as the web framework does.
Requests are collected for a fifth of a second; then a thread formats their lines and writes them together.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial

import orjson

from receiver.process import logs
from receiver.process.line_writer import LineWriter
from receiver.process.standard_streams import ERROR
from receiver.storage.model.entries import Receipt

_FLUSH_AFTER_S = 0.2
_FLUSH_AT = 64
_SIZE = 600
_RECEIPT_SIZE = 150
_LONGEST_PATH = 120
_LONG_SEGMENT = re.compile(r"[^/]{20,}")


@dataclass(slots=True)
class Answered:
    """What is known about a request that has been answered. *path* is set only if the path led to no hook.

    It must not be changed after it was passed to the log.
    """

    method: str
    client: str
    status: int = 500
    path: str | None = None
    business_id: int | None = None
    action: str | None = None
    size: int = 0
    receipts: Sequence[Receipt] = field(default=())
    error: str | None = None
    seconds: float = 0.0


class RequestLog:
    """Writes the lines. Each event loop has its own."""

    def __init__(self, level: str = "info", style: logs.Style = None, writer: LineWriter = ERROR) -> None:
        """*style* None: `console` on a terminal, else `json`. Below *level* nothing is written."""
        self._writer = writer
        self._render = _console_line if logs.is_console(style) else _json_line
        self._least = {"debug": 0, "info": 0, "warning": 400}.get(level, 500)
        self._waiting: list[tuple[Answered, float]] = []
        self._timer: asyncio.TimerHandle | None = None

    def write(self, answered: Answered) -> None:
        """Log one answer; the line is written later."""
        if answered.status < self._least:
            return
        self._waiting.append((answered, time.time()))
        if len(self._waiting) >= _FLUSH_AT:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_AFTER_S, self.flush)

    def flush(self) -> None:
        """Pass the collected requests to the writing thread, without waiting for it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        if waiting:
            size = sum(
                [_SIZE + _RECEIPT_SIZE * len(answered.receipts) + len(answered.path or "") for answered, _ in waiting]
            )
            self._writer.put_later(partial(self._rendered, waiting), lines=len(waiting), size=size)

    def _rendered(self, waiting: list[tuple[Answered, float]]) -> bytes:
        return b"".join([self._render(answered, when) for answered, when in waiting])


def masked(path: str) -> str:
    """Return a path that may be logged: whatever could be a token is removed."""
    return _LONG_SEGMENT.sub("***", path)[:_LONGEST_PATH]


def _level(status: int) -> str:
    return "error" if status >= 500 else "warning" if status >= 400 and status != 404 else "info"


def _json_line(answered: Answered, when: float) -> bytes:
    if answered.status == 202 and len(answered.receipts) == 1:
        return _usual_line(answered, when)
    line: dict[str, object] = {
        "timestamp": datetime.fromtimestamp(when, UTC),
        "level": _level(answered.status),
        "event": "request.answered",
        "status": answered.status,
        "method": answered.method,
    }
    if answered.path is not None:
        line["path"] = masked(answered.path)
    else:
        line["action"] = answered.action
        line["business_id"] = answered.business_id
        line["bytes"] = answered.size
        line["events"] = [receipt.id for receipt in answered.receipts]
        line["outcome"] = sorted({receipt.status for receipt in answered.receipts})
    if answered.error is not None:
        line["error"] = answered.error
    line["client"] = answered.client
    line["ms"] = round(answered.seconds * 1_000, 2)
    return orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE, default=str)


def _usual_line(answered: Answered, when: float) -> bytes:
    """Return the line for one accepted event, at a quarter of the usual cost: only the address may need escaping."""
    (receipt,) = answered.receipts
    return (
        f'{{"timestamp":"{_second(int(when))}.{int(when % 1 * 1e6):06}Z","level":"info","event":"request.answered",'
        f'"status":202,"method":"POST","action":"{answered.action}","business_id":{answered.business_id},'
        f'"bytes":{answered.size},"events":["{receipt.id}"],"outcome":["{receipt.status}"],'
        f'"client":{_quoted(answered.client)},"ms":{answered.seconds * 1_000:.2f}}}\n'
    ).encode()


@lru_cache(maxsize=1_024)
def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


@lru_cache(maxsize=4)
def _second(when: int) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _console_line(answered: Answered, when: float) -> bytes:
    parts = [_second(int(when))[11:], str(answered.status)]
    if answered.path is not None:
        parts += [answered.method, ascii(masked(answered.path))]
    else:
        parts += [f"{answered.action}@{answered.business_id}", f"{answered.size} bytes"]
        parts += [f"{receipt.status} {receipt.id}" for receipt in answered.receipts[:3]]
    if answered.error is not None:
        parts.append(answered.error)
    return f"{'  '.join(parts)}  {answered.seconds * 1_000:.1f} ms\n".encode("utf-8", "replace")
