"""The sweeper repairs, expires and reports, one at a time, and not more often than it should."""

import threading

import pytest
import redis

from receiver.core.errors import StorageUnavailable
from receiver.process.background import PeriodicTask
from receiver.storage.accounting.audit import Audit
from receiver.storage.accounting.maintenance import Maintenance, MaintenanceTurn, last_result
from receiver.storage.redis import connection, keys
from receiver.storage.shared.lock import Lock
from tests.conftest import StartValkey
from tests.support.deliveries import claim_all
from tests.support.events import entry, keep_all
from tests.support.processes import wait_until


def sweeper(client: redis.Redis, *, interval_ms: int = 0) -> Maintenance:
    """A sweeper that does not rest."""
    return Maintenance(client, interval_ms=interval_ms)


def test_a_turn_repairs_and_says_so(client: redis.Redis) -> None:
    """A lost job runs again, and the answer stands in the store for every receiver."""
    keep_all(client, entry())
    client.delete("rq:queue:default")

    assert sweeper(client).turn() == MaintenanceTurn(repaired=1)
    assert len(claim_all(client)) == 1
    found = last_result(client)
    assert found is not None
    assert (found.unaccounted, found.repaired, found.offenders) == (0, 1, ())
    assert Audit(client).run(full=True).unaccounted == 0


def test_what_cannot_be_repaired_is_reported(client: redis.Redis) -> None:
    """An event whose state is gone stays unaccounted for, by name."""
    gone = entry()
    keep_all(client, gone)
    client.delete(keys.state(gone.envelope.id))

    assert sweeper(client).turn() == MaintenanceTurn(1, (gone.envelope.id,))
    found = last_result(client)
    assert found is not None
    assert (found.unaccounted, found.offenders) == (1, (gone.envelope.id,))


def test_a_turn_too_early_does_nothing(client: redis.Redis) -> None:
    """Whoever made the earlier one."""
    keep_all(client, entry())
    assert sweeper(client, interval_ms=60_000).turn().by is None
    client.delete("rq:queue:default")

    assert sweeper(client, interval_ms=60_000).turn() == MaintenanceTurn(by="an earlier turn")
    assert claim_all(client) == ()


def test_only_one_sweeps_at_a_time(client: redis.Redis) -> None:
    """The others are told who does."""
    with Lock(client, "sweeper") as lock:
        assert lock.take() is None

        swept = sweeper(client).turn()

    assert swept.by is not None
    assert sweeper(client).turn().by is None


def test_a_thread_sweeps_until_it_is_stopped(client: redis.Redis) -> None:
    """And leaves no lock and no thread behind."""
    thread = PeriodicTask("sweeper", sweeper(client).turn, every_s=0.01)
    thread.start()

    wait_until(lambda: last_result(client), "the first turn")
    keep_all(client, entry())
    client.delete("rq:queue:default")
    wait_until(lambda: client.llen("rq:queue:default"), "the repair")
    thread.stop(30)

    assert "sweeper" not in {one.name for one in threading.enumerate()}
    assert client.exists("fd:lock:sweeper") == 0


def test_a_store_that_is_away_is_waited_for(start_valkey: StartValkey) -> None:
    """The thread goes on when it is back."""
    server = start_valkey()
    with connection.connect(server.url, timeout_s=2) as client:
        keep_all(client, entry())
        one = sweeper(client)
        server.kill()
        with pytest.raises(StorageUnavailable):
            one.turn()
        begun: list[None] = []

        def turn() -> object:
            begun.append(None)
            return one.turn()

        thread = PeriodicTask("sweeper", turn, every_s=0.01)
        thread.start()
        wait_until(lambda: len(begun) > 3, "a few vain turns")

        server.start_again()

        wait_until(lambda: last_result(client), "a turn")
        thread.stop(30)
