"""Structured logs: one line for each log event, named `noun.verb_past`, without payloads and secrets.

A thread writes the lines (`receiver.process.line_writer`), so that logging never raises and never waits.
"""

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
import structlog

from receiver.core import sanitize
from receiver.process.line_writer import LineWriter
from receiver.process.standard_streams import ERROR

Logger = structlog.typing.FilteringBoundLogger
Style = Literal["json", "console"] | None


def configure(level: str, style: Style, *, writer: LineWriter = ERROR) -> None:
    """Set up logging for this process. *style* None: `console` on a terminal, else `json`."""
    console = is_console(style)
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=os.isatty(2), pad_event_to=18, pad_level=False)
        if console
        else structlog.processors.JSONRenderer(_json)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=True),
            structlog.processors.format_exc_info,
            _never_failing(renderer),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: _LineLogger(writer),
        cache_logger_on_first_use=True,
    )
    writer.report = _dropped_for_people if console else _dropped
    logging.basicConfig(handlers=[_Handler(writer)], level=logging.WARNING, force=True)


def is_console(style: Style) -> bool:
    """Return whether lines are formatted for people. *style* None: they are if standard error is a terminal."""
    return style == "console" or (style is None and os.isatty(2))


def get(**bound: object) -> Logger:
    """Return a logger that adds *bound* to each of its lines."""
    logger: Logger = structlog.get_logger(**bound)
    return logger


class _LineLogger:
    """Receives the rendered lines from structlog, in a method for each level."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def msg(self, message: str) -> None:
        self._writer.put(message.encode("utf-8", "backslashreplace") + b"\n")

    debug = info = warning = error = critical = msg


class _Handler(logging.Handler):
    """Handles what libraries log: uvicorn, rq, asyncio."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            self._writer.put(self.format(record).encode("utf-8", "backslashreplace") + b"\n")
        except Exception:  # noqa: BLE001 - a line that cannot be rendered must not raise in the caller
            self.handleError(record)


def _never_failing(renderer: Callable[..., Any]) -> Callable[..., Any]:
    def render(logger: Any, name: str, fields: structlog.typing.EventDict) -> Any:
        try:
            return renderer(logger, name, fields)
        except Exception:  # noqa: BLE001 - no value may make the caller of a log method fail
            return renderer(logger, name, sanitize.encodable(fields))

    return render


def _json(value: object, default: Any, **_: object) -> str:
    return orjson.dumps(value, default=default, option=orjson.OPT_NON_STR_KEYS).decode()


def _dropped(lines: int) -> bytes:
    told = {"event": "log.dropped", "level": "warning", "lines": lines, "timestamp": datetime.now(UTC)}
    return orjson.dumps(told, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def _dropped_for_people(lines: int) -> bytes:
    return f"{datetime.now(UTC):%H:%M:%S} [warning] log.dropped lines={lines}\n".encode()
