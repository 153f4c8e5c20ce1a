"""A key of a wrong type stops nobody: it is set aside, told, and the call goes on, by whatever way it is made."""

import asyncio
from collections.abc import Callable

import pytest
import redis

from receiver.core.errors import LayoutUnknown, StorageUnavailable
from receiver.observation.alerts import alert_conditions
from receiver.storage.accounting import data_loss
from receiver.storage.keep.store import Store
from receiver.storage.model.entries import Receipt
from receiver.storage.query.event_reader import EventReader
from receiver.storage.queue.queue import DeliveryQueue
from receiver.storage.redis import connection, keys, schema_version
from receiver.storage.redis.store_client import StoreClient, replies
from tests.support.events import entry, keep_all


def told(client: redis.Redis) -> dict[str, str]:
    """The keys that are told of, and what they were."""
    return {loss.mark: loss.was for loss in data_loss.unacknowledged(client)}


def _commands(client: redis.Redis) -> object:
    return StoreClient(client).ask("hgetall", "fd:x")


def _many(client: redis.Redis) -> object:
    return StoreClient(client).ask_each([("hset", "fd:y", "a", 1), ("hgetall", "fd:x"), ("hgetall", "fd:y")])[1]


def _transaction(client: redis.Redis) -> object:
    commands = [("delete", "fd:y"), ("hset", "fd:x", None, None, {"a": 1}), ("hset", "fd:y", "a", 1)]
    return StoreClient(client).ask_each(commands, all_or_none=True) and {}


def _raw(client: redis.Redis) -> object:
    return replies(client, [("HINCRBY", "fd:y", "a", 1), ("HGETALL", "fd:x")])[1]


@pytest.mark.parametrize("call", [_commands, _many, _transaction, _raw])
def test_a_call_goes_on_without_it(client: redis.Redis, call: Callable[[redis.Redis], object]) -> None:
    """The rest is done once; what was there can be looked at."""
    client.set("fd:x", "odd")

    assert call(client) == {}

    assert (client.get("fd:aside:fd:x"), told(client)) == (b"odd", {"fd:x": "string"})
    assert client.hget("fd:y", "a") in (None, b"1")
    assert 0 < client.pttl("fd:aside:fd:x") <= 31 * 86_400_000


def test_a_counter_that_is_no_number_begins_anew(client: redis.Redis) -> None:
    """Of a command, alone or among others."""
    client.hset("fd:meter", mapping={"a": "odd", "b": 2**63 - 1})

    assert replies(client, [("HINCRBY", "fd:meter", "a", 1), ("HINCRBY", "fd:meter", "b", 1)]) == [1, 1]
    assert told(client) == {}


def test_what_else_fails_is_an_error_as_ever(client: redis.Redis) -> None:
    """Nothing is set aside for it."""
    with pytest.raises(StorageUnavailable, match="not a valid float"):
        replies(client, [("ZADD", "fd:x", "odd", "a")])
    assert list(client.scan_iter("*")) == []


@pytest.mark.parametrize(
    "odd", [keys.RECEIVED, keys.HOURS, keys.UNSEALED, "rq:queue:default", keys.newest("Booking:1")]
)
@pytest.mark.parametrize("at_once", [True, False])
def test_ingest_goes_on(redis_url: str, client: redis.Redis, odd: str, at_once: bool) -> None:
    """Every event of the call is kept, once, whichever way it goes to the store."""
    client.set(odd, "odd")
    batch = [entry(b"%d" % number) for number in range(3)]

    async def keep() -> list[Receipt | None]:
        store = Store(connection.connect_async(redis_url))
        await store.keep([entry(b"first", entity=None, routes=())], timeout_s=60)  # it connects
        client.set(odd, "odd")
        answered = asyncio.get_running_loop().create_future()
        try:
            if at_once and store.keep_at_once(batch, timeout_s=60, confirm_ms=0, on_receipts=answered.set_result):
                outcome = await answered
                assert outcome is None, "it asks for `keep`"
            receipts = await store.keep(batch, timeout_s=60)
            await store.report({"a:1": b"{}"}, timeout_s=60)
            return receipts
        finally:
            await store.close()

    assert [one and one.status for one in asyncio.run(keep())] == ["accepted"] * 3
    assert all(EventReader(client).get(one.envelope.id).deliveries for one in batch)
    assert told(client) == {odd: "string"}


def test_a_report_goes_on(redis_url: str, client: redis.Redis) -> None:
    """What spools say of themselves."""
    client.set(keys.SPOOLS, "odd")

    async def report() -> None:
        store = Store(connection.connect_async(redis_url))
        await store.report({"a:1": b"{}"}, timeout_s=60)
        await store.close()

    asyncio.run(report())
    assert client.hgetall(keys.SPOOLS) == {b"a:1": b"{}"}


def test_a_claim_loses_nothing_over_it(client: redis.Redis) -> None:
    """It has taken jobs out of their queue when it looks for the newest event of their record."""
    batch = [entry(b"%d" % number) for number in range(5)]
    keep_all(client, *batch)
    client.set(keys.newest("Booking:1"), "odd")
    queue = DeliveryQueue(client)
    queue.begin_lease("ann", 60_000)

    claimed = queue.claim("ann", ["default"], 10)

    assert claimed is not None
    assert sorted(one.job[:20] for one in claimed.claims) == sorted(one.envelope.id for one in batch)


def test_a_claim_that_fails_costs_no_other_delivery(client: redis.Redis) -> None:
    """Those behind it are claimed at once; those before it are held, as those whose reply was lost."""
    batch = [entry(b"%d" % number) for number in range(5)]
    keep_all(client, *batch)
    first, second, odd, *behind = (one.envelope.id for one in batch)
    client.delete(keys.state(odd))
    client.set(keys.state(odd), "odd")
    queue = DeliveryQueue(client)
    queue.begin_lease("ann", 60_000)

    claimed = queue.claim("ann", ["default"], 10)

    assert claimed is not None
    assert [one.job[:20] for one in claimed.claims] == behind
    assert {job[:20] for job in queue.held("ann")} == {first, second, *behind}
    assert told(client) == {}, "nobody has read that key again"


def test_it_is_an_alert_until_somebody_acknowledges_it(client: redis.Redis) -> None:
    """By its name; a lane's, which may tell of a person, by a digest. The losses themselves may be what is odd."""
    client.mset({keys.LOSSES: "odd", keys.GAPS: "odd", "fd:o:announce:ada@example.com": "odd"})
    calls = StoreClient(client)
    calls.ask("hgetall", keys.GAPS)
    calls.ask("zcard", "fd:o:announce:ada@example.com")

    conditions = list(alert_conditions.of_losses(data_loss.unacknowledged(client)))

    assert len(conditions) == 3
    texts = " ".join(one.title + one.text + one.subject for one in conditions)
    assert "The key fd:gaps of the store was a string" in texts
    assert "ada" not in texts
    data_loss.acknowledge(client)
    assert told(client) == {}


def test_losses_that_are_told_are_bounded(client: redis.Redis) -> None:
    """A hundred say enough."""
    client.mset({f"fd:d:{number}": "odd" for number in range(120)})
    StoreClient(client).ask_all("hgetall", [f"fd:d:{number}" for number in range(120)])

    assert len(told(client)) == 100


def test_a_layout_that_cannot_be_read_is_told_by_its_name(client: redis.Redis) -> None:
    """Nothing may write to such a store before somebody has looked."""
    client.hset(keys.LAYOUT, "odd", "odd")

    with pytest.raises(LayoutUnknown, match="fd:layout: the store has layout 'unreadable'"):
        schema_version.settle(client)
