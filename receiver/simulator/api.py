"""The HTTP API of the simulated Nexudus: calls about webhooks and other records, token, businesses, enumerations.

Envelopes and errors as developers.nexudus.com shows them. List rows lack `Description`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from receiver.nexudus import actions
from receiver.simulator import search
from receiver.simulator.access import Access
from receiver.simulator.entities import Entities
from receiver.simulator.faults import Fault, Knobs, Meter
from receiver.simulator.tenant import Invalid, Record, Tenant, Unknown

_LARGEST_BODY = 1_048_576

Answering = Callable[[Request, bool], Awaitable[Response]]
"""Answers a request; the flag says to pretend only, for a write that gets lost."""


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


class Api:
    """The API over *tenant*."""

    def __init__(self, tenant: Tenant, access: Access, knobs: Knobs) -> None:
        self._tenant = tenant
        self._access = access
        self._knobs = knobs
        self._entities = Entities(datetime.now(UTC))
        self.meter = Meter()

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        hooks, one = "/api/sys/webhooks", "/api/sys/webhooks/{id:int}"
        others, other = "/api/{module}/{entities}", "/api/{module}/{entities}/{id:int}"
        return [
            self._route("POST", "/api/token", self._token, None),
            self._route("GET", hooks, self._search, "WebHook-List"),
            self._route("GET", one, self._get, "WebHook-Read"),
            self._route("POST", hooks, self._create, "WebHook-Create"),
            self._route("PUT", hooks, self._update, "WebHook-Edit"),
            self._route("DELETE", one, self._delete, "WebHook-Delete"),
            self._route("GET", "/api/sys/businesses", self._businesses, "Business-List"),
            self._route("GET", "/api/utils/enums", self._enums, ""),
            self._route("GET", others, self._search_others, ""),
            self._route("GET", other, self._get_other, ""),
            self._route("POST", others, self._create_other, ""),
            self._route("PUT", others, self._update_other, ""),
            self._route("DELETE", other, self._delete_other, ""),
        ]

    def _route(self, method: str, path: str, answering: Answering, role: str | None) -> Route:
        async def endpoint(request: Request) -> Response:
            return await self._answer(request, answering, role)

        return Route(path, endpoint, methods=[method])

    async def _answer(self, request: Request, answering: Answering, role: str | None) -> Response:
        """Answer a call as the knobs want it. *role* None: the caller need not be signed in."""
        fault = self._knobs.draw()
        if self._knobs.slow_ms:
            await asyncio.sleep(self._knobs.slow_ms / 1_000)
        over = self.meter.is_over(self._knobs, write=request.method != "GET")
        if over or fault is Fault.THROTTLE:
            return Response(status_code=409, headers={"Retry-After": f"{self._knobs.retry_after_s:g}"})
        if fault is Fault.THROTTLE_429:
            return Response(f"API calls quota exceeded. Wait {self._knobs.retry_after_s:g} seconds.", 429)
        if fault is Fault.OOOPS:
            return json_response({"Message": "Ooops! Something went wrong.", "WasSuccessful": False}, 500)
        if fault is Fault.ERROR:
            return json_response({"Message": "An error has occurred.", "WasSuccessful": False}, 500)
        if fault is Fault.HTML:
            return _page_of_html()
        if fault is Fault.CUT:
            return Cut()
        authorization = request.headers.get("authorization", "")
        if role is not None and (role in self._knobs.missing_roles or not self._access.allows(authorization)):
            return json_response({"Message": "Authorization has been denied for this request."}, 401)
        response = await self._carry_out(request, answering, lose=fault is Fault.LOST_WRITE)
        return Cut() if fault is Fault.LOST_ANSWER else response

    async def _carry_out(self, request: Request, answering: Answering, *, lose: bool) -> Response:
        try:
            return await answering(request, lose)
        except Unknown:
            return json_response({"Message": "Not found."}, 404) if self._knobs.unknown_is_404 else _page_of_html()
        except Invalid as error:
            wrong = {"AttemptedValue": error.attempted, "Message": error.message, "PropertyName": error.name}
            return json_response({"Message": str(error), "Value": None, "Errors": [wrong], "WasSuccessful": False}, 400)

    async def _token(self, request: Request, _lose: bool) -> Response:
        body = await read_body(request)
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        form = dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=20)) if is_form else {}
        status, answer = self._access.grant(form, request.headers.get("client_id", ""))
        return json_response(answer, status)

    async def _search(self, request: Request, _lose: bool) -> Response:
        rows = search.matching(list(self._tenant.hooks.values()), request.query_params)
        listed = ({name: value for name, value in record.items() if name != "Description"} for record in rows)
        return json_response(self._page(request, list(listed)))

    async def _get(self, request: Request, _lose: bool) -> Response:
        return json_response(self._tenant.get(request.path_params["id"]))

    async def _create(self, request: Request, lose: bool) -> Response:
        return _done("created", self._tenant.create(_object(await read_json(request)), lose=lose))

    async def _update(self, request: Request, lose: bool) -> Response:
        return _done("updated", self._tenant.update(_object(await read_json(request)), lose=lose))

    async def _delete(self, request: Request, lose: bool) -> Response:
        record = self._tenant.get(request.path_params["id"])
        self._tenant.delete(record["Id"], lose=lose)
        return _done("deleted", record)

    async def _businesses(self, request: Request, _lose: bool) -> Response:
        rows = [{"Id": number, "Name": name, "Suspended": False} for number, name in self._tenant.businesses.items()]
        return json_response(self._page(request, rows))

    async def _enums(self, request: Request, _lose: bool) -> Response:
        if request.query_params.get("name") != "eWebhookAction":
            return json_response([])
        return json_response([{"Id": code, "Name": name} for name, code in actions.CODES.items()])

    async def _search_others(self, request: Request, _lose: bool) -> Response:
        return json_response(self._page(request, self._entities.search(_path(request), request.query_params)))

    async def _get_other(self, request: Request, _lose: bool) -> Response:
        return json_response(self._entities.get(_path(request), request.path_params["id"]))

    async def _create_other(self, request: Request, lose: bool) -> Response:
        sent = _object(await read_json(request))
        return _done("created", self._entities.create(_path(request), sent, lose=lose), "Record")

    async def _update_other(self, request: Request, lose: bool) -> Response:
        sent = _object(await read_json(request))
        return _done("updated", self._entities.update(_path(request), sent, lose=lose), "Record")

    async def _delete_other(self, request: Request, lose: bool) -> Response:
        return _done("deleted", self._entities.delete(_path(request), request.path_params["id"], lose=lose), "Record")

    def _page(self, request: Request, rows: Sequence[search.Record]) -> dict[str, Any]:
        largest, repeat = self._knobs.largest_page, self._knobs.repeat_pages
        return search.page(rows, request.query_params, largest=largest, repeat=repeat)


def _path(request: Request) -> str:
    return f"{request.path_params['module']}/{request.path_params['entities']}"


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid("Name", "is a required field", None)
    return value


def _done(what: str, record: Record, kind: str = "WebHook") -> Response:
    answer = {"Status": 200, "Message": f"{kind} was successfully {what}.", "Value": {"Id": record["Id"]}}
    answer |= {"OpenInDialog": False, "OpenInWindow": False, "RedirectURL": None, "JavaScript": None}
    answer |= {"UpdatedOn": record.get("UpdatedOn"), "UpdatedBy": record.get("UpdatedBy"), "Errors": None}
    return json_response(answer | {"WasSuccessful": True})


def _page_of_html() -> Response:
    return HTMLResponse("<!DOCTYPE html><html><body><h1>Something went wrong</h1></body></html>", 500)
