"""Sends one bounded HTTP POST to a checked address: the name is resolved once, and the connection uses the address.

The certificate is checked for the host name of the URL, which is also the Host header. There is no second look-up with
another result (DNS rebinding), no redirect, and no proxy from the environment.
"""

import asyncio
import socket
import ssl
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpcore2

from workers.handlers.addresses import why_not_public
from workers.handlers.exchange import CountingStream, exchange, progress

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_MOST_ADDRESSES = 4
_MOST_CONNECTIONS = 256
_MOST_IDLE = 32
_IDLE_S = 15.0


class NotDelivered(Exception):
    """The target did not take the event. The message shows its scheme, host and port, never its path, query or user.

    *target_down*: it cannot be found or reached, or does not answer, or answers 500 or above.
    """

    def __init__(self, message: str, *, target_down: bool = False) -> None:
        super().__init__(message)
        self.target_down = target_down


@dataclass(frozen=True, slots=True)
class TargetResponse:
    """The response of the target: its status and its `Retry-After` header, if it has one."""

    status: int
    retry_after: str | None


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of *host*, best first. Raises NotDelivered when it has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "not a name"
        raise NotDelivered(f"cannot be found: {reason}", target_down=True) from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Sender:
    """Sends requests and keeps connections for a short while, apart for each event loop and each rule of addresses.

    A connection to a private address, made for a route that may, is never used for one that may not. *resolve* finds
    the addresses of a name, *dial* connects to one of them, *context* judges certificates.
    """

    def __init__(
        self,
        *,
        resolve: Resolve = resolve,
        dial: httpcore2.AsyncNetworkBackend | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._resolve = resolve
        self._dial = dial or httpcore2.AnyIOBackend()
        self._context = context
        self._pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bool, _Pool]]
        self._pools = weakref.WeakKeyDictionary()

    async def post(
        self, url: httpcore2.URL, headers: Mapping[str, str], body: bytes, *, timeout_s: float, allow_private: bool
    ) -> TargetResponse:
        """Send *body* and return the answer. Raises NotDelivered when there is none within *timeout_s*, all in all."""
        where = shown(url)
        encoded = [(name.encode("ascii"), value.encode("utf-8")) for name, value in headers.items()]
        try:
            pool = await self._pool(allow_private)
            return TargetResponse(*await exchange(pool, url, encoded, body, timeout_s))
        except (TimeoutError, httpcore2.TimeoutException):
            raise NotDelivered(f"{where} gave no answer within {timeout_s:g} s", target_down=True) from None
        except NotDelivered as refused:
            raise NotDelivered(f"{where} {refused}", target_down=refused.target_down) from None
        except httpcore2.LocalProtocolError:
            # Its message quotes what we sent, which may be a secret.
            raise NotDelivered(f"{where} was not asked: the request is not valid HTTP") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            reason = f"{type(error).__name__}: {error}".removesuffix(": ")
            raise NotDelivered(f"{where} cannot be reached: {reason}", target_down=True) from None

    async def _pool(self, allow_private: bool) -> httpcore2.AsyncConnectionPool:
        pools = self._pools.setdefault(asyncio.get_running_loop(), {})
        if allow_private not in pools:
            self._context = self._context or _certificates()
            backend = CheckedBackend(resolve=self._resolve, dial=self._dial, allow_private=allow_private)
            pools[allow_private] = _Pool(backend, self._context, pools, allow_private)
        return await pools[allow_private].get()


def _certificates() -> ssl.SSLContext:
    try:
        return httpcore2.default_ssl_context()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise NotDelivered(
            f"was not asked: the certificates that SSL_CERT_FILE names cannot be read: {reason}; correct it or unset it"
        ) from None


class _Pool:
    """A connection pool that its event loop closes when it ends: `shutdown_asyncgens` closes the generator inside."""

    def __init__(
        self, backend: httpcore2.AsyncNetworkBackend, context: ssl.SSLContext, pools: dict[bool, Any], key: bool
    ) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=_MOST_CONNECTIONS,
            max_keepalive_connections=_MOST_IDLE,
            keepalive_expiry=_IDLE_S,
            network_backend=backend,
        )
        self._closing = self._until_closed(pools, key)
        self._is_open = False

    async def get(self) -> httpcore2.AsyncConnectionPool:
        if not self._is_open:
            self._is_open = True
            await anext(self._closing)
        return self._pool

    async def _until_closed(self, pools: dict[bool, Any], key: bool) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            pools.pop(key, None)
            await self._pool.aclose()


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to a name by asking once for its addresses and dialling only those that are allowed, as numbers."""

    def __init__(self, *, resolve: Resolve, dial: httpcore2.AsyncNetworkBackend, allow_private: bool) -> None:
        self._resolve = resolve
        self._dial = dial
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers. Raises NotDelivered when none is allowed."""
        progress.get().has_connected = True
        addresses = self._allowed(await self._resolve(host, port))[:_MOST_ADDRESSES]
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            try:
                return CountingStream(await self._dial.connect_tcp(address, port, share, local_address, socket_options))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return CountingStream(await self._dial.connect_tcp(addresses[-1], port, share, local_address, socket_options))

    def _allowed(self, addresses: Sequence[str]) -> list[str]:
        reasons = {address: None if self._allow_private else why_not_public(address) for address in addresses}
        allowed = [address for address, reason in reasons.items() if reason is None]
        if allowed:
            return allowed
        if not addresses:
            raise NotDelivered("has no address")
        address, reason = next(iter(reasons.items()))
        raise NotDelivered(f"leads to {address}, {reason} address; the option allow_private: true would permit it")

    async def sleep(self, seconds: float) -> None:
        """Wait; httpcore2 asks for it between its own retries, of which we want none."""
        await asyncio.sleep(seconds)


def shown(url: httpcore2.URL) -> str:
    """Return scheme, host and port of *url*, the parts that may be shown."""
    host = url.host.decode("ascii")
    port = f":{url.port}" if url.port is not None else ""
    return f"{url.scheme.decode('ascii')}://{f'[{host}]' if ':' in host else host}{port}"
