"""What endpoints take: queries and JSON bodies as models, and how they become the fields that pages read."""

import json
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from starlette.datastructures import QueryParams

from receiver.console.framework.page import Fields
from receiver.console.pages import failures
from receiver.console.pages.overview import SPANS
from receiver.core.errors import UsageError
from receiver.core.events import EventStatus
from receiver.core.sanitize import plain
from receiver.core.suggest import hint
from receiver.failures.failure_groups import Status
from receiver.storage.shared.gap_ledger import GapState

_LARGEST: Final = 999_999_999_999_999


def _whole(written: Any) -> Any:
    if isinstance(written, str) and not (written.isascii() and written.isdigit() and len(written) <= 15):
        raise ValueError("must be a whole number")
    return int(written) if isinstance(written, str) else written


def _flag(written: Any) -> Any:
    if isinstance(written, str) and written not in ("true", "false"):
        raise ValueError("must be true or false")
    return written == "true" if isinstance(written, str) else written


Whole = Annotated[int, BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Text = Annotated[str, StringConstraints(max_length=300)]
Business = Annotated[int, Field(ge=0, le=_LARGEST, description="The number of a location."), BeforeValidator(_whole)]
Moment = Annotated[Text, Field(description="A time (2026-05-01T12:00:00Z), a date, or an age with its unit (2h).")]
Cursor = Annotated[Text, Field(description="The `next` of the page before.")]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Body(BaseModel):
    """A JSON object; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


class Query(Body):
    """What every look takes."""

    redact: Flag = Field(default=False, description="Answer an admin as a viewer: without what may be personal.")


class Filters(Body):
    """Which events are meant. Without any of them, all are."""

    action: Text | None = Field(default=None, description="Only events of this action.")
    business: Business | None = None
    route: Text | None = Field(default=None, description="Only events with a delivery by this route.")
    status: EventStatus | None = None
    since: Moment | None = None
    until: Moment | None = None
    text: Text | None = Field(
        default=None, description="A text in the record; for admins, and the audit log records it."
    )


class EventQuery(Filters, Query):
    """A page of events."""

    cursor: Cursor | None = Field(default=None, serialization_alias="after")
    limit: Whole = Field(default=50, ge=1, le=200)


class EntityQuery(Query):
    """A page of the story of a record."""

    cursor: Cursor | None = Field(default=None, serialization_alias="after")


class CopiesQuery(Query):
    """Which copies come next."""

    action: Text | None = None
    business: Business | None = None
    route: Text | None = None
    since: Moment | None = None
    cursor: Annotated[str, StringConstraints(max_length=300)] | None = Field(
        default=None, description="The `cursor` of the answer before."
    )


class StatusQuery(Query):
    """Over which time traffic is counted."""

    span: Annotated[str, Field(json_schema_extra={"enum": list(SPANS)})] = "hour"


class FailureQuery(Query):
    """Which groups, and in which order."""

    route: Text | None = None
    status: Status | None = None
    sort: Literal["count", "first", "last", "route"] = "count"


class GapQuery(Query):
    """Which gaps."""

    action: Text | None = None
    business: Business | None = None
    state: GapState | None = None
    cursor: Cursor | None = None
    limit: Whole = Field(default=100, ge=1, le=500)


class HooksQuery(Query):
    """*look*: ask Nexudus again, although what is known is fresh."""

    prune: Flag = Field(default=False, description="Plan to delete what is not wanted, too.")
    look: Flag = Field(default=False, description="Ask Nexudus now.")


class RoutesQuery(Query):
    """A page of routes."""

    cursor: Annotated[int, Field(ge=0, le=1_000_000), BeforeValidator(_whole)] | None = Field(
        default=None, serialization_alias="from"
    )


class ActsQuery(Query):
    """A page of the audit log."""

    since: Moment | None = None
    cursor: Cursor | None = None
    limit: Whole = Field(default=100, ge=1, le=500)


class ReplayOne(Body):
    """*route*: only for this route."""

    route: Text | None = None


class Edit(Body):
    """The edited record."""

    data: dict[str, Any] = Field(serialization_alias="record")


class Selection(Filters):
    """Which events an act is about. *dry_run*: only count them."""

    dry_run: bool = False


class Explain(Body):
    """A record to explain."""

    action: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    business_id: Annotated[int, Field(ge=0, le=_LARGEST, serialization_alias="business")]
    data: dict[str, Any] = Field(serialization_alias="record")


class Acknowledge(Body):
    """Why a group may be left alone."""

    reason: Reason


class Snooze(Acknowledge):
    """For how long."""

    for_: Text = Field(default=failures.SNOOZES[0], alias="for", description="A duration with its unit (4h).")


class ReplayGroup(Body):
    """*most*: only so many events, the oldest first."""

    most: int | None = Field(default=None, ge=1, le=_LARGEST)


class Apply(Body):
    """The plan that was looked at, by its digest."""

    digest: Text
    prune: bool = False
    force: bool = Field(default=False, description="Also when it takes much away.")


class Backfill(Body):
    """What is back-filled: gaps that are due or wait for a person, or everything since a time."""

    since: Moment | None = None
    until: Moment | None = None
    gaps: list[Text] = Field(default=[], max_length=1_000, description="Only the gaps with these ids.")
    actions: list[Text] = Field(default=[], max_length=100)
    businesses: list[Annotated[int, Field(ge=0, le=_LARGEST)]] = Field(default=[], max_length=1_000)
    routes: list[Text] = Field(default=[], max_length=1_000)
    weak: bool = Field(default=False, description="Also what can only be guessed.")


class Nothing(Body):
    """An empty object, or no body at all."""


def read_query(model: type[BaseModel], given: QueryParams) -> BaseModel:
    """Read a query. Raises UsageError, which names the parameter."""
    names = [name for name, _ in given.multi_items()]
    if twice := next((name for name in names if names.count(name) > 1), None) if len(names) < 50 else "query":
        raise UsageError(f"{plain(twice)[:40]}: it is given more than once; give it once")
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise UsageError(_sentence(error, model)) from None


def read_body(model: type[BaseModel], content: bytes) -> BaseModel:
    """Read a JSON body. Raises UsageError, which names the field and quotes no value."""
    try:
        return model.model_validate_json(content or b"{}", strict=True)
    except ValidationError as error:
        raise UsageError(_sentence(error, model)) from None


def fields_of(given: BaseModel | None) -> Fields:
    """Return what was given as the texts that pages read."""
    if given is None:
        return {}
    shape = given.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: _text(value) for name, value in shape.items() if value is not False}


def _text(value: Any) -> str:
    if value is True:
        return "yes"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """Say what is wrong first, without the value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = plain(".".join(str(part) for part in first["loc"]))[:80] or "body"
    if first["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in model.model_fields.items()]
        return f"{name}: is not known here{hint(name, known)}"
    return f"{name}: {first['msg'].removeprefix('Value error, ')}"
