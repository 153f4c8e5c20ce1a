"""Our own limit: never more in any minute than the setting says."""

import pytest

from receiver.nexudus.budget import LocalBudget


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@pytest.mark.parametrize(("calls", "writes"), [(120, 60), (1, 1), (59, 7), (600, 300)])
def test_no_minute_holds_more_than_the_limit(calls: int, writes: int) -> None:
    """Calls and writes apart, in every window of 60 seconds, from a full bucket on."""
    clock = Clock()
    budget = LocalBudget(calls, writes, now=clock, sleep=clock.sleep)
    made: list[tuple[float, bool]] = []

    for number in range(3 * calls):
        write = number % 3 == 0
        budget.take(write=write)
        made.append((clock.now, write))

    for start, _ in made:
        window = [write for at, write in made if start <= at < start + 60]
        assert len(window) <= calls
        assert sum(window) <= writes


def test_the_limit_is_used_up() -> None:
    """A hundred calls at 120 a minute take 50 seconds, not minutes."""
    clock = Clock()
    budget = LocalBudget(120, 60, now=clock, sleep=clock.sleep)

    for _ in range(100):
        budget.take(write=False)

    assert 45 <= clock.now - 1_000 <= 51
