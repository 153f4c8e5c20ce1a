"""What errors have in common is kept, and what differs is not; nothing of a person is in it."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.failures.error_patterns import LONGEST, kind_of, pattern_of, without_texts


@pytest.mark.parametrize(
    ("first", "second", "pattern"),
    [
        (
            "NotDelivered: https://crm.example/hooks/1 answered 422",
            "NotDelivered: https://crm.example/hooks/2 answered 422",
            "NotDelivered: … answered 422",
        ),
        ("ValueError: no member 77 here", "ValueError: no member 1234 here", "ValueError: no member … here"),
        ("KeyError: 'Email'", 'KeyError: "Phone"', "KeyError: …"),
        (
            "OSError: no answer from 10.0.0.1:443 since 2026-05-01T12:00:00Z",
            "OSError: no answer from [::1]:80 since 2026-05-02",
            "OSError: no answer from … since …",
        ),
        (
            'TypeError: File "/srv/a/crm.py", line 44: bad operand 1',
            'TypeError: File "/opt/b/crm.py", line 44: bad operand 22',
            "TypeError: crm.py:44: bad operand …",
        ),
        ("ValueError: unknown 5f2d1c9e-aaaa", "ValueError: unknown 6b1d-bbbb-0", "ValueError: unknown …"),
        ("ValueError: Jane Doe is not known", "ValueError: Петр Иванов is not known", "ValueError: … is not known"),
        ("RuntimeError: ann@example.com bounced", "RuntimeError: bo@example.org bounced", "RuntimeError: … bounced"),
        ("timed out after 30 s", "timed out after 5 s", "timed out after … s"),
        ('E: {"a": 1, "b": [1, 2]} refused', "E: {'c': 2} refused", "E: … refused"),
    ],
)
def test_what_differs_is_taken_out(first: str, second: str, pattern: str) -> None:
    """Of two deliveries that fail for one reason."""
    assert pattern_of(first) == pattern_of(second) == pattern


def test_what_tells_causes_apart_stays() -> None:
    """The class, the status of the answer, the place."""
    patterns = {
        pattern_of("NotDelivered: https://crm.example answered 422"),
        pattern_of("NotDelivered: https://crm.example answered 500"),
        pattern_of("Other: https://crm.example answered 422"),
        pattern_of("ValueError: at crm.py:44"),
        pattern_of("ValueError: at crm.py:45"),
    }

    assert len(patterns) == 5


@pytest.mark.parametrize("error", [None, "", "   "])
def test_no_error_has_a_name_too(error: str | None) -> None:
    """A handler may raise anything."""
    assert pattern_of(error) == "no error text"


def test_a_kind_tells_class_and_status_only() -> None:
    """It goes into alerts."""
    assert kind_of("NotDelivered: jane.doe answered 422") == "NotDelivered 422"
    assert kind_of("jane doe is not known") == "error"


def test_a_name_in_lower_case_is_known_from_the_record() -> None:
    """Not the words that say what happened, although the record has them."""
    record = {"FullName": "Jane Doe", "Notes": ["not a member"], "Team": {"Name": "payload people"}}

    assert without_texts("ValueError: jane doe of payload is not a member", record) == "ValueError: … of … is not a …"
    assert without_texts("ValueError: it is not", None) == "ValueError: it is not"


def test_an_error_of_ten_megabytes_costs_what_a_short_one_does() -> None:
    """Only its beginning is read."""
    assert len(pattern_of("ValueError: " + "a1 b " * 2_000_000)) <= LONGEST + len("ValueError: ")


@pytest.mark.parametrize("part", ["{", "[", "'", '"', "a/", "a.", "x@", "a_", "://", "File ", "1.", "…", "\x1b", "a-"])
def test_no_text_takes_long(part: str) -> None:
    """None of the expressions goes back and forth; pytest's timeout judges it."""
    for length in range(400, 500):
        pattern_of(f"X{length}: " + part * length)


@given(st.text(max_size=700))
def test_a_pattern_is_short_harmless_and_its_own_pattern_has_no_digits_of_ids(error: str) -> None:
    """Whatever the error is."""
    pattern = pattern_of(error)

    assert 0 < len(pattern) <= LONGEST + 102
    assert "\x00" not in pattern
    assert "\x1b" not in pattern
    assert "@" not in pattern or "@" in string.punctuation


def test_random_names_never_stay() -> None:
    """Two words with capitals, anywhere in a sentence."""
    chance = random.Random(7)
    for _ in range(300):
        name = " ".join("".join(chance.choices(string.ascii_lowercase, k=8)).title() for _ in range(2))
        assert name not in pattern_of(f"ValueError: cannot book for {name}, {name}@example.com ({name!r})")
        assert not set(name.split()) & set(pattern_of(f"ValueError: {name} is unknown").split())
