"""Two neighbouring versions of the layout work on one store; whoever is further away leaves it alone."""

from pathlib import Path

import pytest
import redis

from receiver.core.errors import LayoutUnknown
from receiver.storage.redis import keys, schema_version
from receiver.storage.spool import slots
from tests.conftest import StartFrontdesk
from tests.support.events import entry, keep_all
from tests.support.processes import free_port, run


def test_an_empty_store_takes_the_version_of_the_first(client: redis.Redis) -> None:
    """Whatever that is."""
    schema_version.settle(client, version=7)

    assert client.get(keys.LAYOUT) == b"7"


@pytest.mark.parametrize(("mine", "then"), [(4, b"5"), (5, b"5"), (6, b"6")])
def test_neighbours_work_side_by_side(client: redis.Redis, mine: int, then: bytes) -> None:
    """The store remembers the newest of them: going back one version leaves it where it was."""
    client.set(keys.LAYOUT, 5)

    schema_version.settle(client, version=mine)

    assert client.get(keys.LAYOUT) == then


@pytest.mark.parametrize(
    ("found", "mine", "remedy"),
    [("5", 3, "run the newer"), ("5", 7, "one version after the other"), ("what", 3, "run the newer")],
)
def test_others_leave_it_alone(client: redis.Redis, found: str, mine: int, remedy: str) -> None:
    """One sentence: what is there, what is known, what to do."""
    client.set(keys.LAYOUT, found)

    with pytest.raises(LayoutUnknown, match=rf"^fd:layout: the store has layout '{found}'.* {mine - 1} to .*{remedy}"):
        schema_version.settle(client, version=mine)

    assert client.get(keys.LAYOUT) == found.encode()


def test_the_first_release_wrote_no_version(client: redis.Redis) -> None:
    """Its stores have events; they are of layout 1."""
    keep_all(client, entry())
    client.delete(keys.LAYOUT)

    schema_version.settle(client, version=2)
    assert client.get(keys.LAYOUT) == b"2"

    client.delete(keys.LAYOUT)
    with pytest.raises(LayoutUnknown, match="'1'"):
        schema_version.settle(client, version=3)


def test_workers_and_writing_commands_refuse_a_stranger_s_store(redis_url: str, client: redis.Redis) -> None:
    """With that one sentence; looking is allowed."""
    client.set(keys.LAYOUT, keys.LAYOUT_VERSION + 2)
    settings = {"FRONTDESK_REDIS_URL": redis_url}

    for command in (["work", "--burst"], ["replay", "--status", "dead", "--yes"], ["audit", "--repair"]):
        ran = run(*command, settings=settings)
        assert (ran.status, ran.err.count("fd:layout: the store has layout")) == (1, 1), ran
    assert run("audit", settings=settings).status == 0


def test_a_receiver_spools_rather_than_write_into_it(
    redis_url: str, client: redis.Redis, frontdesk: StartFrontdesk, tmp_path: Path
) -> None:
    """Nothing is refused and nothing is lost: the next version drains what it kept."""
    client.set(keys.LAYOUT, keys.LAYOUT_VERSION + 2)
    port = str(free_port())
    settings = {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_PORT": port,
        "FRONTDESK_URL_KEYS": "a key",
        "FRONTDESK_WEBHOOK_SECRETS": "hush",
    }
    receiver = frontdesk("serve", settings=settings)
    receiver.wait_for_http(f"http://127.0.0.1:{port}/readyz")

    sent = run("send", "BookingCreate", settings=settings)

    assert (sent.status, "spooled" in sent.out) == (0, True), sent
    receiver.wait_for("fd:layout: the store has layout.*store.unavailable")
    assert client.keys("fd:e:*") == []
    assert slots.used(slots.folder_of(tmp_path / "var")) == [0]


def test_a_store_that_lost_everything_is_of_those_who_run(client: redis.Redis) -> None:
    """They do not ask again, and whoever starts later is to find their version, not that of the first release."""
    schema_version.settle(client)
    client.flushall()

    keep_all(client, entry())
    schema_version.settle(client)

    assert client.get(keys.LAYOUT) == str(keys.LAYOUT_VERSION).encode()
