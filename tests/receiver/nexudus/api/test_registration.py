"""Records from the API are read tolerantly where a stranger's record may be odd, strictly where guessing would harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.errors import NexudusError
from receiver.nexudus.api import registration

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
NAMES = ("Id", "BusinessId", "Action", "Name", "URL", "Active", "ErrorCount", "LastError", "LastTrigger")


@given(st.dictionaries(st.sampled_from(NAMES), JUNK) | JUNK)
def test_junk_is_a_registration_or_one_error(value: object) -> None:
    """Total: nothing else comes out of it."""
    try:
        found = registration.parse(value)
    except NexudusError:
        return
    assert isinstance(found.id, int)
    assert isinstance(found.url, str)
    assert found.error_count >= 0


def test_what_is_missing_is_taken_for_nothing() -> None:
    """Somebody else's half-filled record does not stop us."""
    found = registration.parse({"Id": 7, "Name": None, "Action": None, "extra": [1]})

    assert (found.id, found.name, found.url, found.active, found.action_code) == (7, "", "", False, 0)


def test_an_action_that_comes_as_a_name_is_understood() -> None:
    """Enumerations may be serialised either way."""
    assert registration.parse({"Id": 7, "Action": "BookingCreate"}).action_code == 6


def test_a_record_without_an_id_is_refused() -> None:
    """We could not write it."""
    with pytest.raises(NexudusError, match="cannot read: Id: Field required"):
        registration.parse({"Name": "x"})
