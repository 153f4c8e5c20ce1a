"""The client through which threads call Redis: scripts by name, pipelines, and one error for every failure."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.exceptions import RedisError

from receiver.core.errors import StorageUnavailable
from receiver.storage.redis import clock, scripts

_LONGEST = 200

_OF_A_SCRIPT = ("user_script", "Error running script", ": malformed ")
"""The beginning of errors that our scripts raise; other errors are about the connection or the server."""

_CODES = re.compile(r"(?:^|: -?)([A-Z]{3,}) ")
_OF_DATA = {"ERR", "WRONGTYPE"}


@contextmanager
def guarded(*others: type[Exception]) -> Iterator[None]:
    """Raise StorageUnavailable for every error of redis-py, the system or the types *others* in the block."""
    kinds: tuple[type[Exception], ...] = (RedisError, OSError, *others)
    try:
        yield
    except kinds as error:
        raise outage(error) from error


def outage(error: Exception) -> StorageUnavailable:
    """Return the StorageUnavailable, with one sentence, for an error of redis-py or the system."""
    # After " : <", redis-py prints the whole client when a sentinel knows no master.
    reason = str(error).partition(" : <")[0].strip().rstrip(".")[:_LONGEST]
    remedy = "" if isinstance(error, redis.ResponseError) else "; is it up, and is FRONTDESK_REDIS_URL right?"
    return StorageUnavailable(f"Redis: {type(error).__name__}: {reason}{remedy}")


def is_refusal(error: Exception) -> bool:
    """Return whether a script failed on its arguments: the same call will fail again, but another one may succeed.

    An error of the server itself (OOM, READONLY, BUSY, LOADING, MISCONF, NOAUTH, NOREPLICAS, MASTERDOWN, ...) is not a
    refusal: each of those has a code. Up to Redis 6, the code is in the middle of the script's message.
    """
    cause = error.__cause__ if isinstance(error, StorageUnavailable) else error
    if type(cause) is not redis.ResponseError:  # its subclasses are all about the server
        return False
    said = str(cause)
    is_of_server = not _OF_DATA.issuperset(_CODES.findall(said)) or "user executing the script" in said
    return not is_of_server and any(sign in said for sign in _OF_A_SCRIPT)


class StoreClient:
    """A Redis client whose every failure is StorageUnavailable. *names*: the scripts that `run` knows."""

    def __init__(self, client: redis.Redis, *names: str) -> None:
        self._client = client
        self._scripts = {name: client.register_script(scripts.source(name)) for name in names}

    def run(self, name: str, *arguments: Any, keys: Iterable[str] = ()) -> Any:
        """Run a script and return its reply."""
        with guarded():
            return self._scripts[name](keys=list(keys), args=arguments)

    def ask(self, command: str, *arguments: Any, **options: Any) -> Any:
        """Run one command, named as redis-py's method."""
        with guarded():
            return getattr(self._client, command)(*arguments, **options)

    def ask_all(self, command: str, keys: Iterable[str]) -> list[Any]:
        """Run one command on each of *keys* in one round trip, and return the replies in their order."""
        return self.ask_each((command, key) for key in keys)

    def ask_each(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Run many commands in one round trip, each named as redis-py's method; return the replies in their order."""
        with guarded(), self._client.pipeline(transaction=False) as pipeline:
            for command, *arguments in commands:
                getattr(pipeline, command)(*arguments)
            replies: list[Any] = pipeline.execute()
        return replies

    def scan(self, pattern: str) -> Iterator[bytes]:
        """Yield the names of all keys that match *pattern*, in pages. The server has to search all of its keys."""
        cursor = 0
        while True:
            cursor, page = self.ask("scan", cursor, match=pattern, count=1_000)
            yield from page
            if not cursor:
                return

    def time(self) -> float:
        """Return the server's clock in Unix seconds. All times in the store are by this clock."""
        return clock.seconds(self.ask("time"))

    def now_ms(self) -> int:
        """Return the server's clock in Unix milliseconds."""
        return clock.milliseconds(self.ask("time"))


def replies(client: redis.Redis, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Return the raw replies to *commands*, sent in one round trip, each written as its name and arguments.

    Raises StorageUnavailable.
    """
    with guarded():
        pipeline: Any = client.pipeline(transaction=False)
        with pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            found: list[Any] = pipeline.execute()
    return found
