"""The API for authors of handlers, beyond what other tests see a worker do with it."""

from datetime import UTC, datetime

import pytest

from workers.api import seconds_to_wait

NOW = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0), (" 7 ", 7.0), ("0", 1.0), ("99999999999999999999", 86_400.0),
        ("Sat, 14 Mar 2026 12:01:30 GMT", 90.0), ("Sat, 14 Mar 2026 13:01:30 +0100", 90.0),
        ("Sat, 14 Mar 2026 11:00:00 GMT", 1.0), ("Wed, 14 Mar 2120 12:00:00 GMT", 86_400.0),
        ("Saturday, 14-Mar-26 12:01:30 GMT", 90.0),
        (None, None), ("", None), ("soon", None), ("-5", None), ("1e3", None), ("١٢", None), ("5" * 10_000, None),
        ("Sat, 99 Mar 2026 12:00:00 GMT", None), ("\x00", None), ("Sat, 14 Mar 99999 12:00:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_within_bounds(header: str | None, seconds: float | None) -> None:
    """Never less than a second, never more than a day; what cannot be read says nothing."""
    assert seconds_to_wait(header, NOW) == seconds
