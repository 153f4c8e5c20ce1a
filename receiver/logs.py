"""Structured logs: one line for each thing that happened, named `noun.verb_past`, never a payload, never a secret."""

import logging
import sys
from typing import Any, Literal, TextIO

import orjson
import structlog

Logger = structlog.typing.FilteringBoundLogger


def configure(level: str, style: Literal["json", "console"] | None, *, stream: TextIO = sys.stderr) -> None:
    """Set up logging for this process. *style* None: `console` on a terminal, else `json`."""
    console = style == "console" or (style is None and stream.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=18, pad_level=False)
        if console
        else structlog.processors.JSONRenderer(_json)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=stream, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True)


def get(**bound: object) -> Logger:
    """Return a logger with *bound* on each of its lines."""
    logger: Logger = structlog.get_logger(**bound)
    return logger


def _json(value: object, default: Any, **_: object) -> str:
    return orjson.dumps(value, default=default, option=orjson.OPT_NON_STR_KEYS).decode()
