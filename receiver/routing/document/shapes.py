"""The shape of routes.yaml: every key, with the sentence that the JSON Schema of it shows (`frontdesk routes schema`).

Closed to unknown keys. What the values may be is in `values.py` and `plain_values.py`.
"""

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from receiver.routing.document.plain_values import Unfit, by_number, fits, mapping, only_list, only_text
from receiver.routing.document.values import (
    DAY_MS,
    Actions,
    AllOrLocations,
    At,
    Business,
    Concurrency,
    Count,
    Currency,
    HandlerName,
    Locations,
    Name,
    OneAction,
    OrderKey,
    Period,
    Queue,
    RecordId,
    RecordKind,
    RecordOrPath,
    Retry,
    StartLimit,
    Switch,
    Timeout,
    TimeZone,
    Wait,
    Where,
    named_records,
)
from receiver.routing.flow_rules import Key

MAX_ROUTES = 5_000
MAX_EXAMPLES = 1_000
"""Tests of one route."""


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)


class Defaults(_Shape):
    """What holds for every route that does not say otherwise."""

    timeout: Timeout = Field(30_000, description="How long one attempt may take: 1ms to 24h.")
    retry: Retry = Field(
        (10_000, 60_000, 600_000, 3_600_000, 21_600_000),
        description="The delay before each further attempt; [] for none.",
    )
    queue: Queue = Field("default", description="The queue that deliveries wait in.")
    time_zone: TimeZone = Field("", description="The time zone of every location that does not name its own.")
    currency: Currency = Field("", description="The currency of every location that does not name its own.")


class LocationShape(_Shape):
    """What templates may say of a location."""

    name: Annotated[str, Field(max_length=200), BeforeValidator(only_text)] = Field("", description="Its name.")
    time_zone: TimeZone | None = Field(None, description="Its time zone, as Europe/Paris.")
    currency: Currency | None = Field(None, description="Its currency, as EUR.")


class ExampleShape(_Shape):
    """A record that a route wants, or does not want."""

    record: RecordOrPath = Field(
        description="The record, or the path of a file with it, from the folder of routes.yaml."
    )
    action: OneAction | None = Field(None, description="What happened. Default: the first action that the route wants.")
    business: Business | None = Field(None, description="Where. Default: the first location that the route wants.")
    match: Switch = Field(True, description="Whether the route is to want the record.")


class EnrichShape(_Shape):
    """A record that workers read from Nexudus before the handler runs."""

    kind: RecordKind = Field(description="Its kind, Coworker, or where the API has it, spaces/coworkers.")
    id: RecordId = Field(description="Its id: a CEL expression over data, action and business_id. It may be nothing.")


