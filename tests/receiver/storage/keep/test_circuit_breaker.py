"""When the store is asked again: soon at first, then less and less often, and never later than a second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.storage.keep.circuit_breaker import CALM_S, FIRST_PAUSE_S, LONGEST_PAUSE_S, CircuitBreaker


def test_pauses_grow_up_to_a_second() -> None:
    """50, 100, 200, 400, 800, 1,000, 1,000 ms."""
    breaker = CircuitBreaker()
    now, pauses = 100.0, []
    for _ in range(7):
        breaker.fail(now)
        pauses.append(breaker.wait_s(now))
        now += pauses[-1]

    assert pauses == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_failures_of_calls_from_before_change_nothing() -> None:
    """A hundred events that fail together are one failure."""
    breaker = CircuitBreaker()
    for step in range(100):
        breaker.fail(100.0 + step / 100_000)

    assert breaker.wait_s(100.0) == pytest.approx(FIRST_PAUSE_S)


@pytest.mark.parametrize(("calm_s", "expected"), [(1.0, 2 * FIRST_PAUSE_S), (CALM_S + 1, FIRST_PAUSE_S)])
def test_pauses_start_over_only_after_a_calm(calm_s: float, expected: float) -> None:
    """A store that comes and goes is not asked twenty times a second."""
    breaker = CircuitBreaker()
    breaker.fail(100.0)
    breaker.succeed(100.1)
    assert not breaker.is_open

    breaker.fail(100.1 + calm_s)

    assert breaker.is_open
    assert breaker.wait_s(100.1 + calm_s) == pytest.approx(expected)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 10)), max_size=50))
def test_a_probe_is_never_further_away_than_a_second(steps: list[tuple[bool, float]]) -> None:
    """Whatever happens in whatever order."""
    breaker, now = CircuitBreaker(), 0.0
    for failed, later in steps:
        now += later
        (breaker.fail if failed else breaker.succeed)(now)

        assert 0 <= breaker.wait_s(now) <= LONGEST_PAUSE_S + 1e-9
        assert breaker.is_open or not failed
