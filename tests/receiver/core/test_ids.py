"""Ids ascend, carry their time, and fit the published shape."""

import re

from receiver.core import ids


def test_ids_of_one_generator_ascend_strictly_even_when_the_clock_steps_back() -> None:
    """A generator never repeats and never goes down, whatever the clock says."""
    mint = ids.IdGenerator()

    minted = [mint(now) for now in (1_000.0, 1_000.0, 999.0, 1_000.001, 5.0)]

    assert sorted(set(minted)) == minted


def test_a_clock_that_was_far_ahead_is_followed_back() -> None:
    """Else everything would stand under an hour of next year until the process ends. No id comes twice."""
    mint = ids.IdGenerator()
    year = 365 * 86_400.0

    minted = [mint(now) for now in (1_000.0, 1_000.0 + year, 1_000.001, 1_000.0 + year, 1_000.001)]

    assert len(set(minted)) == 5
    assert [ids.milliseconds_of(one) for one in minted[2::2]] == [1_000_001, 1_000_001]


def test_the_counter_flows_over_into_the_next_millisecond() -> None:
    """More than 36**4 ids in one millisecond borrow from the next one."""
    mint = ids.IdGenerator()
    for _ in range(36**4 - 1):
        mint(1_000.0)

    last, first_borrowed = mint(1_000.0), mint(1_000.0)

    assert last < first_borrowed
    assert ids.milliseconds_of(first_borrowed) == 1_000_001


def test_an_id_has_the_published_shape_and_tells_its_time() -> None:
    """20 characters of [0-9a-z]; the first nine are the time."""
    identifier = ids.IdGenerator()(1_790_000_000.123)

    assert re.fullmatch(r"[0-9a-z]{20}", identifier)
    assert ids.milliseconds_of(identifier) == 1_790_000_000_123
    assert ids.lowest(1_790_000_000_123) < identifier < ids.lowest(1_790_000_000_124)
