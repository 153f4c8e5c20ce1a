"""compose.sentinel.yaml, its commands run as they are but for addresses: another server takes over with the data."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from receiver.storage.redis import connection, preflight
from tests.support.events import entry, keep_all
from tests.support.processes import Process, free_port, server_program, wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICES: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.sentinel.yaml").read_text())["services"]
SERVERS = ("valkey", "valkey-2", "valkey-3")
SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")


class Store:
    """The six processes, each in a folder of its own, on ports of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in (*SERVERS, *SENTINELS)}
        self.processes = {name: self._start(name) for name in (*SERVERS, *SENTINELS)}

    def _start(self, name: str) -> Process:
        home = self.folder / name
        home.mkdir()
        (home / "password").write_text("a password")
        (home / "sentinel.conf.shipped").write_text(self._local(name, (DEPLOY / "sentinel.conf").read_text()))
        shell, flag, script = SERVICES[name]["command"]
        return Process([shell, flag, self._local(name, script)], log=home / "log")

    def _local(self, name: str, text: str) -> str:
        """Return what is shipped, with the paths and addresses of this machine."""
        home = self.folder / name
        text = text.replace("$$", "$").replace("/run/secrets/valkey-password", str(home / "password"))
        text = text.replace("/etc/valkey/sentinel.conf", str(home / "sentinel.conf.shipped"))
        text = re.sub(r"/data\b", str(home), text)
        text = text.replace("port 26379", f"port {self.ports[name]}")
        text = text.replace("valkey 6379", f"127.0.0.1 {self.ports['valkey']}")
        text = re.sub(r"--replica-announce-ip \S+", "--replica-announce-ip 127.0.0.1", text)
        # Without the delay a replica waits 5 s for others to sync with it.
        mine = f"exec {server_program()} --port {self.ports[name]} --repl-diskless-sync-delay 0"
        text = text.replace("exec valkey-server --dir", f"{mine} --dir")
        return text.replace("exec valkey-server", f"exec {server_program()}")

    @property
    def url(self) -> str:
        """The store as Frontdesk is told of it."""
        sentinels = ",".join(f"127.0.0.1:{self.ports[name]}" for name in SENTINELS)
        return f"redis+sentinel://:a%20password@{sentinels}/frontdesk/0"

    def knows(self, name: str) -> tuple[int, int]:
        """How many replicas and other sentinels a sentinel knows of."""
        with redis.Redis(port=self.ports[name], socket_timeout=5) as client:
            try:
                told: Any = client.sentinel_master("frontdesk")
            except redis.RedisError:
                return 0, 0
            return int(told["num-slaves"]), int(told["num-other-sentinels"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store whose sentinels have found everybody."""
    started = Store(tmp_path)
    try:
        wait_until(
            lambda: all(started.knows(name) == (2, 2) for name in SENTINELS),
            lambda: "\n".join(str(process) for process in started.processes.values()),
            timeout_s=60,
        )
        yield started
    finally:
        for process in started.processes.values():
            process.end()


def test_another_server_takes_over(store: Store) -> None:
    """With what was confirmed by it; and each of them is what a store must be."""
    with connection.connect(store.url) as client:
        kept = entry()
        keep_all(client, kept)
        assert client.wait(1, 10_000) >= 1
        assert preflight.look(client).wrong == ()

        store.processes["valkey"].kill()

        def taken_over() -> bool:
            try:
                return preflight.look(client).wrong == () and bool(client.exists(f"fd:e:{kept.envelope.id}"))
            except Exception:
                return False

        wait_until(taken_over, lambda: str(store.processes["sentinel-1"]), timeout_s=60)
        keep_all(client, entry(b'{"Id":2}'))
