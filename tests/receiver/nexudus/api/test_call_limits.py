"""Our own limit: never more in any minute than the setting says."""

import pytest

from receiver.nexudus.api.call_limits import LocalBudget


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


@pytest.mark.parametrize(
    ("calls", "writes", "window_s"), [(7, 1_000_000, 3_600), (1_000_000, 7, 86_400)], ids=["hour", "day"]
)
def test_no_hour_and_no_day_holds_more_than_the_limit(calls: int, writes: int, window_s: int) -> None:
    """Which are used up at once; then the oldest of them has to be so old."""
    clock = Clock()
    budget = LocalBudget(6_000, 6_000, calls_per_hour=calls, writes_per_day=writes, now=clock, sleep=clock.sleep)
    made = []

    for _ in range(15):
        budget.take(write=True)
        made.append(clock.now)

    assert made[6] - made[0] < 1
    assert all(later - at >= window_s for at, later in zip(made, made[7:], strict=False))


@pytest.mark.parametrize("per_minute", [1, 60, 120, 300, 301, 599, 600])
def test_no_second_holds_more_than_ten(per_minute: int) -> None:
    """Whatever a minute may hold."""
    clock = Clock()
    budget = LocalBudget(per_minute, per_minute, now=clock, sleep=clock.sleep)
    made = []

    for _ in range(40):
        budget.take(write=True)
        made.append(clock.now)

    assert all(later - at >= 0.9999 for at, later in zip(made, made[10:], strict=False))


def test_the_limit_is_used_up() -> None:
    """A hundred calls at 120 a minute take 50 seconds, not minutes."""
    clock = Clock()
    budget = LocalBudget(120, 60, now=clock, sleep=clock.sleep)

    for _ in range(100):
        budget.take(write=False)

    assert 45 <= clock.now - 1_000 <= 51
