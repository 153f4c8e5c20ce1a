"""What the receiver answers: small JSON objects. A refusal looks the same whatever led to it."""

from collections.abc import Iterable
from http import HTTPStatus

import orjson
from starlette.types import Send

from receiver.storage.entries import Receipt

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


def error(status: int) -> bytes:
    """Return the body of a refusal."""
    return orjson.dumps({"error": _ERRORS.get(status) or HTTPStatus(status).phrase.lower()})


def raw(status: int) -> bytes:
    """Return a whole HTTP/1.1 refusal that ends its connection, for where no ASGI application is running."""
    body = error(status)
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


async def send_json(send: Send, status: int, body: bytes, headers: Headers = ()) -> int:
    """Answer with a JSON body that is bytes already, and return the status."""
    return await _send(send, status, b"application/json", body, headers)


async def send_text(send: Send, text: str) -> int:
    """Answer 200 with a plain text, and return the status."""
    return await _send(send, 200, b"text/plain; charset=utf-8", text.encode("utf-8"), ())


async def send_error(send: Send, status: int, headers: Headers = ()) -> int:
    """Answer with a refusal, and return the status."""
    return await send_json(send, status, error(status), headers)


async def _send(send: Send, status: int, content_type: bytes, body: bytes, headers: Headers) -> int:
    length = str(len(body)).encode("ascii")
    start = [(b"content-type", content_type), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
    return status


def receipts(kept: Iterable[Receipt]) -> bytes:
    """Return the body that tells what became of each event of a request."""
    return orjson.dumps({"events": [{"id": receipt.id, "status": receipt.status} for receipt in kept]})
