"""One holder at a time, found out when it is not; and the budget that all processes share."""

import threading
import time

import pytest
import redis

from receiver.core.errors import LockLost, StorageUnavailable
from receiver.storage.redis import connection
from receiver.storage.shared.lock import Lock
from receiver.storage.shared.shared_call_budget import SharedBudget
from tests.conftest import StartValkey
from tests.support.processes import wait_until


def test_one_holds_and_the_other_is_told_who(client: redis.Redis) -> None:
    """And gets it when it is given back, under a higher fencing token."""
    first, second = Lock(client, "x"), Lock(client, "x")

    assert first.take() is None
    holder = second.take()
    token = first.token
    first.free()

    assert holder is not None
    assert second.take() is None
    assert second.token > token
    second.free()


def test_it_is_kept_while_the_holder_lives(client: redis.Redis) -> None:
    """A call of Nexudus may take longer than the lock lasts."""
    with Lock(client, "x", lease_ms=3_000) as lock:
        lock.take()
        for _ in range(2):
            client.pexpire("fd:lock:x", 2_000)
            wait_until(lambda: client.pttl("fd:lock:x") > 2_000, "its whole length again")

        lock.check()


def test_whoever_slept_through_it_finds_out(client: redis.Redis) -> None:
    """The old holder may not write, and freeing does not hurt the new one."""
    old, new = Lock(client, "x"), Lock(client, "x")
    old.take()
    client.delete("fd:lock:x")
    new.take()

    with pytest.raises(LockLost, match=r"'x' is no longer ours \(.+ has it now\)"):
        old.check()
    old.free()

    new.check()
    new.free()


def test_a_lock_that_was_never_taken_protects_nothing(client: redis.Redis) -> None:
    """Asking it is an error."""
    with pytest.raises(LockLost, match="no longer ours"):
        Lock(client, "x").check()


def test_waiting_ends(client: redis.Redis) -> None:
    """Told once who has it; late is an error."""
    told: list[str] = []
    with Lock(client, "x") as lock:
        lock.take()

        with pytest.raises(StorageUnavailable, match="still holds the lock 'x' after 0.1 s"):
            Lock(client, "x").wait(0.1, waiting=told.append, poll_s=0.01)

    assert len(told) == 1


def test_without_redis_it_says_so(start_valkey: StartValkey) -> None:
    """Not held means not held."""
    server = start_valkey()
    with connection.connect(server.url) as client:
        lock = Lock(client, "x")
        lock.take()
        server.kill()

        with pytest.raises(StorageUnavailable, match="Redis: ConnectionError"):
            lock.check()
        lock.free()
        with pytest.raises(StorageUnavailable, match="Redis: ConnectionError"):
            SharedBudget(client, (1, 1), (1, 1), first=True).take(write=False)


def test_processes_share_one_budget(redis_url: str) -> None:
    """Two of them, ten calls at once and forty a second: whoever comes, no more are allowed."""
    made: list[float] = []

    def use() -> None:
        with connection.connect(redis_url) as client:
            budget = SharedBudget(client, (10, 40.0), (10, 40.0), first=False)
            while len(made) < 40:
                budget.take(write=True)
                made.append(time.monotonic())

    threads = [threading.Thread(target=use) for _ in range(2)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 40 <= len(made) <= 10 + 40 * (max(made) - started) + 1


def test_writes_are_counted_apart(client: redis.Redis) -> None:
    """A call that only reads does not wait for the writes' bucket."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        client.delete("fd:nexudus:budget")

    budget = SharedBudget(client, (100, 100.0), (1, 0.01), first=True, sleep=sleep)
    budget.take(write=True)
    budget.take(write=False)
    assert slept == []

    budget.take(write=True)

    assert len(slept) == 1
    assert 50 < slept[0] <= 101


@pytest.mark.parametrize(
    ("limit", "kind", "slot_s", "slots"), [("calls_per_hour", "c", 60, 60), ("writes_per_day", "w", 900, 96)]
)
def test_an_hour_of_calls_and_a_day_of_writes_are_counted(
    client: redis.Redis, limit: str, kind: str, slot_s: int, slots: int
) -> None:
    """By everybody, also where the buckets were forgotten meanwhile; what is older counts no more."""

    class Waited(Exception):
        pass

    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        raise Waited

    long = "fd:nexudus:budget:long"
    budget = SharedBudget(client, (100, 100.0), (100, 100.0), first=True, sleep=sleep, **{limit: 3})
    reader = SharedBudget(client, (100, 100.0), (100, 100.0), first=False, sleep=sleep)
    for _ in range(3):
        budget.take(write=True)
    client.delete("fd:nexudus:budget")
    with pytest.raises(Waited):
        budget.take(write=True)
    reader.take(write=False)

    assert slots * slot_s <= pauses[0] <= (slots + 1) * slot_s
    assert client.ttl(long) > 86_400
    slot = max(int(name[1:]) for name in client.hkeys(long) if name[:1] == kind.encode())
    client.delete(long)
    client.hset(long, f"{kind}{slot - slots - 2}", 3)
    budget.take(write=True)
    counted = {name: int(count) for name, count in client.hgetall(long).items() if name[:1] == kind.encode()}
    assert list(counted.values()) == [1], "what is over is forgotten"


def test_the_registrar_goes_before_everyone_else(client: redis.Redis) -> None:
    """While it waits for a call, a handler that asks is told to wait longer than it."""
    pauses: list[tuple[str, float]] = []

    class Waited(Exception):
        pass

    def sleep(who: str, seconds: float) -> None:
        pauses.append((who, seconds))
        raise Waited

    registrar = SharedBudget(client, (1, 0.1), (1, 0.1), first=True, sleep=lambda s: sleep("registrar", s))
    handler = SharedBudget(client, (1, 0.1), (1, 0.1), first=False, sleep=lambda s: sleep("handler", s))
    handler.take(write=False)
    for budget in (registrar, handler):
        with pytest.raises(Waited):
            budget.take(write=False)

    (_, first), (_, second) = pauses
    assert second > first
