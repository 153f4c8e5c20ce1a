"""The HTTP API of the simulated Nexudus: calls about webhooks and other records, token, enumerations.

Envelopes and errors as developers.nexudus.com shows them. List rows lack `Description`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.nexudus import actions
from receiver.simulator import responses
from receiver.simulator.access import Access
from receiver.simulator.account import kinds, search, views
from receiver.simulator.account.entity_views import EntityViews, Written
from receiver.simulator.account.refusals import Invalid, Unknown
from receiver.simulator.account.scene import Order
from receiver.simulator.account.tenant import Tenant
from receiver.simulator.account.views import Living
from receiver.simulator.faults import Fault, Knobs, Meter
from receiver.simulator.firing import Firing

_HANGS_S = 120

Answering = Callable[[Request, bool], Awaitable[Response]]
"""Answers a request; the flag says to pretend only, for a write that gets lost."""


class SimulatorApi:
    """The API over *tenant* and *entities*; what calls make happen is told by *firing*."""

    def __init__(self, tenant: Tenant, entities: EntityViews, firing: Firing, access: Access, knobs: Knobs) -> None:
        self._tenant = tenant
        self._entities = entities
        self._firing = firing
        self._access = access
        self._knobs = knobs
        self.meter = Meter()
        self.held = 0

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
            self._route("GET", "/api/utils/enums", self._enums, ""),
            self._route("GET", others, self._search_others, "List"),
            self._route("GET", f"{others}/", self._search_others, "List"),
            self._route("GET", other, self._get_other, "Read"),
            self._route("POST", others, self._create_other, "Create"),
            self._route("PUT", others, self._update_other, "Edit"),
            self._route("DELETE", other, self._delete_other, "Delete"),
        ]

    def _route(self, method: str, path: str, answering: Answering, role: str | None) -> Route:
        async def endpoint(request: Request) -> Response:
            return await self._answer(request, answering, role)

        return Route(path, endpoint, methods=[method])

    async def _answer(self, request: Request, answering: Answering, role: str | None) -> Response:
        """Answer a call as the knobs want it. *role* None: the caller need not be signed in.

        A role that names no kind is that of the kind in the path.
        """
        fault = self._knobs.draw()
        if self._knobs.slow_ms:
            await asyncio.sleep(self._knobs.slow_ms / 1_000)
        await self._hold(fault is Fault.HOLD)
        over = self.meter.is_over(self._knobs, write=request.method != "GET")
        if over or fault is Fault.THROTTLE:
            return Response(status_code=409, headers={"Retry-After": f"{self._knobs.retry_after_s:g}"})
        if fault is Fault.THROTTLE_429:
            return Response(f"API calls quota exceeded. Wait {self._knobs.retry_after_s:g} seconds.", 429)
        if fault is Fault.OOOPS:
            return responses.json_response({"Message": "Ooops! Something went wrong.", "WasSuccessful": False}, 500)
        if fault is Fault.ERROR:
            return responses.json_response({"Message": "An error has occurred.", "WasSuccessful": False}, 500)
        if fault is Fault.HTML:
            return responses.page_of_html()
        if fault in (Fault.CUT, Fault.HOLD):
            return responses.Cut()
        authorization = request.headers.get("authorization", "")
        if role is not None and (
            _role(request, role) in self._knobs.missing_roles or not self._access.allows(authorization)
        ):
            return responses.json_response({"Message": "Authorization has been denied for this request."}, 401)
        response = await self._carry_out(request, answering, lose=fault is Fault.LOST_WRITE)
        await self._hold(fault is Fault.HOLD_DONE)
        return responses.Cut() if fault in (Fault.LOST_ANSWER, Fault.HOLD_DONE) else response

    async def _hold(self, is_held: bool) -> None:
        if is_held:
            self.held += 1
            await asyncio.sleep(_HANGS_S)

    async def _carry_out(self, request: Request, answering: Answering, *, lose: bool) -> Response:
        try:
            return await answering(request, lose)
        except Unknown:
            return (
                responses.json_response({"Message": "Not found."}, 404)
                if self._knobs.unknown_is_404
                else responses.page_of_html()
            )
        except Invalid as error:
            wrong = {"AttemptedValue": error.attempted, "Message": error.message, "PropertyName": error.name}
            return responses.json_response(
                {"Message": str(error), "Value": None, "Errors": [wrong], "WasSuccessful": False}, 400
            )

    async def _token(self, request: Request, _lose: bool) -> Response:
        body = await responses.read_body(request)
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        form = dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=20)) if is_form else {}
        status, answer = self._access.grant(form, request.headers.get("client_id", ""))
        return responses.json_response(answer, status)

    async def _search(self, request: Request, _lose: bool) -> Response:
        rows = search.matching(list(self._tenant.hooks.values()), request.query_params)
        listed = ({name: value for name, value in record.items() if name != "Description"} for record in rows)
        return responses.json_response(self._page(request, list(listed)))

    async def _get(self, request: Request, _lose: bool) -> Response:
        return responses.json_response(self._tenant.get(request.path_params["id"]))

    async def _create(self, request: Request, lose: bool) -> Response:
        return responses.done(
            "created", self._tenant.create(responses.as_object(await responses.read_json(request)), lose=lose)
        )

    async def _update(self, request: Request, lose: bool) -> Response:
        return responses.done(
            "updated", self._tenant.update(responses.as_object(await responses.read_json(request)), lose=lose)
        )

    async def _delete(self, request: Request, lose: bool) -> Response:
        record = self._tenant.get(request.path_params["id"])
        self._tenant.delete(record["Id"], lose=lose)
        return responses.done("deleted", record)

    async def _enums(self, request: Request, _lose: bool) -> Response:
        if request.query_params.get("name") != "eWebhookAction":
            return responses.json_response([])
        return responses.json_response([{"Id": code, "Name": name} for name, code in actions.CODES.items()])

    async def _search_others(self, request: Request, _lose: bool) -> Response:
        path, params = _path(request), self._heeded(request)
        if "id" in params:
            return responses.json_response(self._entities.batch(path, search.ids(params["id"])))
        kind = kinds.BY_PATH[path].name if path in kinds.BY_PATH else ""
        if kind in self._knobs.failing_searches:
            return responses.page_of_html()
        if kind == "CoworkerInvoiceHistory" and self._knobs.histories_need_invoice:
            names = {name.lower() for name in params}
            if "coworkerinvoicehistory_coworkerinvoice" not in names:
                return responses.json_response(
                    {"Message": "Missing required filter: CoworkerInvoice", "WasSuccessful": False}, 400
                )
        if self._knobs.hang_at_page and params.get("page") == str(self._knobs.hang_at_page):
            await asyncio.sleep(_HANGS_S)
        found: list[Living] = self._entities.search(path, params)
        page = self._page(request, found)
        shown, page["Records"] = page["Records"], views.rows(page["Records"])
        if self._knobs.moving_rows and page["HasNextPage"] and shown:
            self._move(shown[0])
        return responses.json_response(page)

    def _heeded(self, request: Request) -> dict[str, str]:
        """Return the parameters without the filters that the knobs have ignored."""
        ignored = {name.lower() for name in self._knobs.ignored_filters}
        if "*" in ignored:
            return {name: text for name, text in request.query_params.items() if "_" not in name}
        return {name: text for name, text in request.query_params.items() if name.lower() not in ignored}

    def _move(self, row: Living) -> None:
        kind = kinds.KINDS[row.kind]
        action = kind.deleted if self._knobs.moving_rows == "delete" else kind.updated
        if action:
            self._firing.fire(Order(action, row.business_id, datetime.now(UTC), row.id))

    async def _get_other(self, request: Request, _lose: bool) -> Response:
        return responses.json_response(self._entities.get(_path(request), request.path_params["id"]))

    async def _create_other(self, request: Request, lose: bool) -> Response:
        sent = responses.as_object(await responses.read_json(request))
        return self._written("created", self._entities.create(_path(request), sent, datetime.now(UTC), lose=lose))

    async def _update_other(self, request: Request, lose: bool) -> Response:
        sent = responses.as_object(await responses.read_json(request))
        return self._written("updated", self._entities.update(_path(request), sent, datetime.now(UTC), lose=lose))

    async def _delete_other(self, request: Request, lose: bool) -> Response:
        number, now = request.path_params["id"], datetime.now(UTC)
        return self._written("deleted", self._entities.delete(_path(request), number, now, lose=lose))

    def _written(self, what: str, written: Written) -> Response:
        record, happenings = written
        self._firing.tell(happenings)
        return responses.done(what, record, "Record")

    def _page(self, request: Request, rows: Sequence[Any]) -> dict[str, Any]:
        knobs = self._knobs
        return search.page(
            rows,
            request.query_params,
            largest=knobs.largest_page,
            repeat=knobs.repeat_pages,
            error_of_total=knobs.error_of_total,
        )


def _path(request: Request) -> str:
    return f"{request.path_params['module']}/{request.path_params['entities']}"


def _role(request: Request, role: str) -> str:
    if "-" in role or not role:
        return role
    kind = kinds.BY_PATH.get(_path(request))
    return f"{kind.name}-{role}" if kind else ""
