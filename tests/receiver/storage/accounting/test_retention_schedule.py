"""Retention has a schedule of its own: it does not wait for the audit, and says how far it is behind."""

import time

import orjson
import pytest
import redis

from receiver.observation import status_snapshot
from receiver.storage.accounting import retention
from receiver.storage.accounting.retention import RetentionSchedule
from receiver.storage.redis import keys
from receiver.storage.shared.lock import Lock
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import DAY_MS, entry, keep_all

_TWO_HOURS_S = 7_200


def keep_and_run(client: redis.Redis, *bodies: bytes, ago_s: float = _TWO_HOURS_S) -> None:
    """Keep events that are over as soon as they are kept for no time."""
    keep_all(client, *(entry(body, at=time.time() - ago_s) for body in bodies))
    acknowledge(client, *claim_all(client))


def expire(client: redis.Redis, *, interval_ms: int = 0) -> int:
    """One turn that keeps nothing for longer than a second."""
    return RetentionSchedule(client, retention_ms=0, kept_ms=DAY_MS, interval_ms=interval_ms).turn()


def test_what_is_over_expires_however_long_the_audit_rests(client: redis.Redis) -> None:
    """The audit of a million events rests for twenty minutes, or is at it at this moment."""
    keep_and_run(client, b"1", b"2")
    client.set(keys.AUDIT, orjson.dumps({"next_ms": 2**52}))

    with Lock(client, "sweeper") as sweeping:
        assert sweeping.take() is None
        assert expire(client) == 2


def test_one_applies_retention_at_a_time_and_not_more_often_than_it_should(client: redis.Redis) -> None:
    """Many workers' parents try."""
    keep_and_run(client, b"1")
    with Lock(client, "expiry") as other:
        assert other.take() is None
        assert expire(client) == 0
    assert expire(client, interval_ms=60_000) == 1

    keep_and_run(client, b"2")

    assert expire(client, interval_ms=60_000) == 0
    assert expire(client) == 1


def test_retention_that_does_not_keep_up_says_how_far_it_is_behind(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a turn that has come to the end."""
    keep_and_run(client, b"1")
    keep_and_run(client, b"2", ago_s=2 * _TWO_HOURS_S)
    expire(client)  # an event of each hour is known to be over
    keep_and_run(client, b"3")
    keep_and_run(client, b"4", ago_s=2 * _TWO_HOURS_S)
    client.zadd(keys.DUE, {str(int(time.time()) // 3_600 - ago): 1 for ago in (2, 4)})
    monkeypatch.setattr(retention, "_PAGES_AT_ONCE", 1)
    monkeypatch.setattr(retention, "_TURN_S", 0.0)

    assert expire(client) >= 0
    behind = status_snapshot.look(client).retention_late_ms
    monkeypatch.undo()
    expire(client)

    assert behind > DAY_MS
    assert status_snapshot.look(client).retention_late_ms == 0
