"""A disk that somebody else has filled to the last byte: what is spooled on it goes to the store all the same."""

import asyncio
import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest
import redis

from receiver.core.errors import RequestRefused
from receiver.process import logs
from receiver.storage.keep.drain import Drained, drain
from receiver.storage.keep.keep_or_spool import KeepOrSpool
from receiver.storage.keep.store import Store
from receiver.storage.model.entries import Entry
from receiver.storage.redis import connection
from receiver.storage.spool import count, slots
from receiver.storage.spool.spool import Spool
from tests.conftest import StartValkey
from tests.faults.disk import Disk
from tests.receiver.storage.keep.test_keep_or_spool import (
    PATIENCE_S,
    assert_kept_once,
    keep_many,
    keeping,
    numbered,
    spool_offline,
    stored_ids,
    until,
)
from tests.receiver.storage.spool.test_spool import append_all, append_patiently, fill, ids_of, read_ids, using
from tests.support.events import entry
from tests.support.processes import Process, environment

ALIAS_MS = 3_600_000


async def hand_over(url: str, spool: Spool, batches: int) -> Drained:
    """Drain so many batches of 64, and the rest not."""
    left = batches

    async def pace() -> int:
        nonlocal left
        left -= 1
        return 64 if left >= 0 else 0

    store = Store(connection.connect_async(url))
    try:
        return await drain(spool, store, alias_ms=ALIAS_MS, pace=pace)
    finally:
        await store.close()


def test_what_is_spooled_is_drained_and_its_room_comes_back(
    redis_url: str, client: redis.Redis, small_disk: Disk
) -> None:
    """By a receiver that starts with the disk full; afterwards it can spool again, although nobody else made room."""
    folder = small_disk.folder / "spool"
    many = [entry(os.urandom(4_000)) for _ in range(200)]
    spool_offline(folder, many)
    small_disk.fill()

    keeping(redis_url, folder, lambda keeper: until(lambda: keeper.spooled == 0, "the drain"), patience_s=PATIENCE_S)

    assert_kept_once(client, many)
    later = entry()
    using(folder, lambda spool: append_patiently(spool, later))
    assert ids_of(folder) == [later.envelope.id]


def test_the_disk_fills_while_the_store_is_away(start_valkey: StartValkey, small_disk: Disk) -> None:
    """The same receiver drains when the store is back, and refuses nothing then."""
    server = start_valkey()
    many = [entry(os.urandom(4_000)) for _ in range(150)]

    async def work(keeper: KeepOrSpool) -> None:
        await asyncio.to_thread(server.kill)
        assert await keep_many(keeper, many) == {"spooled": 150}
        small_disk.fill()
        assert not await keeper.ready()
        assert keeper.trouble == "the disk of the spool is full"
        await asyncio.to_thread(server.start_again)
        await until(lambda: keeper.spooled == 0, "the drain")

    keeping(server.url, small_disk.folder / "spool", work)

    with server.client() as client:
        assert_kept_once(client, many)