class RouteShape(_Shape):
    """One route."""

    name: Name | None = Field(None, description="Unique; in logs, metrics and commands. Default: the handler's name.")
    action: Actions = Field(description='Names of Nexudus actions, or wildcards ("CoworkerInvoice*"), or "*" for all.')
    business: Locations | None = Field(
        None, description="Only events of this Nexudus location, or of these. Default: of all."
    )
    enrich: Annotated[dict[str, Annotated[EnrichShape, BeforeValidator(mapping)]], BeforeValidator(named_records)] = (
        Field(
            default_factory=dict,
            description="Records that workers read from Nexudus before the handler runs, by the names that where, "
            "templates and handlers have for them.",
        )
    )
    where: Where | None = Field(
        None,
        description="A CEL expression over data, action, business_id and what enrich names; only events for which it "
        "is true. One that names an enriched record is evaluated by the worker.",
    )
    handler: HandlerName = Field(description="An installed handler's name, or module:function.")
    options: Annotated[dict[str, Any], BeforeValidator(mapping)] = Field(
        default_factory=dict, alias="with", description="The handler's options; env/NAME and file/PATH for secrets."
    )
    queue: Queue | None = Field(None, description="The queue that deliveries wait in.")
    timeout: Timeout | None = Field(None, description="How long one attempt may take: 1ms to 24h.")
    retry: Retry | None = Field(
        None,
        description="The delay before each further attempt; [] for none. Deliveries that use it up before their target "
        "is known to be down (five in a row over two seconds, or twenty at once) are dead; later ones wait for it.",
    )
    order: OrderKey | None = Field(
        None,
        description="Deliveries of one key run one after another, as their events came: entity, or a CEL expression.",
    )
    debounce: Wait | None = Field(
        None,
        description="Only the newest event of a key is handled, once none has come for so long, and ten times as long "
        "after the first at the latest. Key: order's.",
    )
    delay: Wait | None = Field(None, description="Each delivery waits so long before its first attempt.")
    limit: StartLimit | None = Field(None, description="At most so many attempts begin: 10/s, 100/m, 5000/h.")
    concurrency: Concurrency | None = Field(None, description="At most so many attempts at once, of all workers.")
    per: OrderKey | None = Field(
        None, description="Limit and concurrency count by this key, not all together: entity, or a CEL expression."
    )
    give_up: Wait | None = Field(
        None, description="How long a target is waited for that is down or asks to wait. Default: 3d."
    )
    max_age: Wait | None = Field(
        None,
        description="A delivery that has not started so long after its event came (with `at`: after its time) is "
        "discarded: too late.",
    )
    at: At | None = Field(
        None,
        description="A CEL expression that yields the time at which deliveries start. A newer event of the same entity "
        "replaces the delivery that waits, or calls it off if `where` does not match it.",
    )
    cancelled_by: Actions | None = Field(
        None, description="Events of these actions call off the delivery of their entity that waits; with `at`."
    )
    enabled: Switch = Field(True, description="false: the route takes no events.")
    nexudus: Annotated[str, BeforeValidator(fits("read|write", "write read or write"))] = Field(
        "read", description="write: a handler that asks for nexudus may also change records there."
    )
    shadow: Switch = Field(
        False, description="true: what the route wants is noted on each event, and its handler never runs."
    )
    tests: Annotated[
        tuple[Annotated[ExampleShape, BeforeValidator(mapping)], ...],
        Field(max_length=MAX_EXAMPLES),
        BeforeValidator(only_list),
    ] = Field((), description="Records that the route wants or does not want; frontdesk check tries them.")
    replay: Annotated[str, BeforeValidator(fits("always|confirm", "write always or confirm"))] = Field(
        "always", description="confirm: a replay leaves the route out unless it is named with --route."
    )

    backfill: Annotated[str, BeforeValidator(fits("auto|confirm|never", "write auto, confirm or never"))] = Field(
        "auto", description="Events that back-fill finds: auto, confirm (only by `frontdesk backfill`), never."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.per and not self.limit and not self.concurrency:
            raise Unfit("per: says what limit and concurrency count by, and the route has neither")
        if self.debounce and self.delay:
            raise Unfit("debounce: waits already; remove delay")
        if self.at and (self.debounce or self.delay):
            raise Unfit(f"at: says when deliveries start; remove {'debounce' if self.debounce else 'delay'}")
        if self.at and self.order and self.order != Key():
            raise Unfit("at: deliveries of one entity follow one another already; remove order")
        if self.cancelled_by and not self.at:
            raise Unfit("cancelled_by: calls off deliveries that wait for their time, and the route has no `at`")
        return self


class ReconcileShape(_Shape):
    """What is done about events that no webhook brought."""

    backfill: Annotated[str, BeforeValidator(fits("auto|confirm|never", "write auto, confirm or never"))] = Field(
        "auto", description="Whether the registrar fills gaps: auto, confirm (only `frontdesk backfill` does), never."
    )
    window: Period = Field(31 * DAY_MS, description="How far back gaps are filled by themselves: 1h to 366d.")
    limit: Count = Field(500, description="Above so many events a person is asked first: 0 to 1,000,000.")
    deletes: Annotated[str, BeforeValidator(fits("off|daily", "write off or daily"))] = Field(
        "off", description="daily: the Ids of kinds without an audit trail are compared each day, to find deletes."
    )


class Document(_Shape):
    """routes.yaml: which Nexudus events go to which handlers."""

    businesses: AllOrLocations = Field(
        (), description="Nexudus locations to register webhooks at; all, the default: those that the account can see."
    )
    defaults: Annotated[Defaults, BeforeValidator(mapping)] = Field(default_factory=Defaults)
    locations: Annotated[
        dict[Business, Annotated[LocationShape, BeforeValidator(mapping)]], BeforeValidator(by_number)
    ] = Field(default_factory=dict, description="What templates may say of locations, by their numbers.")
    reconcile: Annotated[ReconcileShape, BeforeValidator(mapping)] = Field(
        default_factory=ReconcileShape, description="What is done about events that no webhook brought."
    )
    queues: Annotated[tuple[Queue, ...], BeforeValidator(only_list)] = Field(
        (), description="Queues in order of priority; those that only routes name come behind."
    )
    routes: Annotated[
        tuple[Annotated[RouteShape, BeforeValidator(mapping)], ...],
        Field(max_length=MAX_ROUTES),
        BeforeValidator(only_list),
    ]


def keys_of(shape: type[BaseModel]) -> tuple[str, ...]:
    """Return the keys of a shape as one writes them."""
    return tuple(field.alias or name for name, field in shape.model_fields.items())
