"""What endpoints answer about webhooks: gaps, coverage, the hooks at Nexudus and the plan."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from receiver.console.api.event_answers import Next, Time


class Gap(BaseModel):
    """An interval of a webhook, as `frontdesk gaps --json` prints it."""

    id: str
    business_id: int
    business: str | None
    action: str
    from_: Annotated[Time | None, Field(alias="from")]
    to: Time | None
    why: str
    state: str
    found: int
    made: int
    known: int
    gone: int
    cannot: str | None


class Gaps(BaseModel):
    """A page of gaps, oldest first."""

    gaps: list[Gap]
    next: Next


class HookState(BaseModel):
    """Whether a webhook misses anything, in a sentence."""

    state: str
    why: str


class BusinessCoverage(BaseModel):
    """The webhooks of one location, by action."""

    business_id: int
    business: str | None
    actions: dict[str, HookState]


class Coverage(BaseModel):
    """The state of each webhook at the last look."""

    looked_at: Time | None
    businesses: list[BusinessCoverage]
    more_businesses: int


class Hook(BaseModel):
    """A webhook at Nexudus, as `frontdesk hooks --json` prints it."""

    business_id: int
    action: str
    action_code: int | None
    hook_id: int | None
    active: bool | None
    error_count: int | None
    last_error: str | None
    last_trigger: str | None
    last_received_at: Time | None
    url_key: int | None
    state: str


class Hooks(BaseModel):
    """Our webhooks. *problem*: why they, or what is wanted, cannot be known. *seen_s*: how old this is."""

    hooks: list[Hook]
    number: int
    trouble: int
    problem: str | None
    seen_s: int | None


class PlannedChange(BaseModel):
    """One change at Nexudus; URLs are left out, because they hold tokens."""

    op: Literal["create", "update", "deactivate", "delete"]
    business_id: int
    action: str
    hook_id: int | None
    words: str


class Plan(BaseModel):
    """What `apply` would change. *digest* names exactly this plan; *unsafe*: why it needs `force`."""

    digest: str
    changes: list[PlannedChange]
    unchanged: int
    foreign: int
    elsewhere: int
    warnings: list[str]
    unsafe: str | None


class PlanOrProblem(BaseModel):
    """The plan, or why there is none."""

    plan: Plan | None
    problem: str | None
