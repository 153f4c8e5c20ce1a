"""The remote control of the simulator, below `/simulator/`: look in, let events happen, turn knobs."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.nexudus import actions
from receiver.simulator.access import Access
from receiver.simulator.api import Api, json_response, read_json
from receiver.simulator.faults import Knobs
from receiver.simulator.firing import Firing
from receiver.simulator.tenant import Tenant, Unknown


class Order(BaseModel):
    """Which events are to happen."""

    model_config = ConfigDict(extra="forbid")

    business_id: int
    action: str
    count: int = Field(1, ge=1, le=1_000)


class Control:
    """Reads and changes the other parts."""

    def __init__(self, tenant: Tenant, access: Access, knobs: Knobs, firing: Firing, api: Api) -> None:
        self._tenant = tenant
        self._access = access
        self._knobs = knobs
        self._firing = firing
        self._api = api

    def routes(self) -> list[Route]:
        """Return the routes of the remote control."""
        return [
            Route("/simulator/state", self._state, methods=["GET", "DELETE"]),
            Route("/simulator/faults", self._faults, methods=["GET", "POST", "DELETE"]),
            Route("/simulator/fire", self._fire, methods=["POST"]),
            Route("/simulator/hooks/{id:int}", self._edit, methods=["PATCH", "DELETE"]),
            Route("/simulator/tokens", self._end_tokens, methods=["DELETE"]),
        ]

    async def _state(self, request: Request) -> Response:
        """GET shows everything, DELETE starts afresh: no hooks, no tokens, no faults."""
        if request.method == "DELETE":
            self._tenant.hooks.clear()
            self._tenant.is_changed = True
            self._access.expire()
            self._firing.forget()
            self._turn(Knobs())
        return json_response(
            {
                "businesses": [{"Id": number, "Name": name} for number, name in self._tenant.businesses.items()],
                "hooks": list(self._tenant.hooks.values()),
                "deliveries": self._firing.as_json(),
                "calls": self._api.meter.total,
                "writes": self._api.meter.writes_total,
                "grants": self._access.grants,
            }
        )

    async def _faults(self, request: Request) -> Response:
        """GET shows the knobs, POST sets those that are named, DELETE sets all back."""
        wanted: Any = {}
        if request.method == "POST":
            wanted = await read_json(request)
            if not isinstance(wanted, dict):
                return json_response({"error": "send an object of knobs"}, 400)
            wanted = self._knobs.model_dump() | wanted
        if request.method != "GET":
            try:
                checked = Knobs.model_validate(wanted)
            except ValidationError as error:
                first = error.errors()[0]
                return json_response({"error": f"{first['loc'][0] if first['loc'] else '?'}: {first['msg']}"}, 400)
            self._turn(checked)
        return json_response(self._knobs.model_dump(mode="json"))

    def _turn(self, knobs: Knobs) -> None:
        for name in Knobs.model_fields:
            setattr(self._knobs, name, getattr(knobs, name))

    async def _fire(self, request: Request) -> Response:
        try:
            order = Order.model_validate(await read_json(request))
        except ValidationError as error:
            first = error.errors()[0]
            return json_response({"error": f"{first['loc'][0] if first['loc'] else '?'}: {first['msg']}"}, 400)
        if order.action not in actions.NAMES:
            return json_response({"error": f"{order.action!r} is not an action"}, 400)
        hooks = sum(self._firing.fire(order.business_id, order.action) for _ in range(order.count))
        return json_response({"events": order.count, "posts": hooks})

    async def _edit(self, request: Request) -> Response:
        """Change fields of a hook behind everybody's back, or take it away: drift."""
        try:
            record = self._tenant.get(request.path_params["id"])
        except Unknown:
            return json_response({"error": "no such hook"}, 404)
        if request.method == "DELETE":
            self._tenant.delete(record["Id"])
            return json_response({})
        fields = await read_json(request)
        if not isinstance(fields, dict) or fields.keys() - record.keys() or "Id" in fields:
            return json_response({"error": "send an object of fields of the record, without Id"}, 400)
        record |= fields
        self._tenant.is_changed = True
        return json_response(record)

    async def _end_tokens(self, _request: Request) -> Response:
        self._access.expire()
        return json_response({})
