"""Group commit on a real server: many in one call, nobody answered early or never, a late reply harms no neighbour."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
import redis

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.storage.keep.group_commit import GroupCommit
from receiver.storage.keep.store import Store
from receiver.storage.model.entries import Entry, Receipt
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis import connection
from tests.conftest import StartValkey
from tests.support.events import entry
from tests.support.processes import free_port, wait_until

T = TypeVar("T")
PATIENCE_S = 0.3


def committing(
    url: str,
    work: Callable[[GroupCommit], Awaitable[T]],
    *,
    patience_s: float = 5.0,
    timeout_s: float = 5.0,
    replicas: int = 0,
) -> T:
    """Run *work* with a committer, and close it."""

    async def run() -> T:
        store = Store(connection.connect_async(url), replicas=replicas)
        committer = GroupCommit(store, patience_s=patience_s, timeout_s=timeout_s)
        try:
            return await work(committer)
        finally:
            await committer.close()
            await store.close()

    return asyncio.run(run())


async def outcome(committer: GroupCommit, one: Entry) -> Receipt | str:
    """The receipt, or why there is none."""
    try:
        return await committer.keep(one)
    except StorageUnavailable as error:
        return str(error)


def test_events_of_one_turn_share_a_call(redis_url: str, client: redis.Redis) -> None:
    """A thousand at once take a handful of calls, and each is answered with its own receipt."""
    many = [entry(b"%d" % number) for number in range(1_000)]
    client.config_resetstat()

    async def work(committer: GroupCommit) -> list[Receipt]:
        return list(await asyncio.gather(*(committer.keep(one) for one in many)))

    client.config_resetstat()
    receipts = committing(redis_url, work)

    assert receipts == [Receipt(one.envelope.id, "accepted") for one in many]
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] <= 6


def test_few_wait_for_the_call_before_theirs(start_valkey: StartValkey) -> None:
    """Three that come one after another while a call is on its way share the next one; a fourth sends them off."""
    server = start_valkey()

    async def work(committer: GroupCommit) -> int:
        await committer.keep(entry())
        with server.client() as client:
            client.config_resetstat()
        server.freeze()
        kept = []
        for number in range(1 + 4 + 3):
            kept.append(asyncio.ensure_future(committer.keep(entry(b"%d" % number))))
            await asyncio.sleep(0.01)
        server.thaw()
        await asyncio.gather(*kept)
        with server.client() as client:
            return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])

    assert committing(server.url, work) == 3


def test_a_full_quarantine_refuses_junk_and_nothing_else(start_valkey: StartValkey) -> None:
    """A tenth of the memory is for junk, a quarter of that for one hook; the event in the same call is kept."""
    server = start_valkey("--maxmemory", "8mb")
    junk = [entry(os.urandom(80_000), quarantine="no JSON") for _ in range(4)]

    async def work(committer: GroupCommit) -> list[object]:
        keeps = [committer.keep(one) for one in (*junk, entry())]
        return list(await asyncio.gather(*keeps, return_exceptions=True))

    results = committing(server.url, work)

    assert [type(result) for result in results] == [Receipt] * 2 + [RequestRefused] * 2 + [Receipt]


def test_a_late_reply_is_not_waited_for_but_the_batch_is_kept(start_valkey: StartValkey) -> None:
    """Those who wait are told in time; Redis carries the call out when it wakes; later events go through."""
    server = start_valkey()
    late, later = [entry(b"%d" % number) for number in range(5)], entry(b"later")

    async def work(committer: GroupCommit) -> tuple[list[Receipt | str], Receipt]:
        await committer.keep(entry(b"first"))
        server.freeze()
        try:
            told = await asyncio.gather(*(outcome(committer, one) for one in late))
        finally:
            server.thaw()
        return list(told), await committer.keep(later)

    told, receipt = committing(server.url, work, patience_s=PATIENCE_S, timeout_s=20)

    assert told == ["Redis has not answered within 300 ms"] * 5
    assert receipt == Receipt(later.envelope.id, "accepted")
    with server.client() as client:
        archive = EventReader(client)
        wait_until(lambda: len(archive.many([one.envelope.id for one in late])) == 5, "the late batch")


def test_what_nobody_waits_for_any_more_is_not_sent(start_valkey: StartValkey) -> None:
    """Behind six calls that hang, events wait in line; once they were given up they are somebody else's."""
    server = start_valkey()
    many = [entry(b"%d" % number) for number in range(1_700)]

    async def work(committer: GroupCommit) -> list[Receipt | str]:
        await committer.keep(entry(b"first"))
        server.freeze()
        try:
            told = list(await asyncio.gather(*(outcome(committer, one) for one in many)))
        finally:
            server.thaw()
        await committer.keep(entry(b"last"))
        with server.client() as client:
            await asyncio.to_thread(wait_until, lambda: client.llen("rq:queue:default") >= 1_538, "six batches of 256")
            await committer.keep(entry(b"and another"))
            assert client.llen("rq:queue:default") == 1_539
        return told

    told = committing(server.url, work, patience_s=PATIENCE_S, timeout_s=20)

    assert set(told) == {"Redis has not answered within 300 ms"}


