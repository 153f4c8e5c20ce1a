"""Times as Nexudus writes them, in UTC, and as Unix milliseconds. Pure."""

from datetime import UTC, datetime
from typing import Any


def moment(value: Any) -> int | None:
    """Return the Unix milliseconds of a time of a record; what has no zone is UTC. None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        return None


def second(value: Any) -> str:
    """Return a time to the second, as keys hold it; hooks write ticks and the API whole seconds. Empty: no time."""
    at_ms = moment(value)
    return "" if at_ms is None else str(at_ms // 1_000)


def minute(at_ms: int) -> str:
    """Return a time as a filter takes it: `YYYY-MM-DDTHH:mm`, UTC, cut to the minute."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M")


def plain(at_ms: int) -> str:
    """Return a time for a sentence."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
