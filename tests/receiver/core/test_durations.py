"""Durations are read as operators write them, and refused with the accepted forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core import durations


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("500ms", 500),
        ("30s", 30000),
        ("10m", 600000),
        ("6h", 21600000),
        ("7d", 604800000),
        (30, 30000),
        ("30", 30000),
        (0, 0),
        ("0.5s", 500),
        (1.5, 1500),
        (" 5 s ", 5000),
    ],
)
def test_durations_are_read(written: object, milliseconds: int) -> None:
    """Every published form, and plain seconds."""
    assert milliseconds == durations.parse(written)


@pytest.mark.parametrize("written", ["", "7 weeks", "-1s", True, None, "1e3", [], float("nan"), float("inf"), "9" * 20])
def test_anything_else_is_refused(written: object) -> None:
    """The message repeats the value and names the forms."""
    with pytest.raises(ValueError, match="is not a duration; write 500ms, 30s"):
        durations.parse(written)


@given(st.integers(0, 10**12))
def test_what_is_shown_reads_back(milliseconds: int) -> None:
    """`show` and `parse` are inverse."""
    assert milliseconds == durations.parse(durations.show(milliseconds))
