"""Times as people write and read them: RFC 3339, a date, or a duration ago."""

import time
from datetime import UTC, datetime

from receiver.core import durations
from receiver.core.errors import UsageError


def parse(option: str, written: str | None) -> int | None:
    """Return Unix milliseconds for `2026-05-01T12:00:00Z`, `2026-05-01`, `20260501` or `2h` (ago).

    A time without a zone is UTC. A duration needs its unit: plain digits are read as a date. Raises UsageError.
    """
    if written is None:
        return None
    written = written.strip()
    if written[-1:].isalpha() and (ago_ms := _duration_ms(written)) is not None:
        return int(time.time() * 1_000) - ago_ms
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        wanted = "write 2026-05-01T12:00:00Z, 2026-05-01, 20260501 or 2h; a duration needs its unit"
        raise UsageError(f"{option}: {written!r} is not a time; {wanted}") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1_000)


def second(value: object) -> int:
    """Return the Unix second of a time of a record (RFC 3339; what has no zone is UTC); 0 for anything else.

    Hooks write `UpdatedOn` in ticks and the API whole seconds: only the second can be compared.
    """
    if not isinstance(value, str):
        return 0
    try:
        at = datetime.fromisoformat(value)
        return max(int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()), 0)
    except (ValueError, OverflowError):
        return 0


def _duration_ms(written: str) -> int | None:
    try:
        return durations.parse(written)
    except ValueError:
        return None


def show(milliseconds: int | None) -> str | None:
    """Return RFC 3339 in UTC, with milliseconds."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
