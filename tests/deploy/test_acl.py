"""The least that a user of the store must be allowed (deploy/store.acl): all of Frontdesk runs with it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from receiver.storage.redis import connection
from tests.conftest import StartFrontdesk, StartValkey
from tests.support.processes import free_port, run, wait_until

RULES = (Path(__file__).parents[2] / "deploy" / "store.acl").read_text().split()
ROUTES = "routes: [{action: '*', handler: log, order: entity, limit: 100/s}]"


class Store:
    """A server and the URL of a user who may do no more than the file says, less what is *denied*."""

    def __init__(self, admin: redis.Redis, port: int) -> None:
        self.admin = admin
        self.url = f"redis://frontdesk:PASSWORD@127.0.0.1:{port}/0"

    def allow(self, *denied: str) -> None:
        """Make the user anew."""
        assert RULES[:2] == ["user", "frontdesk"]
        self.admin.execute_command("ACL", "SETUSER", "frontdesk", "reset", *RULES[2:], *denied)  # type: ignore[no-untyped-call]

    def refused(self) -> list[str]:
        """What the server has refused to the user: commands, keys or channels."""
        return [str(entry["object"]) for entry in self.admin.acl_log() if entry["username"] == "frontdesk"]


@pytest.fixture
def store(start_valkey: StartValkey) -> Iterator[Store]:
    """With the user made."""
    port = free_port()
    with connection.connect(start_valkey(port=port).url) as admin:
        made = Store(admin, port)
        made.allow()
        yield made


def test_everything_runs_with_it(store: Store, frontdesk: StartFrontdesk, tmp_path: Path) -> None:
    """Receiver, workers, console's and operator's commands; and the server refuses nothing of it."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    settings = {
        "FRONTDESK_REDIS_URL": store.url,
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
        "FRONTDESK_PORT": str(free_port()),
        "FRONTDESK_URL_KEYS": "a key that is long enough",
    }
    checked = run("check", "--online", "--json", settings=settings)
    receiver, work = frontdesk("serve", settings=settings), frontdesk("work", settings=settings)
    receiver.wait_for_http(f"http://127.0.0.1:{settings['FRONTDESK_PORT']}/readyz")
    assert run("send", "BookingCreate", "--count", "5", settings=settings).status == 0

    def statuses() -> list[str]:
        listed = run("events", "--json", settings=settings).out
        return [json.loads(line)["status"] for line in listed.splitlines()]

    wait_until(lambda: statuses() == ["succeeded"] * 5, lambda: f"{statuses()} {store.refused()} {work}")
    commands = (["audit", "--full"], ["alerts"], ["acts"], ["routes"], ["pause", "log"], ["resume", "log"], ["drain"])
    for command in (*commands, ["replay", "--since", "1h", "--yes"], ["erase", "--coworker", "1", "--yes"]):
        ran = run(*command, settings=settings)
        assert ran.status == 0, (command, ran)
    receiver.wait_for_http(f"http://127.0.0.1:{settings['FRONTDESK_PORT']}/metrics")
    assert (work.stop(), receiver.stop()) == (0, 0)

    assert checked.status == 0, checked
    assert json.loads(checked.out)["problems"] == []
    assert store.refused() == []


def test_a_store_without_config_passes_with_a_warning(store: Store, tmp_path: Path) -> None:
    """As every managed one is: what cannot be found out is named, and nothing else is wrong."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    settings = {
        "FRONTDESK_REDIS_URL": store.url,
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
        "FRONTDESK_DATA_DIR": str(tmp_path),
    }
    store.allow("-config|get")

    checked = run("check", "--online", "--json", settings=settings)

    told = json.loads(checked.out)
    assert (checked.status, told["ok"], told["problems"]) == (0, True, [])
    (warning,) = [one for one in told["warnings"] if "appendfsync" in one]
    assert ": could not find out appendfsync, because CONFIG is not allowed (" in warning


def test_nothing_else_is_allowed(store: Store) -> None:
    """Neither other people's keys and channels, nor what empties, stops or changes the server."""
    with connection.connect(store.url) as client:
        for words in (
            ("GET", "other"),
            ("SET", "other", "1"),
            ("PUBLISH", "other", "1"),
            ("FLUSHALL",),
            ("KEYS", "*"),
            ("SHUTDOWN",),
            ("CONFIG", "SET", "appendonly", "no"),
            ("ACL", "LIST"),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*words)
