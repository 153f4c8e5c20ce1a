"""The rhythm of a business: what usually comes in an hour of the week, and what was to be expected since the last."""

import redis

from receiver.core.durations import HOUR_MS
from receiver.observation import arrival_baseline
from receiver.storage.redis import keys
from tests.support.events import entry, keep_all

MONDAY_9 = 497_217  # a Unix hour: Monday 2026-09-21 09:00 UTC
NOW_MS = MONDAY_9 * HOUR_MS


def _keep(client: redis.Redis, hour: int, number: int, *, business_id: int = 1001) -> None:
    entries = [
        entry(b'{"Id":%d}' % (hour * 100 + one), at=hour * 3_600 + one, routes=(), business_id=business_id)
        for one in range(number)
    ]
    keep_all(client, *entries)


def _hours(usual: dict[int, float]) -> list[float | None]:
    return [usual.get(number) for number in range(arrival_baseline.WEEK)]


def test_slots_begin_on_monday() -> None:
    """So that people can read what is stored."""
    assert arrival_baseline.slot(MONDAY_9) == 9
    assert arrival_baseline.slot(MONDAY_9 + 6 * 24) == 6 * 24 + 9


def test_what_is_expected_is_what_usually_comes_in_the_hours_since() -> None:
    """Parts of hours count in part, an hour three at most, nights and hours that are not known nothing."""
    hours = _hours({9: 2.0, 10: 500.0, 11: 0.0})

    def since(begin: float, end: float) -> float:
        return arrival_baseline.expected(hours, int(NOW_MS + begin * HOUR_MS), int(NOW_MS + end * HOUR_MS))

    assert since(0.0, 0.5) == 1.0
    assert since(0.5, 2.0) == 4.0
    assert since(2.0, 20.0) == 0.0
    assert since(0.5, 0.5) == 0.0
    assert since(1.0, 0.0) == 0.0  # a clock that was set back


def test_a_silence_of_years_is_counted_over_a_week() -> None:
    """Not hour by hour since then."""
    assert arrival_baseline.expected(_hours({9: 2.0}), 0, NOW_MS) == 2.0


def test_a_week_that_is_kept_is_learnt_at_once_and_each_hour_once(client: redis.Redis) -> None:
    """Later weeks move the average by three tenths."""
    _keep(client, MONDAY_9 - 1, 4)
    _keep(client, MONDAY_9, 10)

    assert arrival_baseline.learn(client, [1001], NOW_MS + HOUR_MS + 1) == arrival_baseline.WEEK
    assert arrival_baseline.learn(client, [1001], NOW_MS + HOUR_MS + 2) == 0
    assert (
        arrival_baseline.learn(client, [1001], NOW_MS + (arrival_baseline.WEEK + 1) * HOUR_MS) == arrival_baseline.WEEK
    )

    usual = arrival_baseline.parsed(client.hgetall(keys.RHYTHM))[1001]  # type: ignore[arg-type]
    assert (usual[8], usual[9], usual[10]) == (2.8, 7.0, 0.0)


def test_businesses_are_learnt_apart_and_what_cannot_be_read_begins_anew(client: redis.Redis) -> None:
    """Whatever stands in the hash."""
    client.hset(keys.RHYTHM, "1001", '["what is this"]')
    _keep(client, MONDAY_9, 3, business_id=1002)

    arrival_baseline.learn(client, [1001, 1002], NOW_MS + HOUR_MS)

    usual = arrival_baseline.parsed(client.hgetall(keys.RHYTHM))  # type: ignore[arg-type]
    assert (usual[1001][9], usual[1002][9]) == (0.0, 3.0)
