"""The client through which threads call Redis: scripts by name, pipelines, and one error for every failure."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.exceptions import RedisError

from receiver.core.errors import StorageUnavailable
from receiver.storage.redis import clock, mending, scripts

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
        named = list(keys)
        with guarded():
            try:
                return self._scripts[name](keys=named, args=arguments)
            except redis.ResponseError as error:
                if not mending.is_needed(error):
                    raise
            return mending.run(self._client, name, named, arguments)

    def ask(self, command: str, *arguments: Any, **options: Any) -> Any:
        """Run one command, named as redis-py's method."""
        with guarded():
            send = getattr(self._client, command)
            try:
                return send(*arguments, **options)
            except redis.ResponseError as error:
                if not mending.is_needed(error):
                    raise
            mending.mend(self._client, command, *arguments)
            return send(*arguments, **options)

    def ask_all(self, command: str, keys: Iterable[str]) -> list[Any]:
        """Run one command on each of *keys* in one round trip, and return the replies in their order."""
        return self.ask_each((command, key) for key in keys)

    def ask_each(self, commands: Iterable[tuple[Any, ...]], *, all_or_none: bool = False) -> list[Any]:
        """Run many commands in one round trip, each named as redis-py's method; return the replies in their order.

        *all_or_none*: as one transaction. They may be sent twice."""
        return _each(self._client, list(commands), _by_method, is_transaction=all_or_none)

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
    return _each(client, list(commands), _by_name)


def _by_method(pipeline: Any, command: str, *arguments: Any) -> None:
    getattr(pipeline, command)(*arguments)


def _by_name(pipeline: Any, *command: Any) -> None:
    pipeline.execute_command(*command)


def _each(
    client: redis.Redis, commands: list[tuple[Any, ...]], add: Callable[..., None], *, is_transaction: bool = False
) -> list[Any]:
    """Return the replies to *commands*; one that met a value that no call can use is repeated without it."""

    def send(some: Iterable[tuple[Any, ...]]) -> list[Any]:
        pipeline: Any = client.pipeline(transaction=is_transaction)
        with pipeline:
            for command in some:
                add(pipeline, *command)
            return list(pipeline.execute(raise_on_error=False))

    with guarded():
        found = send(commands)
        failed = [at for at, reply in enumerate(found) if mending.is_needed(reply)]
        for at in failed:
            mending.mend(client, *commands[at])
        again = range(len(commands)) if failed and is_transaction else failed
        for at, reply in zip(again, send(commands[at] for at in again) if again else (), strict=True):
            found[at] = reply
        for reply in found:
            if isinstance(reply, Exception):
                raise reply
    return found
