"""Reads a request's body under a limit on its size. Time limits are in `receiver.web.connections`."""

from starlette.types import Receive

from receiver.core.errors import RequestRefused


async def read(receive: Receive, declared: bytes | None, limit: int) -> bytes | None:
    """Return the whole body, or None when the connection ended before the body was complete.

    *declared* is the Content-Length, if there was one. Raises RequestRefused (413) as soon as the body is known to
    exceed *limit* bytes, without reading the rest.
    """
    if declared is not None and is_over(declared, limit):
        raise RequestRefused(413, f"a body of {declared[:18].decode('ascii')} bytes is over the limit of {limit}")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise RequestRefused(413, f"the body is over the limit of {limit} bytes")
        if not message.get("more_body"):
            break
        chunks.append(chunk)
    return b"".join((*chunks, chunk)) if chunks else chunk


def is_over(declared: bytes, limit: int) -> bool:
    """Return whether a Content-Length is a number above *limit*."""
    return declared.isdigit() and (len(declared) > 18 or int(declared) > limit)
