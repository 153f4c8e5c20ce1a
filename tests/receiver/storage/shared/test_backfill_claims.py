"""Hooks that are being back-filled, as the store remembers them."""

import redis

from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient
from receiver.storage.shared.backfill_claims import LEASE_MS, BackfillClaims
from tests.support.events import DAY_MS

PAIR = (1001, "TeamUpdated")
NAME = "1001/TeamUpdated"


def _said(client: redis.Redis) -> dict[str, int]:
    return decoding.numbers(StoreClient(client).ask("hgetall", keys.MADE))


def test_claims_begin_go_on_and_end(client: redis.Redis) -> None:
    """For so long; again when it is half over; and from then on only what was made is remembered."""
    made, now_ms = BackfillClaims(client, [PAIR]), StoreClient(client).now_ms()

    made.begin()
    began = _said(client)[NAME]
    client.hset(keys.MADE, NAME, "5")
    made.go_on()

    assert now_ms + LEASE_MS <= began
    assert _said(client) == {NAME: 5}, "it was said just now"
    made.end()
    assert now_ms <= _said(client)[NAME] < began


def test_one_that_takes_long_says_it_again(client: redis.Redis) -> None:
    """Nobody who goes on is taken for over."""
    made = BackfillClaims(client, [PAIR])

    made.go_on()

    assert _said(client)[NAME] > StoreClient(client).now_ms() + LEASE_MS // 2


def test_hooks_of_long_ago_are_forgotten(client: redis.Redis) -> None:
    """The others stay; without any hook nothing is written."""
    now_ms = StoreClient(client).now_ms()
    client.hset(keys.MADE, mapping={"1/A": now_ms - 63 * DAY_MS, "1/B": now_ms - 61 * DAY_MS, "1/C": "odd"})

    BackfillClaims(client, []).begin()
    assert set(_said(client)) == {"1/B"}
    BackfillClaims(client, [PAIR]).begin()

    assert set(_said(client)) == {"1/B", NAME}
    assert 0 < client.pttl(keys.MADE) <= 62 * DAY_MS
