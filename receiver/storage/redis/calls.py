"""Calls to Redis for those who tend what is kept: scripts by name, pipelines, and one error for whatever fails."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import redis
from redis.exceptions import RedisError

from receiver.storage.redis import scripts
from receiver.storage.redis.outage import outage


class Calls:
    """A client whose every failure is StorageUnavailable. *names*: the scripts that `run` knows."""

    def __init__(self, client: redis.Redis, *names: str) -> None:
        self._client = client
        self._scripts = {name: client.register_script(scripts.source(name)) for name in names}

    def run(self, name: str, *arguments: Any) -> Any:
        """Run a script and return its reply."""
        return self._guarded(lambda: self._scripts[name](args=arguments))

    def ask(self, command: str, *arguments: Any, **options: Any) -> Any:
        """Run one command, named as the client's method."""
        return self._guarded(lambda: getattr(self._client, command)(*arguments, **options))

    def ask_all(self, command: str, keys: Iterable[str]) -> list[Any]:
        """Run one command on each of *keys* in one round trip, and return the replies in their order."""
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                getattr(pipeline, command)(key)
            replies: list[Any] = self._guarded(pipeline.execute)
        return replies

    def scan(self, pattern: str) -> Iterator[bytes]:
        """Yield the names of all keys that fit *pattern*, in pages; reads the names of all keys there are."""
        cursor = 0
        while True:
            cursor, page = self.ask("scan", cursor, match=pattern, count=1_000)
            yield from page
            if not cursor:
                return

    def now_ms(self) -> int:
        """The server's clock, which is the one that all times in the store are told by."""
        seconds, microseconds = self.ask("time")
        return int(seconds) * 1_000 + int(microseconds) // 1_000

    def _guarded(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (RedisError, OSError) as error:
            raise outage(error) from error
