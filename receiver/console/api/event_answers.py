"""What endpoints answer about events and failures. Keys are those of the commands' `--json`.

Programs must ignore keys that they do not know. A field without a default is always there; one with a default only
when there is something to say.
"""

from typing import Annotated, Any

from pydantic import BaseModel, Field

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339, UTC."""

Next = Annotated[
    str | None, Field(validation_alias="more", serialization_alias="next", description="The `cursor` of the next page.")
]


class Delivery(BaseModel):
    """One event for one route."""

    id: str
    route: str
    status: str
    attempts: int
    next_attempt_at: Time | None
    error: str | None
    origin: str | None
    waits_for: str | None


class Event(BaseModel):
    """An event, as `frontdesk events --json` prints it."""

    id: str
    action: str
    action_code: int | None
    business_id: int
    received_at: Time | None
    origin: str
    status: str
    deliveries: list[Delivery]
    shadow: list[str] | None = None
    reason: str | None = None
    edited_from: str | None = None
    erased_at: Time | None = None


class Attempt(BaseModel):
    """One run of a delivery's handler."""

    delivery: str
    route: str
    number: int | None
    outcome: str | None
    started_at: Time | None
    ended_at: Time | None
    duration_ms: int | None
    error: str | None
    worker: str | None


class FullEvent(Event):
    """An event with its record and attempts, as `frontdesk show --json` prints it."""

    verified_by: str | None
    entity: str | None
    routes: str | None
    data: Any
    body: str | None = None
    attempts: list[Attempt]


class ShownEvent(FullEvent):
    """One event. *replayable*: the routes that a replay would deliver it to."""

    is_masked: bool
    size: int
    replayable: list[str]


class Page(BaseModel):
    """What pages have in common. *is_cut*: time was up before the page was full; nothing was left out."""

    next: Next
    is_cut: bool
    looked_at: int
    looked_back_to: Time | None


class Events(Page):
    """A page of events, newest first."""

    events: list[Event]


class FieldChange(BaseModel):
    """A field of a record that changed, its values as JSON."""

    name: str
    old: str
    new: str


class StoryEvent(Event):
    """An event of a record. *changes* since the one before; null: none before it is known."""

    changes: list[FieldChange] | None


class Story(Page):
    """A page of the events of one record, newest first."""

    entity: str
    events: list[StoryEvent]
    is_masked: bool


class Copies(BaseModel):
    """The next events in the order in which they were stored. *more*: there are more already."""

    events: list[FullEvent]
    cursor: str
    more: bool


class Explained(BaseModel):
    """Whether a route matches, and why not. *note*: what else is to be known, or an empty text."""

    route: str
    matched: bool
    why_not: str | None
    failed: bool
    note: str


class Explanation(BaseModel):
    """Every route of the current table."""

    routes: list[Explained] = Field(validation_alias="explained", serialization_alias="routes")


class FailureGroup(BaseModel):
    """A group of failures, as `frontdesk failures --json` prints it."""

    id: str
    route: str
    error: str
    count: int
    dead: int
    retrying: int
    first: Time | None
    last: Time | None
    status: str
    sample: str
    trend: list[int]
    opened: Time | None
    closed: Time | None
    who: str | None
    reason: str | None
    until: Time | None


class RouteChange(BaseModel):
    """What changed before a group began."""

    at: Time | None
    text: str


class ShownFailureGroup(FailureGroup):
    """One group, with the error of its sample and what changed on the route before."""

    excerpt: str | None
    changes: list[RouteChange]


class Failures(BaseModel):
    """All groups. *is_cut*: there are more failures than are counted."""

    groups: list[FailureGroup]
    open: int
    is_cut: bool
