"""What the simulated Nexudus answers, and how it reads what it is sent."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from receiver.simulator.account.refusals import Invalid
from receiver.simulator.account.tenant import Record

_LARGEST_BODY = 1_048_576


class Cut(Response):
    """Breaks the connection in the middle of the answer: a length is promised and nothing follows."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the start of an answer, and nothing else: the server then closes the connection."""
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]}
        await send(start)


def json_response(value: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(orjson.dumps(value), status, media_type="application/json")


async def read_body(request: Request) -> bytes:
    """Return the body, nothing of one that is too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            return b""
    return bytes(body)


async def read_json(request: Request) -> Any:
    """Return the JSON body, None when it is none or too long."""
    try:
        return orjson.loads(await read_body(request))
    except orjson.JSONDecodeError:
        return None


def as_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid("Name", "is a required field", None)
    return value


def done(what: str, record: Record, kind: str = "WebHook") -> Response:
    answer = {"Status": 200, "Message": f"{kind} was successfully {what}.", "Value": {"Id": record["Id"]}}
    answer |= {"OpenInDialog": False, "OpenInWindow": False, "RedirectURL": None, "JavaScript": None}
    answer |= {"UpdatedOn": record.get("UpdatedOn"), "UpdatedBy": record.get("UpdatedBy"), "Errors": None}
    return json_response(answer | {"WasSuccessful": True})


def page_of_html() -> Response:
    return HTMLResponse("<!DOCTYPE html><html><body><h1>Something went wrong</h1></body></html>", 500)
