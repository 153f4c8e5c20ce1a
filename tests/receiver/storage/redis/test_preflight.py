"""A server that would lose events is told apart from one that keeps them, on real servers."""

import re
from collections.abc import Iterator

import pytest
import redis

from receiver.core.errors import StorageUnavailable
from receiver.observation import status_snapshot
from receiver.storage.redis import connection, preflight
from tests.conftest import StartValkey
from tests.support.processes import free_port


def test_a_fit_server_has_no_problems(client: redis.Redis) -> None:
    """Append-only, noeviction, one primary."""
    assert preflight.look(client) == preflight.Fitness((), ())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--appendonly", "no"),
            "the append-only file is off: a restart of the server loses events; set appendonly yes",
        ),
        (("--maxmemory-policy", "allkeys-lru"), "maxmemory-policy is allkeys-lru: .*; set noeviction"),
        (("--appendfsync", "no"), "appendfsync is no: .*; set everysec or always"),
        (("--cluster-enabled", "yes"), "the server is part of a cluster"),
        (("--replicaof", "127.0.0.1 1"), "the server is a read-only replica; name its primary, or the sentinels"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_each_unfitness_is_one_sentence_with_its_remedy(
    start_valkey: StartValkey, options: tuple[str, ...], sentence: str
) -> None:
    """Only the one thing that is wrong is told."""
    started = start_valkey(*options, "--cluster-port", str(free_port()), port=free_port())
    with started.client() as client:
        (problem,) = preflight.look(client).wrong

    assert re.match(sentence, problem)


def test_what_is_changed_while_the_server_runs_is_seen(start_valkey: StartValkey) -> None:
    """By whoever looks at the store as a whole; also by a user who may not ask for the configuration."""
    with start_valkey().client() as client:
        assert status_snapshot.look(client).unfit == {}
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
        with _as_user(client, "+@all", "-config") as limited:
            assert list(status_snapshot.look(limited).unfit) == ["append-only", "eviction"]
        with _as_user(client, "+@all", "-info") as limited:
            assert status_snapshot.look(limited).unfit == {}


def _as_user(client: redis.Redis, *rules: str) -> redis.Redis:
    """Return a client of the same server, of a user who has these rights only."""
    client.acl_setuser("limited", enabled=True, nopass=True, keys="*", commands=list(rules))
    url = str(client.connection_pool.connection_kwargs["path"])
    return connection.connect(f"unix://limited:x@{url}")


@pytest.fixture
def limited(client: redis.Redis) -> Iterator[redis.Redis]:
    """The same server; whatever users a test makes are gone afterwards."""
    yield client
    client.acl_deluser("limited")


def test_what_cannot_be_found_out_is_said_too(limited: redis.Redis) -> None:
    """Managed servers forbid CONFIG: the rest is checked by INFO, and appendfsync is left to the operator."""
    with _as_user(limited, "+@all", "-config") as client:
        fitness = preflight.look(client)

    (sentence,) = fitness.unknown
    assert fitness.wrong == ()

    assert sentence.startswith("could not find out appendfsync, because CONFIG is not allowed (")
    assert sentence.endswith("; make sure that it is everysec or always")


def test_without_info_nothing_is_taken_for_granted(limited: redis.Redis) -> None:
    """Version, append-only and eviction are named as unknown."""
    with _as_user(limited, "+@all", "-info") as client:
        (sentence,) = preflight.look(client).unknown

    assert sentence.startswith("could not find out version, append-only file, eviction policy and role, because INFO")


def test_a_user_without_scripts_is_told(limited: redis.Redis) -> None:
    """Everything Frontdesk writes it writes by scripts."""
    with _as_user(limited, "+@all", "-@scripting") as client:
        (sentence,) = preflight.look(client).wrong

    assert sentence.startswith("Lua scripts are refused (")


def test_no_server_is_one_sentence() -> None:
    """Where, what, remedy; never a traceback."""
    with (
        connection.connect(f"redis://127.0.0.1:{free_port()}") as client,
        pytest.raises(StorageUnavailable, match="^the server does not answer: .*refused.*FRONTDESK_REDIS_URL$"),
    ):
        preflight.look(client)
