"""What a handler may say besides returning: try again later, or let this one go."""

import contextlib
import math
import re
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated

from pydantic import BeforeValidator

from receiver.core import durations

LONGEST_DELAY = 7 * 86_400.0
"""Seconds; a longer `after` is cut to this, so that no header of a target parks a delivery for years."""


SHORTEST_WAIT, LONGEST_WAIT = 1.0, 86_400.0
"""Seconds; what a target asks for in `Retry-After` is brought between these."""


class Retry(Exception):
    """Raise it to end this attempt and choose when the next one comes.

    *after* is in seconds, from 0, at most a week; None: the route's schedule says. The attempt counts as one of the
    route's, unless *charged* is false: then the delivery only waits, because the target asked for it (429 or 503 with
    `Retry-After`) and nothing has been tried in vain. An uncharged wait needs its *after*, and has a maximum age.
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
    """Raise it, or anything with a true `target_down`, when the system that the handler speaks to is not there at all.

    The attempt has failed as with any other exception. When attempts of one delivery after another say so, the route
    waits for its target, uncharged. Connections that fail, timeouts of HTTP clients and answers of 500 and above are
    understood without it; an attempt that ran into the timeout of its route is not: it may be the handler that hangs.
    """

    target_down = True


class Discard(Exception):
    """Raise it to end the delivery for good: it is recorded as discarded, with the reason, and not tried again."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)


def seconds_to_wait(retry_after: str | None, now: datetime) -> float | None:
    """Return what a `Retry-After` header asks for, seconds or a date, bounded; None when it cannot be read."""
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
    """Return the W3C trace context of the attempt that calls, for a request that belongs to it; None: no traces."""
    return _trace.get() or None


@contextlib.contextmanager
def in_trace(traceparent: str) -> Iterator[None]:
    """Let *traceparent* be that of whatever is called meanwhile, in this thread or task."""
    token = _trace.set(traceparent)
    try:
        yield
    finally:
        _trace.reset(token)


def _seconds(value: object) -> float:
    return durations.parse(value) / 1_000


Seconds = Annotated[float, BeforeValidator(_seconds)]
"""A type for an option: written as a duration (`500ms`, `30s`, `10m`) or as plain seconds, held in seconds."""
