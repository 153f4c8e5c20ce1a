"""A store that fails over: a primary, a replica, and three sentinels that decide by two votes which is which."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import redis

from receiver.storage.redis import connection
from tests.support.processes import Process, Valkey, free_port, server_program, wait_until

SERVICE = "front"
DOWN_AFTER_MS = 2_500
_VOTES = 2
_SENTINELS = 3
_IN_STEP_WITHIN_S = 60.0


class Ensemble:
    """Started by `with`. *least_replicas*: `min-replicas-to-write`; 1: both refuse writes while no replica follows."""

    def __init__(self, folder: Path, *options: str, least_replicas: int = 1) -> None:
        """*options*: of both servers."""
        self._folder = folder
        ports = free_port(), free_port()
        settings = ("--repl-diskless-sync-delay", "0", "--min-replicas-to-write", str(least_replicas), *options)
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            first = self._server(stack, ports[0], *settings)
            second = self._server(stack, ports[1], *settings, "--replicaof", f"127.0.0.1 {ports[0]}")
            self.servers = (first, second)
            self._sentinels = [self._sentinel(number, ports[0]) for number in range(_SENTINELS)]
            stack.callback(self._end_sentinels)
            self._stack = stack.pop_all()
        self.url = "redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port, _ in self._sentinels) + f"/{SERVICE}/0"

    def __enter__(self) -> Self:
        try:
            self.wait_until_in_step()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def primary(self) -> Valkey:
        """The server that most sentinels call the primary now."""
        return wait_until(self._agreed, "sentinels that agree")

    @property
    def replica(self) -> Valkey:
        """The other one."""
        return self._other(self.primary)

    def wait_for_failover(self, old: Valkey) -> Valkey:
        """Wait until the sentinels have made the other server the primary, and it takes it upon itself; return it."""
        new = self._other(old)
        wait_until(lambda: self._agreed() is new, "the failover", timeout_s=_IN_STEP_WITHIN_S)
        wait_until(lambda: _about(new).get("role") == "master", "the new primary", timeout_s=_IN_STEP_WITHIN_S)
        return new

    def wait_until_in_step(self) -> None:
        """Wait until the replica follows the primary, and every sentinel knows it and its fellows."""
        wait_until(self._is_in_step, "a replica that follows", timeout_s=_IN_STEP_WITHIN_S)

    def start_again_as_replica(self, server: Valkey) -> None:
        """Start a killed server again as those who ask the sentinels first do: it follows the primary at once."""
        server.start_again()
        with server.client() as client:
            client.replicaof("127.0.0.1", port_of(self._other(server)))

    def _end_sentinels(self) -> None:
        for _, process in self._sentinels:
            process.end()

    def roll_sentinels(self) -> None:
        """SIGTERM of each, one after another, and again from what it has written down."""
        for number, (port, process) in enumerate(self._sentinels):
            process.stop()
            self._sentinels[number] = port, self._watching(number)
            self.wait_until_in_step()

    def _server(self, stack: contextlib.ExitStack, port: int, *options: str) -> Valkey:
        server = Valkey(self._folder / str(port), *options, port=port)
        stack.callback(lambda: server.end())
        return server

    def _sentinel(self, number: int, primary: int) -> tuple[int, Process]:
        port = free_port()
        config = self._folder / f"sentinel-{number}.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor {SERVICE} 127.0.0.1 {primary} {_VOTES}\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\nsentinel failover-timeout {SERVICE} 6000\n"
        )
        return port, self._watching(number)

    def _watching(self, number: int) -> Process:
        config = self._folder / f"sentinel-{number}.conf"
        return Process([server_program(), config, "--sentinel"], log=self._folder / f"sentinel-{number}.log")

    def _other(self, server: Valkey) -> Valkey:
        return self.servers[1] if server is self.servers[0] else self.servers[0]

    def _agreed(self) -> Valkey | None:
        named = [int(view["port"]) for view in self._views()]
        for server in self.servers:
            if named.count(port_of(server)) >= _VOTES:
                return server
        return None

    def _views(self) -> Iterator[dict[str, str]]:
        for port, _ in self._sentinels:
            with connection.connect(f"redis://127.0.0.1:{port}") as client, contextlib.suppress(redis.RedisError):
                yield client.sentinel_master(SERVICE)

    def _is_in_step(self) -> bool:
        views = list(self._views())
        knows_all = all(
            int(view["num-other-sentinels"]) == _SENTINELS - 1 and int(view["num-slaves"]) == 1 for view in views
        )
        primary = self._agreed()
        if primary is None or len(views) < _SENTINELS or not knows_all:
            return False
        follower = str(_about(primary).get("slave0"))
        return "online" in follower and _about(self._other(primary)).get("master_link_status") == "up"


def port_of(server: Valkey) -> int:
    """The port that a server listens at."""
    found = re.search(r":(\d+)/", server.url)
    assert found, server.url
    return int(found[1])


def _about(server: Valkey) -> dict[str, object]:
    """What a server says of its replication; nothing while it does not answer."""
    with server.client(timeout_s=1.0) as client, contextlib.suppress(redis.RedisError):
        return dict(client.info("replication"))
    return {}
