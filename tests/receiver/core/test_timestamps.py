"""Times as people write them."""

from datetime import UTC, datetime

import pytest

from receiver.core import timestamps
from receiver.core.errors import UsageError


@pytest.mark.parametrize(
    "written", ["20261129", "2026-11-29", "2026-11-29T00:00:00Z", "20261129T01+01:00", " 20261129 "]
)
def test_a_date_is_a_date_however_it_is_written(written: str) -> None:
    """Eight digits are no seconds."""
    assert timestamps.parse("--since", written) == datetime(2026, 11, 29, tzinfo=UTC).timestamp() * 1_000


@pytest.mark.parametrize("written", ["500ms", "30s", "10m", "6h", "7d", "1.5 h", "0s"])
def test_a_duration_is_that_long_ago(written: str) -> None:
    """With its unit."""
    assert timestamps.parse("--since", written) <= timestamps.parse("--since", "0s")  # type: ignore[operator]


@pytest.mark.parametrize(
    "written", ["3600", "7", "1.5", "2026", "202611", "20261399", "2026112912", "", "²", "h", "-1h"]
)
def test_a_number_alone_is_refused(written: str) -> None:
    """With a sentence that says what to write."""
    with pytest.raises(UsageError, match="^--since: .* is not a time; write .*; a duration needs its unit$"):
        timestamps.parse("--since", written)
