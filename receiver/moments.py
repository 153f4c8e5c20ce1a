"""Times as people write and read them: RFC 3339, a date, or a duration ago."""

import time
from datetime import UTC, datetime

from receiver import durations
from receiver.errors import UsageError


def parse(option: str, written: str | None) -> int | None:
    """Return Unix milliseconds for `2026-05-01T12:00:00Z`, `2026-05-01` or `2h` (ago); what has no zone is UTC."""
    if written is None:
        return None
    try:
        return int(time.time() * 1_000) - durations.parse(written)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise UsageError(f"{option}: {written!r} is no time; write 2026-05-01T12:00:00Z, 2026-05-01 or 2h") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1_000)


def show(milliseconds: int | None) -> str | None:
    """Return RFC 3339 in UTC, with milliseconds."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
