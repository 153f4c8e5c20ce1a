"""The remote control of the simulator, below `/simulator/`: look in, let events happen, turn knobs."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.nexudus import actions
from receiver.simulator.access import Access
from receiver.simulator.account import kinds, views
from receiver.simulator.account.record_store import Records
from receiver.simulator.account.refusals import Unknown
from receiver.simulator.account.scene import Order
from receiver.simulator.account.tenant import Tenant
from receiver.simulator.account.views import Living
from receiver.simulator.faults import Knobs
from receiver.simulator.firing import Firing
from receiver.simulator.outages import Outage, Outages
from receiver.simulator.responses import json_response, read_json
from receiver.simulator.rest_api import SimulatorApi

_MOST_TOLD = 10_000

Number = Annotated[int, Field(ge=0, lt=2**53)]


class Wish(BaseModel):
    """Which events are to happen: to which record, when, and with which fields, all three if somebody minds."""

    model_config = ConfigDict(extra="forbid")

    business_id: int
    action: str
    count: int = Field(1, ge=1, le=1_000)
    id: Number | None = None
    at: AwareDatetime | None = None
    fields: dict[str, Any] | None = Field(None, max_length=200)


class Stock(BaseModel):
    """Records that are to have been there all along, created evenly from *since* to *until*."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    business_id: int
    count: int = Field(1, ge=1, le=250_000)
    since: AwareDatetime
    until: AwareDatetime
    fields: dict[str, Any] = Field(default_factory=dict, max_length=200)


class Control:
    """Reads and changes the other parts."""

    def __init__(
        self,
        tenant: Tenant,
        held: Records,
        outages: Outages,
        access: Access,
        knobs: Knobs,
        firing: Firing,
        api: SimulatorApi,
    ) -> None:
        self._tenant = tenant
        self._records = held
        self._outages = outages
        self._access = access
        self._knobs = knobs
        self._firing = firing
        self._api = api

    def routes(self) -> list[Route]:
        """Return the routes of the remote control."""
        one = "/simulator/records/{module}/{entities}/{id:int}"
        return [
            Route("/simulator/state", self._state, methods=["GET", "DELETE"]),
            Route("/simulator/faults", self._faults, methods=["GET", "POST", "DELETE"]),
            Route("/simulator/fire", self._fire, methods=["POST"]),
            Route("/simulator/happened", self._happened, methods=["GET"]),
            Route("/simulator/outage", self._outage, methods=["GET", "POST", "DELETE"]),
            Route("/simulator/records", self._stock, methods=["POST"]),
            Route(one, self._edit_record, methods=["PATCH", "DELETE"]),
            Route("/simulator/hooks/{id:int}", self._edit, methods=["PATCH", "DELETE"]),
            Route("/simulator/tokens", self._end_tokens, methods=["DELETE"]),
        ]

    async def _state(self, request: Request) -> Response:
        """GET shows everything but records, DELETE starts afresh: no hooks, no tokens, no faults, nothing happened."""
        if request.method == "DELETE":
            self._tenant.forget()
            self._records.clear(datetime.now(UTC))
            self._outages.end()
            self._access.expire()
            self._firing.forget()
            self._turn(Knobs())
        return json_response(
            {
                "businesses": [{"Id": number, "Name": name} for number, name in self._tenant.businesses.items()],
                "hooks": list(self._tenant.hooks.values()),
                "deliveries": self._firing.as_json(),
                "outage": self._outages.as_json(),
                "happened": self._firing.happenings,
                "calls": self._api.meter.total,
                "held": self._api.held,
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
                return _wrong(error)
            self._turn(checked)
        return json_response(self._knobs.model_dump(mode="json"))

    def _turn(self, knobs: Knobs) -> None:
        for name in Knobs.model_fields:
            setattr(self._knobs, name, getattr(knobs, name))

    async def _fire(self, request: Request) -> Response:
        try:
            wish = Wish.model_validate(await read_json(request))
        except ValidationError as error:
            return _wrong(error)
        if wish.action not in actions.NAMES:
            return json_response({"error": f"{wish.action!r} is not an action"}, 400)
        order = Order(wish.action, wish.business_id, wish.at or datetime.now(UTC), wish.id, wish.fields)
        try:
            happened = [one for _ in range(wish.count) for one in self._firing.fire(order)]
        except Unknown:
            return json_response({"error": f"no {actions.entity_kind(wish.action)} {wish.id}"}, 400)
        posts = sum(one["posts"] for one in happened)
        return json_response({"events": wish.count, "posts": posts, "happened": happened[-_MOST_TOLD:]})

    async def _happened(self, request: Request) -> Response:
        """Show what happened after the number `after`, the oldest first; `forgotten`: how much is no longer known."""
        text = request.query_params.get("after", "0")
        after = int(text[:15]) if text.isdecimal() else 0
        told = [one for one in self._firing.happened if one["number"] > after][:_MOST_TOLD]
        forgotten = self._firing.happenings - len(self._firing.happened)
        return json_response({"happened": told, "last": self._firing.happenings, "forgotten": forgotten})

    async def _outage(self, request: Request) -> Response:
        """GET shows the outage of the hooks, POST begins one, DELETE ends it."""
        if request.method == "POST":
            try:
                self._outages.begin(Outage.model_validate(await read_json(request) or {}))
            except ValidationError as error:
                return _wrong(error)
        elif request.method == "DELETE":
            self._outages.end()
        return json_response(self._outages.as_json())

    async def _stock(self, request: Request) -> Response:
        """Add records that were there all along: nothing happens, nothing is told."""
        try:
            stock = Stock.model_validate(await read_json(request))
        except ValidationError as error:
            return _wrong(error)
        if stock.kind not in kinds.KINDS:
            return json_response({"error": f"{stock.kind!r} is not a kind of record"}, 400)
        step = (stock.until - stock.since) / max(stock.count - 1, 1)
        moments = (stock.since + step * turn for turn in range(stock.count))
        made = [self._records.add(stock.kind, stock.business_id, moment, stock.fields).id for moment in moments]
        return json_response({"ids": made})

    async def _edit_record(self, request: Request) -> Response:
        """Change fields of a record, its times too, or take it away: nothing happens, nothing is told."""
        try:
            living = self._living(request)
        except Unknown:
            return json_response({"error": "no such record"}, 404)
        if request.method == "DELETE":
            self._records.vanish(living)
            return json_response({})
        fields = await read_json(request)
        if not isinstance(fields, dict) or fields.keys() - living.record.keys() or "Id" in fields:
            return json_response({"error": "send an object of fields of the record, without Id"}, 400)
        self._records.edit(living, fields)
        return json_response(views.whole(living))

    def _living(self, request: Request) -> Living:
        kind = kinds.BY_PATH.get(f"{request.path_params['module']}/{request.path_params['entities']}")
        if kind is None:
            raise Unknown
        return self._records.find(kind.name, request.path_params["id"])

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


def _wrong(error: ValidationError) -> Response:
    first = error.errors()[0]
    return json_response({"error": f"{first['loc'][0] if first['loc'] else '?'}: {first['msg']}"}, 400)
