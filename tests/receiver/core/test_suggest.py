"""What may be meant by a name that nobody knows."""

import pytest

from receiver.core.suggest import hint, nearest

ACTIONS = ("BookingCreate", "BookingUpdate", "CoworkerCreate")


@pytest.mark.parametrize(
    ("name", "meant"), [("BookingCraete", "BookingCreate"), ("CoworkerCreated", "CoworkerCreate"), ("Invoice", None)]
)
def test_the_nearest_is_meant(name: str, meant: str | None) -> None:
    """A slip leads to the name; what is like none of them to nothing, and then nothing is said."""
    assert nearest(name, ACTIONS) == meant
    assert hint(name, ACTIONS) == (f"; did you mean {meant!r}?" if meant else "")


def test_the_order_in_which_names_are_known_does_not_matter() -> None:
    """Of equally near ones it is always the same, also out of a set."""
    assert nearest("aX", {"ab", "ac"}) == nearest("aX", ("ac", "ab")) == nearest("aX", ("ab", "ac"))
