"""One request and its response over a pooled connection, which the target may have closed meanwhile."""

import asyncio
import contextlib
import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpcore2

LARGEST_ANSWER = 65_536
"""Bytes that are read of an answer's body; for a longer one the connection is closed."""

_LONGEST_REST_S = 1.0
_LONGEST_EXCERPT = 2_000


@dataclass(slots=True)
class RequestProgress:
    """The progress of a request: whether a connection was made for it, and how many bytes were received."""

    has_connected: bool = False
    received: int = 0


progress: ContextVar[RequestProgress] = ContextVar("course")
"""The progress of the request that the current task sends."""


class CountingStream(httpcore2.AsyncNetworkStream):
    """A connection that counts what it receives for the request that reads from it."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self.write = stream.write  # type: ignore[method-assign]
        self.aclose = stream.aclose  # type: ignore[method-assign]
        self.get_extra_info = stream.get_extra_info  # type: ignore[method-assign]

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore2's
        """Return the next bytes, none at the end."""
        data = await self._stream.read(max_bytes, timeout)
        progress.get().received += len(data)
        return data

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
    ) -> httpcore2.AsyncNetworkStream:
        """Return the connection with TLS on top; what that reads by itself is not counted."""
        return CountingStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))


@dataclass(frozen=True, slots=True)
class TargetResponse:
    """The response of a target: its status, its `Retry-After` header, if it has one, and what it said."""

    status: int
    retry_after: str | None = None
    content_type: str = ""
    body: bytes = b""

    @property
    def excerpt(self) -> str:
        """The first 500 characters of the body, on one line."""
        return " ".join(self.body[:_LONGEST_EXCERPT].decode("utf-8", "replace").split())[:500]


async def exchange(
    pool: httpcore2.AsyncConnectionPool,
    request: tuple[str, httpcore2.URL, list[tuple[bytes, bytes]], bytes],
    timeout_s: float,
    server_name: str | None = None,
) -> TargetResponse:
    """Send *request*, method, URL, headers and body, and return the answer. Raises TimeoutError and httpcore2's errors.

    *server_name* is the name in the target's certificate, when the URL holds its address instead.
    """
    method, url, headers, body = request
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    # The deadline is for the whole; these make sure that no single step is without one.
    steps = dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
    said = bytearray()
    extensions = {"timeout": steps} | ({"sni_hostname": server_name} if server_name else {})
    sent: dict[str, Any] = {"headers": headers, "content": body, "extensions": extensions}
    async with contextlib.AsyncExitStack() as stack:
        async with asyncio.timeout_at(deadline):
            response = await _answer_of(stack, pool, (method, url), sent)
        # The status is the answer. The rest is read so that the connection can be used again; not for long, not much.
        with contextlib.suppress(TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError):
            async with asyncio.timeout_at(min(deadline, loop.time() + _LONGEST_REST_S)):
                await _read(response, said)
        found = {name.lower(): value.decode("latin-1") for name, value in reversed(response.headers)}
        kind = found.get(b"content-type", "").partition(";")[0].strip()[:100]
        return TargetResponse(response.status, found.get(b"retry-after"), kind, bytes(said))


async def _answer_of(
    stack: contextlib.AsyncExitStack,
    pool: httpcore2.AsyncConnectionPool,
    what: tuple[str, httpcore2.URL],
    request: dict[str, Any],
) -> httpcore2.Response:
    """Send over a connection of *pool*. If that was used before and proves closed, send once more over a new one.

    Servers close connections that are idle, and one may do so just when we send. That is no answer, and says nothing
    of the target. The second time another idle connection would not do: the server may have closed all of them.
    """
    method, url = what
    current = RequestProgress()
    progress.set(current)
    try:
        return await stack.enter_async_context(pool.stream(method, url, **request))
    except (httpcore2.ReadError, httpcore2.RemoteProtocolError):
        if current.has_connected or current.received:
            raise
    connection = pool.create_connection(url.origin)
    stack.push_async_callback(connection.aclose)
    return await stack.enter_async_context(connection.stream(method, url, **request))


async def _read(response: httpcore2.Response, into: bytearray) -> None:
    async for chunk in response.aiter_stream():
        into += chunk[: LARGEST_ANSWER - len(into)]
        if len(into) >= LARGEST_ANSWER:
            return
