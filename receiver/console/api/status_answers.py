"""What endpoints answer about the routing table, workers, the state of the store and the audit log."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from receiver.console.api.event_answers import Next, Time


class Gate(BaseModel):
    """What stands before a route now."""

    state: str
    waiting: int
    paused_at: Time | None
    paused_by: str | None


class Route(BaseModel):
    """A route without the values of its options. *hour*, *day*: deliveries of this hour and of the last day."""

    name: str
    line: int
    actions: list[str]
    businesses: list[int] | None
    where: str | None
    handler: str
    options: list[str]
    queue: str
    timeout_ms: int
    retry_ms: list[int]
    enabled: bool
    shadow: bool
    flow: dict[str, str]
    hour: int
    day: int
    gate: Gate | None


class RoutesProblem(BaseModel):
    """What is wrong in routes.yaml."""

    file: str
    line: int
    message: str


class Routes(BaseModel):
    """A page of the routing table as the console has loaded it."""

    file: str | None
    hash: str | None
    problems: list[RoutesProblem]
    number: int
    routes: list[Route]
    next: Annotated[
        int | None,
        Field(validation_alias="more", serialization_alias="next", description="The `cursor` of the next page."),
    ]


class Queue(BaseModel):
    """A queue of deliveries."""

    name: str
    ready: int
    scheduled: int
    oldest_waiting_ms: int | None


class Running(BaseModel):
    """A delivery that a worker runs."""

    event: str
    action: str
    business_id: int
    route: str
    attempt: int
    received_at: Time | None


class Worker(BaseModel):
    """A worker process."""

    name: str
    host: str | None
    pid: int | None
    queues: list[str]
    since: str | None
    is_live: bool
    lease_until: Time | None
    held: int
    deliveries: list[Running]


class Workers(BaseModel):
    """Workers and queues."""

    number: int
    workers: list[Worker]
    queues: list[Queue]


class Percentiles(BaseModel):
    """Milliseconds; null without a sample."""

    p50: int | None
    p90: int | None
    p99: int | None


class Latency(BaseModel):
    """Of the latest events: from received to started (*wait*), and of handlers' runs (*run*)."""

    events: int
    wait: Percentiles
    run: Percentiles


class Warning(BaseModel):  # noqa: A001 - it is what the console calls it, and what programs read
    """Something that is wrong now."""

    text: str


class HooksSummary(BaseModel):
    """The webhooks in numbers."""

    number: int
    trouble: int
    problem: str | None


class Status(BaseModel):
    """Everything at a glance. *standing*: events by status. *unaccounted*: what the last audit missed, at *audited*."""

    now: Time
    span: str
    received: int
    counters: dict[str, int]
    standing: dict[str, int]
    latency: Latency
    queues: list[Queue]
    waiting: int
    scheduled: int
    oldest_waiting_ms: int | None
    workers: int
    spooled: int
    unaccounted: int | None
    audited: Time | None
    hooks: HooksSummary | None
    warnings: list[Warning] = Field(validation_alias="trouble", serialization_alias="warnings")


class Audit(BaseModel):
    """The audit, as `frontdesk audit --json` prints it."""

    at: Time | None
    events: dict[str, int]
    deliveries: dict[str, int]
    spooled: int
    duplicates: int
    unaccounted: int
    offenders: list[str]


class Act(BaseModel):
    """Who did what."""

    at: Time | None
    who: str
    what: str
    detail: dict[str, Any]


class Acts(BaseModel):
    """A page of the audit log, newest first."""

    acts: list[Act]
    next: Next
