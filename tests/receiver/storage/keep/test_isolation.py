"""An event that the script fails on is kept aside with its reason; the others of its batch go on, live and drained."""

import asyncio
from pathlib import Path

import orjson
import pytest
import redis

from receiver.core.errors import StorageUnavailable
from receiver.storage.keep.drain import Drained, drain, take_back
from receiver.storage.keep.keep_or_spool import KeepOrSpool
from receiver.storage.keep.store import Store
from receiver.storage.model.entries import Entry
from receiver.storage.redis import connection, keys
from receiver.storage.redis.store_client import is_refusal
from receiver.storage.spool import rejected, slots
from receiver.storage.spool.spool import Spool
from tests.receiver.storage.keep.test_keep_or_spool import assert_kept_once, spool_offline, until
from tests.support.events import entry

ALIAS_MS = 3_600_000


def block(client: redis.Redis, *some: Entry) -> list[str]:
    """Make the script fail on some events, by what is there of them; return the keys that do it."""
    client.zadd("fd:x:quarantined", {"one": 1, "other": 2})
    blocking = [keys.state(one.envelope.id) for one in some]
    for key in blocking:
        client.hset(key, mapping={"n": 0, "k": "q", "c": "1.5"})
    return blocking


def drained(url: str, folder: Path) -> Drained:
    """Drain the first spool of a folder, once."""

    async def run() -> Drained:
        store, spool = (
            Store(connection.connect_async(url)),
            Spool(folder, max_bytes=1 << 30, slot=slots.adopt(folder, 0)),
        )
        await spool.open()
        try:
            return await drain(spool, store, alias_ms=ALIAS_MS)
        finally:
            await spool.close()
            await store.close()

    return asyncio.run(run())


def test_a_drain_sets_aside_what_the_script_fails_on(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """With its reason, whole; once the cause is gone it is taken back."""
    batch = [entry(b"%d" % number) for number in range(30)]
    spool_offline(tmp_path, batch)
    blocking = block(client, *batch[7:9])

    assert drained(redis_url, tmp_path) == Drained(kept=28, set_aside=2)

    files = rejected.files(tmp_path)
    assert ["not an integer" in orjson.loads(file.read_bytes())["reason"] for file in files] == [True, True]
    assert_kept_once(client, batch[:7] + batch[9:])
    client.delete(*blocking)

    async def again() -> Drained:
        store = Store(connection.connect_async(redis_url))
        total, _ = await take_back(tmp_path, store, alias_ms=ALIAS_MS)
        await store.close()
        return total

    assert asyncio.run(again()) == Drained(kept=2)
    assert_kept_once(client, batch)


def test_nothing_is_set_aside_when_the_script_fails_on_each(
    redis_url: str, client: redis.Redis, tmp_path: Path
) -> None:
    """Then the store is at fault: all of them stay in the spool, for when somebody has put it right."""
    batch = [entry(b"%d" % number) for number in range(5)]
    spool_offline(tmp_path, batch)
    blocking = block(client, *batch)

    with pytest.raises(StorageUnavailable, match="not an integer"):
        drained(redis_url, tmp_path)
    assert rejected.files(tmp_path) == ()
    client.delete(*blocking)

    assert drained(redis_url, tmp_path) == Drained(kept=5)


def test_a_live_event_that_the_script_fails_on_holds_up_no_other(
    redis_url: str, client: redis.Redis, tmp_path: Path
) -> None:
    """The others of its call are accepted; it is spooled, and set aside by the drain; the store counts as well."""
    batch = [entry(b"%d" % number) for number in range(9)]
    block(client, batch[3])

    async def run() -> tuple[list[str], int, str]:
        keeper = KeepOrSpool(
            Store(connection.connect_async(redis_url)), tmp_path, max_bytes=1 << 30, alias_ms=ALIAS_MS, patience_s=30
        )
        await keeper.start()
        statuses: list[str] = [receipt.status for receipt in await asyncio.gather(*map(keeper.keep, batch))]
        assert (await keeper.keep(entry(b"at once"))).status == "accepted"
        await until(lambda: bool(rejected.files(tmp_path)) and keeper.spooled == 0, "the drain")
        later = await keeper.keep(entry(b"later"))
        count = await keeper.set_aside()
        await keeper.close()
        return statuses, count, str(later.status)

    statuses, count, later = asyncio.run(run())

    assert statuses == ["spooled" if number == 3 else "accepted" for number in range(9)]
    assert (count, later) == (1, "accepted")


@pytest.mark.parametrize(
    ("said", "is_ours"),
    [
        ("user_script:12: too many results to unpack script: 8f7c, on @user_script:12.", True),
        ("WRONGTYPE Operation against a key holding the wrong kind of value script: 8f7c, on @user_script:1.", True),
        ("Error running script (call to f_8f7c): @user_script:12: user_script:12: too many results to unpack", True),
        ("Error running script (call to f_8f7c): @user_script:12: WRONGTYPE Operation against a key", True),
        ("Error running script (call to f_8f7c): @user_script:12: ERR hash value is not an integer", True),
        ("keep: malformed event", True),
        ("Error running script (call to f_8f7c): @user_script:1: -OOM command not allowed when used memory", False),
        ("Error running script (call to f_8f7c): @user_script:1: The user executing the script can't run this", False),
        ("NOREPLICAS Not enough good replicas to write. script: on @user_script:1.", False),
        ("MISCONF Redis is configured to save RDB snapshots script: on @user_script:1.", False),
        ("BUSY Redis is busy running a script.", False),
        ("max number of clients reached", False),
    ],
)
def test_what_concerns_the_store_as_a_whole_is_no_refusal(said: str, is_ours: bool) -> None:
    """Neither in the words of Redis 7 and Valkey, nor in those of Redis 6."""
    assert is_refusal(redis.ResponseError(said)) is is_ours


def test_classes_of_their_own_are_no_refusal() -> None:
    """The client knows some of them by name, and puts them behind our own error."""
    for error in (
        redis.exceptions.OutOfMemoryError,
        redis.exceptions.ReadOnlyError,
        redis.exceptions.NoPermissionError,
    ):
        told = StorageUnavailable("as outage() puts it")
        told.__cause__ = error("command not allowed script: on @user_script:1.")
        assert not is_refusal(told)
