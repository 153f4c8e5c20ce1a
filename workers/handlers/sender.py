"""Sends one bounded HTTP request to a checked address: the name is resolved once, and the connection uses the address.

The certificate is checked for the host name of the URL, which is also the Host header. There is no second look-up with
another result (DNS rebinding), no redirect, and no proxy from the environment. A proxy that a route names is asked for
the address that was checked, not for the name.
"""

import asyncio
import socket
import ssl
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpcore2
import httpx2

from workers.handlers.addresses import why_not_public
from workers.handlers.exchange import CountingStream, TargetResponse, exchange, progress

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_PoolKey = tuple[bool, str | None]
"""Whether private addresses are allowed, and the proxy."""

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
class RequestRoute:
    """How a request gets to its target: within *timeout_s* seconds, to which addresses, and through which proxy."""

    timeout_s: float
    allow_private: bool = False
    proxy: str | None = None


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
        self._pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_PoolKey, _Pool]]
        self._pools = weakref.WeakKeyDictionary()

    async def send(
        self, method: str, url: httpcore2.URL, headers: Mapping[str, str], body: bytes, route: RequestRoute
    ) -> TargetResponse:
        """Send a request and return the answer. Raises NotDelivered when there is none in time, all in all."""
        where = shown(url)
        encoded = [(name.encode("ascii"), value.encode("utf-8")) for name, value in headers.items()]
        try:
            pool = await self._pool(route)
            addressed, name = await self._addressed(url, route)
            return await exchange(pool, (method, addressed, encoded, body), route.timeout_s, name)
        except (TimeoutError, httpcore2.TimeoutException):
            raise NotDelivered(f"{where} gave no answer within {route.timeout_s:g} s", target_down=True) from None
        except NotDelivered as refused:
            raise NotDelivered(f"{where} {refused}", target_down=refused.target_down) from None
        except httpcore2.LocalProtocolError:
            # Its message quotes what we sent, which may be a secret.
            raise NotDelivered(f"{where} was not asked: the request is not valid HTTP") from None
        except httpcore2.ProxyError as error:
            raise NotDelivered(f"{where} was not reached: the proxy answered {error}", target_down=True) from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            reason = f"{type(error).__name__}: {error}".removesuffix(": ")
            raise NotDelivered(f"{where} cannot be reached: {reason}", target_down=True) from None

    async def _addressed(self, url: httpcore2.URL, route: RequestRoute) -> tuple[httpcore2.URL, str | None]:
        """Return what a proxy is asked for: the address that was checked, and whose certificate it must show.

        A proxy would look the name up again, and might find a private address. Where those are allowed, it may.
        """
        if route.proxy is None or route.allow_private:
            return url, None
        host = url.host.decode("ascii")
        async with asyncio.timeout(route.timeout_s):
            found = await self._resolve(host, url.port or {b"https": 443}.get(url.scheme, 80))
        address = allowed(found, allow_private=False)[0]
        written = address.encode("ascii")
        return httpcore2.URL(scheme=url.scheme, host=written, port=url.port, target=url.target), host

    async def _pool(self, route: RequestRoute) -> httpcore2.AsyncConnectionPool:
        pools = self._pools.setdefault(asyncio.get_running_loop(), {})
        key = (route.allow_private, route.proxy)
        if key not in pools:
            self._context = self._context or _certificates()
            may_be_private = route.allow_private or route.proxy is not None  # whoever names a proxy means it
            backend = CheckedBackend(resolve=self._resolve, dial=self._dial, allow_private=may_be_private)
            pools[key] = _Pool(backend, self._context, pools, key)
        return await pools[key].get()


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
        self,
        backend: httpcore2.AsyncNetworkBackend,
        context: ssl.SSLContext,
        pools: dict[_PoolKey, Any],
        key: _PoolKey,
    ) -> None:
        self._pool = _new_pool(backend, context, key[1])
        self._closing = self._until_closed(pools, key)
        self._is_open = False

    async def get(self) -> httpcore2.AsyncConnectionPool:
        if not self._is_open:
            self._is_open = True
            await anext(self._closing)
        return self._pool

    async def _until_closed(self, pools: dict[_PoolKey, Any], key: _PoolKey) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            pools.pop(key, None)
            await self._pool.aclose()


def _new_pool(
    backend: httpcore2.AsyncNetworkBackend, context: ssl.SSLContext, proxy: str | None
) -> httpcore2.AsyncConnectionPool:
    if proxy is None:
        return httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=_MOST_CONNECTIONS,
            max_keepalive_connections=_MOST_IDLE,
            keepalive_expiry=_IDLE_S,
            network_backend=backend,
        )
    url = httpx2.URL(proxy)
    return httpcore2.AsyncHTTPProxy(
        httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/"),
        proxy_auth=(url.username, url.password) if url.userinfo else None,
        ssl_context=context,
        max_connections=_MOST_CONNECTIONS,
        max_keepalive_connections=0,  # a connection belongs to an address, and one address may serve many names
        network_backend=backend,
    )


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
        found = await self._resolve(host, port)
        addresses = allowed(found, allow_private=self._allow_private)[:_MOST_ADDRESSES]
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            try:
                return CountingStream(await self._dial.connect_tcp(address, port, share, local_address, socket_options))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return CountingStream(await self._dial.connect_tcp(addresses[-1], port, share, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        """Wait; httpcore2 asks for it between its own retries, of which we want none."""
        await asyncio.sleep(seconds)


def allowed(addresses: Sequence[str], *, allow_private: bool) -> list[str]:
    """Return those of *addresses* that may be connected to. Raises NotDelivered when none may."""
    reasons = {address: None if allow_private else why_not_public(address) for address in addresses}
    found = [address for address, reason in reasons.items() if reason is None]
    if found:
        return found
    if not addresses:
        raise NotDelivered("has no address")
    address, reason = next(iter(reasons.items()))
    raise NotDelivered(f"leads to {address}, {reason} address; the option allow_private: true would permit it")


def shown(url: httpcore2.URL) -> str:
    """Return scheme, host and port of *url*, the parts that may be shown."""
    host = url.host.decode("ascii")
    port = f":{url.port}" if url.port is not None else ""
    return f"{url.scheme.decode('ascii')}://{f'[{host}]' if ':' in host else host}{port}"