def test_calls_that_hang_are_few(start_valkey: StartValkey) -> None:
    """They hold a connection each; beyond eight, events are refused at once."""
    server = start_valkey()

    async def work(committer: GroupCommit) -> str:
        server.freeze()
        try:
            for number in range(100):
                told = await outcome(committer, entry(b"%d" % number))
                if "last 8 calls" in str(told):
                    return str(told)
        finally:
            server.thaw()
        return ""

    assert committing(server.url, work, patience_s=0.05, timeout_s=20)


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), "OutOfMemory"),
        (("REPLICAOF", "127.0.0.1", "1"), "ReadOnly"),
        (("CONFIG", "SET", "min-replicas-to-write", "1"), "NOREPLICAS"),
    ],
)
def test_a_server_that_refuses_writes_is_unavailable(
    start_valkey: StartValkey, break_it: tuple[str], said: str
) -> None:
    """Every way of refusing is told apart in the log and means the same: not kept."""
    server = start_valkey()
    with server.client() as admin:
        admin.execute_command(*break_it)

    told = committing(server.url, lambda committer: outcome(committer, entry()))

    assert isinstance(told, str)
    assert said in told


def test_a_server_that_restarts_is_used_again(start_valkey: StartValkey) -> None:
    """Connections that died with it are replaced; the script is loaded again."""
    server = start_valkey()
    before, after = entry(b"before"), entry(b"after")

    async def work(committer: GroupCommit) -> Receipt:
        await committer.keep(before)
        await asyncio.to_thread(server.kill)
        assert isinstance(await outcome(committer, entry(b"meanwhile")), str)
        await asyncio.to_thread(server.start_again)
        return await committer.keep(after)

    assert committing(server.url, work).status == "accepted"
    with server.client() as client:
        assert len(EventReader(client).many([before.envelope.id, after.envelope.id])) == 2


class TestReplicated:
    """A write counts once the replicas have it."""

    def test_it_is_kept_when_the_replica_has_it(self, start_valkey: StartValkey) -> None:
        """The answer comes after the replica's confirmation: it is there."""
        port = free_port()
        primary = start_valkey("--repl-diskless-sync-delay", "0", port=port)
        replica = start_valkey("--replicaof", f"127.0.0.1 {port}")
        with replica.client() as client:
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", "the replica's link")
            one = entry()

            receipt = committing(primary.url, lambda committer: committer.keep(one), replicas=1)

            assert receipt == Receipt(one.envelope.id, "accepted")
            assert client.exists(f"fd:d:{one.envelope.id}") == 1

    def test_without_the_replica_it_is_not_kept(self, start_valkey: StartValkey) -> None:
        """It may be in the primary; but that is not what was asked for."""
        server = start_valkey()

        told = committing(server.url, lambda committer: outcome(committer, entry()), replicas=1, patience_s=2)

        assert told == "0 of 1 replicas have confirmed within 1000 ms"

    def test_what_is_kept_already_has_to_be_confirmed_too(self, start_valkey: StartValkey) -> None:
        """The batch that kept it went through another connection, and no replica has it yet: to keep it again writes
        nothing, and must not pass for confirmed."""
        port = free_port()
        primary = start_valkey("--repl-diskless-sync-delay", "0", port=port)
        replica = start_valkey("--replicaof", f"127.0.0.1 {port}")
        first, again = entry(b"same"), entry(b"same")

        async def work(committer: GroupCommit) -> tuple[Receipt | str, Receipt | str]:
            await committer.keep(entry(b"another"))  # now this connection has something confirmed
            replica.freeze()
            other = Store(connection.connect_async(primary.url), replicas=1)
            with pytest.raises(StorageUnavailable):
                await other.keep([first], timeout_s=5, confirm_ms=1)
            await other.close()
            return await outcome(committer, first), await outcome(committer, again)

        with primary.client() as client:
            wait_until(lambda: "online" in str(client.info("replication").get("slave0")), "the replica's link")
        told = committing(primary.url, work, replicas=1, patience_s=2)

        assert told == ("0 of 1 replicas have confirmed within 1000 ms",) * 2
