"""A store that comes back empty is told of once, by whoever knew it, until somebody acknowledges it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from receiver.observation.alerts.alert_monitor import AlertMonitor
from receiver.storage.accounting import data_loss
from receiver.storage.accounting.data_loss import LossDetector
from receiver.storage.accounting.maintenance import Maintenance
from receiver.storage.redis import connection, keys
from tests.conftest import StartValkey
from tests.receiver.storage.keep.test_keep_or_spool import numbered
from tests.support.events import keep_all
from tests.support.processes import free_port, run, wait_until


@pytest.fixture
def two(redis_url: str) -> Iterator[tuple[redis.Redis, redis.Redis]]:
    """Two clients, as two machines have them."""
    with connection.connect(redis_url) as one, connection.connect(redis_url) as other:
        yield one, other


def _watch(client: redis.Redis, folder: Path, address: str = "redis://store/0") -> LossDetector:
    folder.mkdir(exist_ok=True)
    return LossDetector(client, folder, address)


def test_a_new_store_and_a_new_process_are_no_loss(client: redis.Redis, tmp_path: Path) -> None:
    """Nor is one that is there already, or a receiver that is pointed at another one."""
    assert _watch(client, tmp_path / "a").turn() == ()
    assert _watch(client, tmp_path / "b").turn() == ()
    client.flushall()
    assert _watch(client, tmp_path / "c").turn() == ()
    assert _watch(client, tmp_path / "a", "redis://another/0").turn() == ()


def test_what_was_lost_is_told_once_until_it_is_acknowledged(
    redis_url: str, two: tuple[redis.Redis, redis.Redis], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With what the last audit had counted; by processes that ran, and by one that was away meanwhile."""
    client, other = two
    keep_all(client, *numbered(7))
    Maintenance(client).turn()
    first, second = _watch(client, tmp_path / "a"), _watch(other, tmp_path / "b")
    assert first.turn() == second.turn() == _watch(client, tmp_path / "away").turn() == ()

    client.flushall()

    (loss,) = first.turn()
    assert (loss.events, loss.in_flight) == (7, 7)
    assert second.turn() == first.turn() == (loss,)
    assert capfd.readouterr().out.count("store.lost") == 1
    settings = {"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_DATA_DIR": str(tmp_path / "cli")}
    audited, listed = (run(*command, settings=settings) for command in (["audit"], ["alerts", "--json"]))
    assert audited.status == 1
    assert "had counted 7 events in it, with 7 deliveries in flight" in audited.err
    (alert,) = [json.loads(line) for line in listed.out.splitlines()]
    assert (alert["kind"], alert["subject"]) == ("lost", loss.mark)

    known = run("alerts", "--acknowledge", settings=settings)

    assert (known.status, known.out) == (0, "Nothing is wrong.\n")
    assert first.turn() == second.turn() == _watch(client, tmp_path / "away").turn() == ()
    (act,) = [json.loads(line) for line in run("acts", "--json", settings=settings).out.splitlines()]
    assert (act["what"], act["detail"]) == ("loss.acknowledge", {"losses": 1, "events": 7})
    assert run("audit", settings=settings).status == 0
    client.flushall()
    assert len(first.turn()) == 1, "another time is another loss"


def test_a_restart_and_a_failover_are_no_loss(start_valkey: StartValkey, tmp_path: Path) -> None:
    """Also when the replica that takes over lacks what came last."""
    port = free_port()
    primary = start_valkey(port=port)
    with primary.client() as client:
        assert _watch(client, tmp_path / "a").turn() == ()
        keep_all(client, *numbered(3))
    primary.kill()
    primary.start_again()
    with primary.client() as client, start_valkey("--replicaof", f"127.0.0.1 {port}").client() as replica:
        assert _watch(client, tmp_path / "a").turn() == ()
        wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "the replica")
        replica.replicaof("no", "one")
        keep_all(client, *numbered(3, 100))

        assert _watch(replica, tmp_path / "a").turn() == ()


def test_a_store_that_comes_back_older_has_lost_what_came_since(start_valkey: StartValkey, tmp_path: Path) -> None:
    """A server without append-only that starts with its last snapshot; told once, by whoever looks first."""
    server = start_valkey("--appendonly", "no")
    with server.client() as client:
        _watch(client, tmp_path / "a").turn()
        _watch(client, tmp_path / "b").turn()
        client.decrby(keys.LOOKED, 61_000)  # that long ago the snapshot was written
        client.save()
    server.kill()
    server.start_again()
    with server.client() as client:
        (loss,) = _watch(client, tmp_path / "a").turn()

        assert "has lost what came since 20" in loss.sentence
        assert _watch(client, tmp_path / "b").turn() == (loss,)
        data_loss.acknowledge(client)
        assert _watch(client, tmp_path / "b").turn() == ()


def test_a_full_store_is_looked_at_all_the_same(start_valkey: StartValkey, tmp_path: Path) -> None:
    """It takes no writes: neither a mark nor a look is noted, and nobody takes it for lost later."""
    with start_valkey().client() as client:
        client.config_set("maxmemory", 1)
        watch = _watch(client, tmp_path)
        assert watch.turn() == ()
        client.config_set("maxmemory", 0)
        assert watch.turn() == ()
        client.config_set("maxmemory", 1)
        assert watch.turn() == watch.turn() == ()


def test_a_store_that_took_no_writes_for_a_while_has_lost_nothing(start_valkey: StartValkey, tmp_path: Path) -> None:
    """As while its replicas are away: a look that it could not note is not remembered as noted."""
    server = start_valkey()
    with server.client() as client:
        watch = _watch(client, tmp_path)
        watch.turn()
        minutes_ago = int(client.time()[0]) * 1_000 - 300_000
        client.set("fd:mark:looked", minutes_ago)
        watch = _watch(client, tmp_path / "new")
        client.config_set("min-replicas-to-write", 1)
        assert watch.turn() == watch.turn() == ()
        assert client.get("fd:mark:looked") == str(minutes_ago).encode()

        client.config_set("min-replicas-to-write", 0)

        assert watch.turn() == watch.turn() == ()


def test_the_sentry_of_workers_and_registrar_watches(client: redis.Redis, tmp_path: Path) -> None:
    """So that it is noticed where no receiver runs."""
    monitor = AlertMonitor(client, None, patience_ms=1, routes=tuple, losses=_watch(client, tmp_path))
    monitor.turn()
    client.flushall()
    monitor.turn()

    assert len(data_loss.unacknowledged(client)) == 1


def test_what_cannot_be_read_is_no_loss(client: redis.Redis, tmp_path: Path) -> None:
    """A torn file of the data directory, and a field that somebody wrote by hand."""
    (tmp_path / "store.json").write_bytes(b'{"mark": "x')
    client.hset("fd:losses", mapping={"mark": "no JSON", "other": "[]"})

    assert _watch(client, tmp_path).turn() == ()
