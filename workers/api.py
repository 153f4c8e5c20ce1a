"""The declared API for authors of handlers, beside `Event`, `Nexudus` and `once`, which `workers` exports too.

Built-in handlers import nothing else of ours. docs/handlers.md lists names and signatures, and a test compares them.
"""

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator

from receiver.core import durations
from receiver.core.csv_cells import csv_cell
from receiver.core.events import Event
from receiver.nexudus import actions

__all__ = [
    "Discard",
    "Reference",
    "Retry",
    "Seconds",
    "TargetDown",
    "csv_cell",
    "entity_of",
    "previewed_by",
    "seconds_to_wait",
    "traceparent",
]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

LONGEST_DELAY = 7 * 86_400.0
"""Seconds. A longer `after` is cut to this, so that no header of a target delays a delivery for years."""

SHORTEST_WAIT, LONGEST_WAIT = 1.0, 86_400.0
"""Seconds. A wait that a target asks for in `Retry-After` is limited to this range."""


class Retry(Exception):
    """Raise it to end this attempt and choose when the next one starts.

    *after* is in seconds, from 0 to a week. With None, the route's schedule decides. The attempt counts towards the
    route's retries unless *charged* is false. Use that when the target asks to wait (429 or 503 with `Retry-After`).
    An uncharged wait needs *after*, and the route limits how long it may last in total.
    Raises ValueError when *after* is not such a number.
    """

    def __init__(self, reason: str = "", *, after: float | None = None, charged: bool = True) -> None:
        super().__init__(reason)
        if after is None:
            if not charged:
                raise ValueError("Retry(charged=False) needs after=, the seconds to wait")
        elif isinstance(after, bool) or not isinstance(after, int | float) or math.isnan(after) or after < 0:
            raise ValueError(f"Retry(after={after!r}): must be a number of seconds from 0")
        self.after = None if after is None else min(float(after), LONGEST_DELAY)
        self.charged = charged


class TargetDown(Exception):
    """Raise it, or anything with a true `target_down`, when the system that the handler calls is down.

    The attempt fails as with any other exception. When several deliveries in a row fail like this, the route waits
    for its target and its deliveries use no attempts meanwhile. Failed connections, timeouts of HTTP clients and
    answers of 500 and above count as down without this exception. An attempt that exceeds its route's timeout does
    not, because the handler itself may hang.
    """

    target_down = True


class Discard(Exception):
    """Raise it to end the delivery for good: it is recorded as discarded, with the reason, and never retried."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)


def seconds_to_wait(retry_after: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header (seconds or a date) asks for, limited to SHORTEST_WAIT and
    LONGEST_WAIT. Return None when the header cannot be read."""
    text = (retry_after or "").strip()[:100]
    if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,6})?", text):
        seconds = float(text)
    else:
        try:
            until = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)


_trace: ContextVar[str] = ContextVar("frontdesk_trace", default="")


def traceparent() -> str | None:
    """Return the W3C trace context of the current attempt, to send with its requests; None when tracing is off."""
    return _trace.get() or None


@contextlib.contextmanager
def in_trace(traceparent: str) -> Iterator[None]:
    """Make *traceparent* the trace context of this thread or task within the block."""
    token = _trace.set(traceparent)
    try:
        yield
    finally:
        _trace.reset(token)


class Reference(str):
    """The text that `env/NAME` or `file/PATH` refers to. It is used literally, never as a template."""

    __slots__ = ()


def entity_of(event: Event[Any]) -> str | None:
    """Return which record an event is about, "Booking:1418686279"; None when the record has no whole number as Id."""
    number = event.data.get("Id") if isinstance(event.data, Mapping) else getattr(event.data, "Id", None)
    return f"{actions.entity_kind(event.action)}:{number}" if type(number) is int else None


def previewed_by(preview: Callable[..., Mapping[str, Any]]) -> Callable[[_Handler], _Handler]:
    """Return a decorator for a handler: *preview*, with the same parameters, returns what it would send, as JSON.

    `frontdesk try --dry-run` prints it. It must send nothing.
    """

    def decorate(handler: _Handler) -> _Handler:
        handler.preview = preview  # type: ignore[attr-defined]
        return handler

    return decorate


def _seconds(value: object) -> float:
    return durations.parse(value) / 1_000


Seconds = Annotated[float, BeforeValidator(_seconds)]
"""A type for an option: a duration (`500ms`, `30s`, `10m`) or a number of seconds. The handler gets seconds."""
