"""Creates clients for the server that FRONTDESK_REDIS_URL names. They connect at the first command.

Every wait is bounded, and a command is sent only once: redis-py's own retries would run a pipeline twice if its reply
was lost, so callers that can safely repeat a command do so themselves.
"""

import functools
import os
import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError
from redis.retry import Retry

from receiver.core.errors import SettingsError
from receiver.core.settings import Settings
from receiver.storage.redis import redis_url
from receiver.storage.redis.embedded_paths import socket_path
from receiver.storage.redis.redis_url import RedisUrl

TIMEOUT_S: Final = 5.0
"""Seconds that a command, or connecting, may take unless the caller passes another timeout."""

SENTINEL_TIMEOUT_S: Final = 0.4
"""Seconds that one sentinel may take: one that hangs, for example on the failed primary's machine, must not use up the
time for finding the new primary. The sentinel that answered is asked first the next time."""

LOCAL_URL: Final = "redis://127.0.0.1:6379/0"
"""The URL that is used if none is set and no embedded server runs."""

_NOT_ASKED: Final = [ssl.VerifyFlags.VERIFY_X509_STRICT]
"""Since version 3.13, Python refuses CAs without extensions that RFC 5280 requires (key usage, key identifiers).
Private CAs often lack them, such as those of `openssl req -x509` and of many managed stores. The chain and the name are
still verified."""

_PATHS = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")


def connect(url: str, *, timeout_s: float = TIMEOUT_S, max_connections: int | None = None) -> redis.Redis:
    """Return a client for threads. Replies are bytes. Raises SettingsError when the URL is wrong.

    *timeout_s* bounds connecting and each reply. Under `redis+sentinel://` every new connection asks the sentinels
    first, one after another; each of those waits is bounded by SENTINEL_TIMEOUT_S. Close it when done.
    """
    where = _checked(url)
    options = _options(where, timeout_s) | {"retry": Retry(NoBackoff(), 0), "max_connections": max_connections}
    if where.service is None:
        plain = redis.Redis(**_place(where), **options)
        pool: Any = plain.connection_pool
        pool.connection_class = _primary_only(pool.connection_class)
        return plain
    sentinel = redis.sentinel.Sentinel(  # type: ignore[no-untyped-call]
        where.hosts, sentinel_kwargs=_sentinel_options(where, options), **options
    )
    client: redis.Redis = sentinel.master_for(  # type: ignore[no-untyped-call]
        where.service, redis_class=_SentinelClient
    )
    return client


def connect_async(url: str, *, timeout_s: float = TIMEOUT_S, max_connections: int | None = None) -> redis.asyncio.Redis:
    """Return a client for one event loop; otherwise as `connect`. Close it with `aclose()`."""
    where = _checked(url)
    retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
    options = _options(where, timeout_s) | {"retry": retry, "max_connections": max_connections}
    if where.service is None:
        plain = redis.asyncio.Redis(**_place(where), **options)
        pool: Any = plain.connection_pool
        pool.connection_class = _primary_only_async(pool.connection_class)
        return plain
    sentinel = redis.asyncio.sentinel.Sentinel(  # type: ignore[no-untyped-call]
        where.hosts, sentinel_kwargs=_sentinel_options(where, options), **options
    )
    client: redis.asyncio.Redis = sentinel.master_for(where.service, redis_class=_AsyncSentinelClient)
    return client


def default_url(data_dir: Path) -> str:
    """Return the URL of the embedded server of *data_dir* if one answers there, else LOCAL_URL."""
    path = socket_path(data_dir)
    return socket_url(path) if answers(path) else LOCAL_URL


def url_of(settings: Settings) -> str:
    """Return the URL that the settings name, else `default_url`."""
    return settings.redis_url.get_secret_value() if settings.redis_url else default_url(settings.data_dir)


def socket_url(path: Path) -> str:
    """Return the URL of a server that listens at a socket."""
    return f"unix://{quote(str(path), errors='surrogateescape')}"


def answers(path: Path) -> bool:
    """Return whether a server answers at a socket, ready or still loading its data."""
    if not path.exists():
        return False
    with connect(socket_url(path), timeout_s=1.0) as client:
        try:
            client.ping()
        except redis.BusyLoadingError:
            return True
        except redis.RedisError:
            return False
    return True


@functools.cache
def _primary_only(kind: type[Any]) -> type[Any]:
    """Return a subclass of a connection that closes when its server reports that it is no longer the primary.

    With managed services, the name in the URL may point to the new primary by now, while the old server is a replica.
    """

    class PrimaryOnly(kind):  # type: ignore[misc]
        def read_response(self, *arguments: Any, **options: Any) -> Any:
            try:
                return super().read_response(*arguments, **options)
            except ReadOnlyError:
                self.disconnect()
                raise

    return PrimaryOnly


@functools.cache
def _primary_only_async(kind: type[Any]) -> type[Any]:
    """The same for an event loop."""

    class AsyncPrimaryOnly(kind):  # type: ignore[misc]
        async def read_response(self, *arguments: Any, **options: Any) -> Any:
            try:
                return await super().read_response(*arguments, **options)
            except ReadOnlyError:
                await self.disconnect()
                raise

    return AsyncPrimaryOnly


class _SentinelClient(redis.Redis):
    """A client that closes its connections to the sentinels too; redis-py leaves them to the garbage collector."""

    def close(self) -> None:
        super().close()
        pool: Any = self.connection_pool
        pool.sentinel_manager.close()


class _AsyncSentinelClient(redis.asyncio.Redis):
    """The same for an event loop."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        pool: Any = self.connection_pool
        await pool.sentinel_manager.aclose()


def _checked(url: str) -> RedisUrl:
    """Parse *url* and check that the files it names can be read, which redis-py would report only when it connects."""
    where = redis_url.parse(url)
    for name, value in where.tls or ():
        if name in _PATHS and not os.access(str(value), os.R_OK):
            raise SettingsError(f"{redis_url.NAME}: {name}: cannot read {value!r}; give the path of a PEM file")
    return where


def _place(where: RedisUrl) -> dict[str, Any]:
    if where.path is not None:
        return {"unix_socket_path": where.path}
    host, port = where.hosts[0]
    return {"host": host, "port": port}


def _options(where: RedisUrl, timeout_s: float) -> dict[str, Any]:
    return {
        "db": where.db,
        "username": where.username,
        "password": where.password,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "health_check_interval": 0,
        "client_name": "frontdesk",
        # Plain RESP2 without CLIENT SETINFO: a new connection costs one round trip, not four, inside its timeout.
        "protocol": 2,
        "driver_info": None,
        **({"ssl": True, "ssl_exclude_verify_flags": _NOT_ASKED, **dict(where.tls)} if where.tls is not None else {}),
    }


def _sentinel_options(where: RedisUrl, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options for talking to the sentinels: the server's, but their own login, no database, less time."""
    timeout_s = min(options["socket_timeout"], SENTINEL_TIMEOUT_S)
    return options | {
        "db": 0,
        "username": where.sentinel_username,
        "password": where.sentinel_password,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
    }
