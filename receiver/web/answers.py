"""The bodies of the receiver's answers: small JSON objects. A refusal depends on its status only, not on the cause."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus

import orjson
from starlette.types import Send

from receiver.storage.model.entries import Receipt

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"

Headers = Iterable[tuple[bytes, bytes]]

_ERRORS = {
    400: "malformed request",
    401: "bad signature",
    404: "not found",
    405: "method not allowed",
    408: "the request took too long",
    413: "the body is too large",
    414: "the request target is too long",
    431: "the request head is too large",
    503: "this event cannot be kept now; send it again",
}


async def whole(send: Send, status: int, content_type: bytes, body: bytes, more: Headers = ()) -> None:
    """Answer an ASGI request in one piece."""
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, status: int, more: Headers = ()) -> None:
    """Refuse an ASGI request."""
    await whole(send, status, JSON, error(status), more)


def error(status: int) -> bytes:
    """Return the body of a refusal."""
    return orjson.dumps({"error": _ERRORS.get(status) or HTTPStatus(status).phrase.lower()})


def raw(status: int) -> bytes:
    """Return a whole HTTP/1.1 refusal that closes the connection, for use where no ASGI application is running."""
    body = error(status)
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def receipts(kept: Sequence[Receipt]) -> bytes:
    """Return the body that tells what became of each event of a request."""
    if len(kept) == 1:  # nearly always; and nothing in an id or a status needs to be escaped
        return b'{"events":[{"id":"%b","status":"%b"}]}' % (kept[0].id.encode(), kept[0].status.encode())
    return orjson.dumps({"events": [{"id": receipt.id, "status": receipt.status} for receipt in kept]})