def hand_over_and_die() -> None:
    """Hand two batches over from a full disk, and die without a word."""

    async def run() -> None:
        url, folder = sys.argv[1:3]
        spool = Spool(Path(folder), max_bytes=1 << 30, slot=slots.adopt(Path(folder), 0))
        await spool.open()
        print(await hand_over(url, spool, 2), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    logs.configure("error", "json")
    asyncio.run(run())


def test_what_was_handed_over_is_known_after_a_crash(
    redis_url: str, client: redis.Redis, small_disk: Disk, tmp_path: Path
) -> None:
    """Even when the store has forgotten those events meanwhile; and the rest goes over."""
    folder = small_disk.folder / "spool"
    many = numbered(200)
    spool_offline(folder, many)
    small_disk.fill()
    code = "from tests.receiver.storage.spool.test_full_disk import hand_over_and_die as run; run()"
    died = Process([sys.executable, "-c", code, redis_url, str(folder)], log=tmp_path / "log", environ=environment({}))
    try:
        died.wait_for(r"kept=128")
        died.wait()
    finally:
        died.end()

    assert ids_of(folder) == [one.envelope.id for one in many[128:]]
    client.flushall()
    keeping(redis_url, folder, lambda keeper: until(lambda: keeper.spooled == 0, "the drain"), patience_s=PATIENCE_S)
    assert set(stored_ids(client)) == {one.envelope.id for one in many[128:]}


def test_notes_of_another_file_hide_nothing(redis_url: str, small_disk: Disk) -> None:
    """They count only where the very events are that were handed over."""
    folder = small_disk.folder / "spool"
    spool_offline(folder, numbered(64))
    small_disk.fill()

    async def work() -> None:
        spool = Spool(folder, max_bytes=1 << 30, slot=slots.adopt(folder, 0))
        await spool.open()
        await hand_over(redis_url, spool, 1)
        assert spool.depth == 0
        noted.append((folder / "000.tombstones").read_bytes())
        await spool.close()

    noted: list[bytes] = []
    asyncio.run(work())
    assert slots.used(folder) == []
    assert any(noted[0])
    small_disk.free()
    others = numbered(64, 1_000)
    spool_offline(folder, others)
    (folder / "000.tombstones").write_bytes(noted[0])

    assert ids_of(folder) == [one.envelope.id for one in others]


def test_deleting_goes_on_when_there_is_room_again(redis_url: str, client: redis.Redis, small_disk: Disk) -> None:
    """What could not be deleted is, and the tombstones are used again."""
    folder = small_disk.folder / "spool"
    many = numbered(300)
    spool_offline(folder, many)

    async def work(spool: Spool) -> None:
        small_disk.fill()
        await hand_over(redis_url, spool, 2)
        assert await read_ids(spool) == [one.envelope.id for one in many[128:]]
        assert count.events(folder) == 172
        small_disk.free()
        await hand_over(redis_url, spool, 1)
        assert await read_ids(spool) == [one.envelope.id for one in many[192:]]

    using(folder, work)
    (folder / "000.tombstones").unlink()  # nothing hangs on it any more

    assert ids_of(folder) == [one.envelope.id for one in many[192:]]
    assert set(stored_ids(client)) == {one.envelope.id for one in many[:192]}


def test_the_spools_own_log_leaves_the_last_bytes(small_disk: Disk) -> None:
    """An outage that fills the disk ends with 503 and room for what is to be written yet: it is deleted as ever."""
    folder = small_disk.folder / "spool"

    async def work(spool: Spool) -> None:
        kept = []
        with pytest.raises(RequestRefused, match="disk"):  # noqa: PT012 - somewhere in there
            for _ in range(10_000):
                one: Entry = entry(os.urandom(100))
                await spool.append(one)
                kept.append(one.envelope.id)
        free = os.statvfs(folder)
        assert free.f_bavail * free.f_frsize > 200_000
        assert len(kept) > 100
        await spool.remove(await spool.read(256))
        assert not any((folder / "000.tombstones").read_bytes())
        assert await read_ids(spool) == kept[256:]

    using(folder, work)


def test_a_row_that_cannot_be_set_aside_holds_up_no_other(small_disk: Disk) -> None:
    """A damaged one; it stays, and is set aside when there is room."""
    folder = small_disk.folder / "spool"
    many = numbered(5)
    spool_offline(folder, many)
    with sqlite3.connect(folder / "000.db") as connection:
        connection.execute("UPDATE event SET crc = 1 WHERE seq = 1")
    connection.close()

    async def work(spool: Spool) -> None:
        small_disk.fill()
        assert await read_ids(spool) == [one.envelope.id for one in many[1:]]
        assert spool.depth == 5
        small_disk.free()
        assert await read_ids(spool) == [one.envelope.id for one in many[1:]]
        assert spool.depth == 4

    using(folder, work)
    assert len(list((folder / "set-aside").iterdir())) == 1


def test_a_read_only_volume_is_told(small_disk: Disk) -> None:
    """With its reason; and the spool is used as soon as it can be."""
    folder = small_disk.folder / "spool"
    using(folder, append_all)

    async def work(spool: Spool) -> None:
        assert "Read-only file system" in str(spool.trouble)
        await asyncio.to_thread(small_disk.remount, "rw")
        await append_patiently(spool, entry())
        assert await spool.examine() is None

    small_disk.remount("ro")
    using(folder, work)


def test_a_full_disk_refuses_keeps_what_it_had_and_takes_again(small_disk: Disk) -> None:
    """Nothing acknowledged is lost, and space makes it take events again."""
    folder, ballast = small_disk.folder / "spool", small_disk.folder / "ballast"

    async def work(spool: Spool) -> list[str]:
        acknowledged = await fill(spool)
        ballast.unlink()
        one = entry()
        await append_patiently(spool, one)
        return [*acknowledged, one.envelope.id]

    ballast.write_bytes(b"x" * 4_000_000)
    acknowledged = using(folder, work)

    assert len(acknowledged) > 3
    assert ids_of(folder) == acknowledged
