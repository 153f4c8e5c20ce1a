"""Later deliveries of a lane wait for what lies in a spool, and for no longer than that. On a real server."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import redis

from receiver.core.errors import StorageUnavailable
from receiver.core.ids import lowest
from receiver.storage.keep.drain import drain
from receiver.storage.keep.group_commit import GroupCommit
from receiver.storage.keep.lane_announcements import LaneAnnouncements
from receiver.storage.keep.receiver_lanes import ReceiverLanes
from receiver.storage.keep.store import Store
from receiver.storage.keep.store_health import StoreHealth
from receiver.storage.model.entries import Entry, terms
from receiver.storage.queue.lane_release import LaneRelease
from receiver.storage.redis import connection, scripts
from receiver.storage.redis.clock import StoreClock
from receiver.storage.redis.store_client import StoreClient
from receiver.storage.spool import slots
from receiver.storage.spool.spool import Spool
from tests.conftest import StartValkey
from tests.receiver.storage.keep.test_keep_or_spool import spool_offline, until
from tests.receiver.storage.queue.test_flow_control import Desk, ids
from tests.support.events import entry, keep_all
from tests.support.processes import wait_until

RECEIVERS = "fd:receivers"
LANES = "fd:lanes"


def numbered(number: int, lane: str = "lane", **more: object) -> Entry:
    """An entry of its own, of a lane."""
    return entry(b'{"Id":%d}' % number, terms=terms(lane, **more))  # type: ignore[arg-type]


def has_gone_on(desk: Desk, one: Entry) -> bool:
    """Look at the lanes that wait, and whether a delivery waits no more."""
    LaneRelease(desk.client).turn()
    return desk.waits(one.envelope.id) == "queued"


@pytest.fixture
def desk(client: redis.Redis) -> Desk:
    """A worker, and what it sees."""
    return Desk(client)


def with_spool(url: str, folder: Path, work: Callable[[Spool, Store, LaneAnnouncements], Awaitable[None]]) -> None:
    """Run *work* on the spool that a dead process has left in *folder*."""

    async def run() -> None:
        slot = slots.adopt(folder, 0)
        assert slot
        spool, store = Spool(folder, max_bytes=1 << 30, slot=slot), Store(connection.connect_async(url))
        await spool.open()
        try:
            await work(spool, store, LaneAnnouncements(spool, store, StoreClock()))
        finally:
            await spool.close()
            await store.close()

    asyncio.run(run())


def test_later_events_of_a_lane_wait_and_no_others(redis_url: str, desk: Desk, tmp_path: Path) -> None:
    """Before the lanes are listed those of all wait, then those of the lanes in the spool, until it is drained."""
    early, unordered = numbered(1), entry(b'{"Id":2}')
    spool_offline(tmp_path, [early, unordered])
    later, other, last = numbered(3), numbered(4, "other"), numbered(5)
    free = entry(b'{"Id":6}')

    async def work(spool: Spool, store: Store, order: LaneAnnouncements) -> None:
        order._notice_file()
        await order.say()
        keep_all(desk.client, later, other, free)
        assert [desk.waits(one.envelope.id) for one in (later, other, free)] == ["order", "order", "queued"]
        assert desk.unaccounted() == 0

        await order.prepare()
        wait_until(lambda: has_gone_on(desk, other), "the other lane to go on")
        keep_all(desk.client, last)
        assert [desk.waits(one.envelope.id) for one in (later, last)] == ["order", "order"]
        assert desk.unaccounted() == 0

        await drain(spool, store, alias_ms=60_000, order=order)

    with_spool(redis_url, tmp_path, work)
    handled = []
    while claims := desk.claim():
        handled += ids(claims)
        desk.end(*claims)
    lane = [one for one in handled if one in {early.envelope.id, later.envelope.id, last.envelope.id}]
    assert lane == [early.envelope.id, later.envelope.id, last.envelope.id]
    assert len(handled) == 6
    assert desk.client.exists(RECEIVERS) == 0
    assert desk.client.keys("fd:spooled:*") + desk.client.keys("fd:o:*") == []


def test_who_is_silent_is_waited_for_until_it_speaks(desk: Desk) -> None:
    """What is newer than what it said last may follow something in its spool; what is older does not."""
    calls = StoreClient(desk.client, "announce_spool")
    before, after = numbered(1), numbered(2, "other")
    done = before.envelope.id[:9]  # of the same millisecond as the second, or of an earlier one

    def say(lease_ms: int, kind: str, done: str) -> int:
        return int(calls.run("announce_spool", "here/000", calls.now_ms(), lease_ms, kind, done)[0])

    say(1, "n", done)
    said_ms = int((desk.client.hget(RECEIVERS, "here/000") or b"").split()[0])
    wait_until(lambda: calls.now_ms() > said_ms + 1, "silence")
    old = entry(b'{"Id":3}', at=1_000_000_000.0, terms=terms("third"))
    keep_all(desk.client, before, after, old)
    assert [desk.waits(one.envelope.id) for one in (before, after, old)] == ["order", "order", "queued"]

    wait_until(lambda: say(60_000, "n", done) or not desk.client.exists(LANES), "all to go on")
    assert [desk.waits(one.envelope.id) for one in (before, after)] == ["queued", "queued"]
    say(0, "x", "")
    assert desk.client.exists(RECEIVERS) == 0


def test_who_is_silent_for_twenty_seconds_in_which_the_store_was_there_is_forgotten(desk: Desk) -> None:
    """A store that was away forgets nobody: only time counts in which somebody was heard."""
    calls = StoreClient(desk.client, "announce_spool")
    calls.run("announce_spool", "gone/000", calls.now_ms() - 60_000, 180, "n", "0")
    one = numbered(1)
    keep_all(desk.client, one)

    up = int((desk.client.hget(RECEIVERS, "") or b"").split()[0])
    desk.client.hset(RECEIVERS, "", f"{up} {calls.now_ms() - 3_600_000}")  # nobody was heard for an hour
    assert not has_gone_on(desk, one)
    desk.client.hset(RECEIVERS, "", f"{up + 20_200} {calls.now_ms()}")
    wait_until(lambda: has_gone_on(desk, one), "the lane to go on")
    assert desk.client.exists(RECEIVERS, LANES) == 0


def test_what_was_said_earlier_and_comes_later_changes_nothing(desk: Desk) -> None:
    """A heartbeat that was on its way when the outage began."""
    calls = StoreClient(desk.client, "announce_spool")
    now_ms = calls.now_ms()
    calls.run("announce_spool", "here/000", now_ms, 180, "a", "")
    calls.run("announce_spool", "here/000", now_ms - 100, 180, "n", lowest(now_ms))
    assert (desk.client.hget(RECEIVERS, "here/000") or b"").split()[3:] == [b"a"]


def test_a_store_that_lost_the_list_of_lanes_gets_it_again(redis_url: str, desk: Desk, tmp_path: Path) -> None:
    """FLUSHALL, or a failover: no lane is let go on until the lanes are known again."""
    early, later = numbered(1), numbered(2)
    spool_offline(tmp_path, [early])

    async def work(spool: Spool, store: Store, order: LaneAnnouncements) -> None:
        await order.prepare()
        desk.client.flushall()
        await order.say()
        keep_all(desk.client, later)
        assert desk.waits(later.envelope.id) == "order"
        await drain(spool, store, alias_ms=60_000, order=order)

    with_spool(redis_url, tmp_path, work)
    desk.queue.begin_lease("ann", 60_000)
    (first,) = desk.claim()
    assert ids((first,)) == [early.envelope.id]


def test_a_debounced_event_waits_for_an_older_one_in_a_spool(redis_url: str, desk: Desk, tmp_path: Path) -> None:
    """The newest of a key is delivered last, and the one from the spool not at all."""
    early, later = (numbered(number, delay_ms=60_000, debounced=True) for number in (1, 2))
    spool_offline(tmp_path, [early])

    async def work(spool: Spool, store: Store, order: LaneAnnouncements) -> None:
        await order.prepare()
        keep_all(desk.client, later)
        assert desk.waits(later.envelope.id) == "order"
        await drain(spool, store, alias_ms=60_000, order=order)

    with_spool(redis_url, tmp_path, work)
    assert desk.status(early.envelope.id) == ("discarded", f"superseded by {later.envelope.id}")
    assert desk.waits(later.envelope.id) == "debounce"
    assert 0 < desk.due_in_s(later.envelope.id) <= 60


def test_two_deliveries_of_one_event_in_one_lane(desk: Desk) -> None:
    """The first leads although the event is not written yet when the second comes."""
    twin = entry(routes=["announce", "announce"], terms=terms("lane"))
    keep_all(desk.client, twin)
    (first,) = desk.claim()
    assert desk.unaccounted() == 0
    desk.end(first)
    (second,) = desk.claim()
    assert {first.delivery_id, second.delivery_id} == {f"{twin.envelope.id}-{number}" for number in (1, 2)}


def test_unordered_events_ask_nothing_of_receivers(client: redis.Redis) -> None:
    """They wait for nobody, and the store does not look."""
    client.config_resetstat()
    keep_all(client, *(entry(b'{"Id":%d}' % number) for number in range(20)))
    assert "cmdstat_hgetall" not in client.info("commandstats")
    assert "must_wait" in scripts.source("keep")


def test_events_in_order_are_given_up_in_order(start_valkey: StartValkey) -> None:
    """When the first is not kept in time, those behind it go to the spool at once, in their order."""
    server = start_valkey()
    submitted: list[str] = []
    told: list[str] = []
    behind: list[tuple[int, int]] = []

    def note(entry: Entry, _outcome: object, _context: object) -> None:
        told.append(entry.envelope.id)
        if len(told) == 1:
            so_far = len(submitted)
            asyncio.get_running_loop().call_soon(lambda: behind.append((len(told), so_far)))

    async def run() -> None:
        store = Store(connection.connect_async(server.url))
        committer = GroupCommit(store, patience_s=0.3, timeout_s=1.0, in_order=True)
        await committer.keep(numbered(0))
        server.freeze()
        for number in range(1, 41):
            one = numbered(number)
            submitted.append(one.envelope.id)
            committer.submit(one, note)
            await asyncio.sleep(0.02)
        await until(lambda: len(told) == len(submitted), "the answers")
        server.thaw()
        await committer.close()
        await store.close()

    asyncio.run(run())
    assert told == submitted
    ((together, expected),) = behind
    assert together == expected > 1


def test_a_spooled_event_is_answered_for_when_the_receiver_is_not_believed_any_more(
    redis_url: str, client: redis.Redis, tmp_path: Path
) -> None:
    """Whoever sends the next one to another receiver finds this one silent."""

    async def run() -> tuple[bytes | str, float]:
        spool, store, clock = (
            Spool(tmp_path, max_bytes=1 << 30),
            Store(connection.connect_async(redis_url)),
            StoreClock(),
        )
        await spool.open()
        health = StoreHealth()
        health.failed(StorageUnavailable("away"))
        order = ReceiverLanes(spool, store, clock, health, commit=GroupCommit(store))
        asked = clock.steady_now()
        clock.adjust(await store.time(timeout_s=5.0), asked)
        await order.say()
        one = numbered(1)
        order.spools(one)
        assert (await order.put_by(one)).status == "spooled"
        answered = await store.time(timeout_s=5.0)
        await spool.close()
        await store.close()
        return client.hget(RECEIVERS, spool.name) or b"", answered

    said, answered = asyncio.run(run())
    at_ms, lease_ms, _, kind, _ = said.split()
    assert kind == b"n"
    assert answered * 1_000 > int(at_ms) + int(lease_ms)
