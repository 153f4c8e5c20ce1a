"""The knobs: how the simulated Nexudus misbehaves, by chance or at exactly the next calls."""

import random
import time
from collections import deque
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Names = Annotated[
    list[str],
    BeforeValidator(lambda value: value.split(",") if isinstance(value, str) else value),  # as --knob gives them
    Field(max_length=100),
]


class Fault(StrEnum):
    """One way for a call to go wrong."""

    ERROR = "error"
    """500 with a JSON error."""
    HTML = "html"
    """500 with a page of HTML."""
    OOOPS = "ooops"
    """500 with a JSON error in Nexudus's own words."""
    THROTTLE_429 = "throttle_429"
    """429 that says only in its body how long to wait; nothing is done."""
    THROTTLE = "throttle"
    """409 with Retry-After and an empty body; nothing is done."""
    CUT = "cut"
    """The connection breaks; nothing is done."""
    LOST_ANSWER = "lost_answer"
    """It is done, then the connection breaks."""
    LOST_WRITE = "lost_write"
    """A write reports success and is not done."""
    HOLD = "hold"
    """The call is not answered for two minutes; nothing is done."""
    HOLD_DONE = "hold_done"
    """It is done, and not answered for two minutes."""


class Knobs(BaseModel):
    """Everything that can be set while the simulator runs. Rates of faults are shares of all calls, from 0 to 1."""

    model_config = ConfigDict(extra="forbid")

    events_per_second: float = Field(0, ge=0, le=1_000, description="How many events happen by themselves.")
    retry_scale: float = Field(
        0.1, ge=0, le=10, description="Failed deliveries are repeated ten times, after 10 s to 4 h multiplied by this."
    )
    slow_ms: int = Field(0, ge=0, le=120_000, description="How long each API call waits, in milliseconds.")
    error_rate: Share = Field(0, description="The share of API calls answered 500.")
    html_rate: Share = Field(0, description="The share answered 500 with a page of HTML.")
    ooops_rate: Share = Field(0, description="The share answered 500 with Ooops!")
    throttle_429_rate: Share = Field(0, description="The share answered 429 with the wait in the body, and not done.")
    throttle_rate: Share = Field(0, description="The share answered 409 with Retry-After and not done.")
    cut_rate: Share = Field(0, description="The share whose connection breaks and that are not done.")
    lost_answer_rate: Share = Field(0, description="The share that are done before the connection breaks.")
    lost_write_rate: Share = Field(0, description="The share of writes that report success and are not done.")
    next: list[Fault | None] = Field(
        default_factory=list, max_length=10_000, description="Faults of exactly the next calls; null lets one pass."
    )
    retry_after_s: float = Field(1, ge=0, le=60, description="What a throttled answer says in Retry-After.")
    calls_per_minute: int = Field(
        0, ge=0, le=100_000, description="More calls in any minute are throttled; 120 at the real one; 0: no limit."
    )
    writes_per_minute: int = Field(
        0, ge=0, le=100_000, description="More POST, PUT, DELETE are throttled; 60 at the real one; 0: no limit."
    )
    largest_page: int = Field(1_000, ge=1, le=1_000, description="Pages hold no more records, whatever is asked for.")
    missing_roles: Names = Field(
        default_factory=list, description="Roles that the API user lacks; what needs them is 401."
    )
    unknown_is_404: bool = Field(False, description="An unknown id is answered 404, not 500 with a page of HTML.")
    repeat_pages: bool = Field(False, description="Every page is the first one, and says that there is another.")
    ignored_filters: Names = Field(
        default_factory=list,
        description="Filters that are ignored, such as from_Booking_UpdatedOn; * all.",
    )
    error_of_total: int = Field(0, ge=-1_000_000, le=1_000_000, description="What TotalItems is wrong by.")
    moving_rows: Literal["", "update", "delete"] = Field(
        "", description="After each page that is not the last, this happens to the first row of it."
    )
    hang_at_page: int = Field(0, ge=0, le=1_000_000, description="Searches for this page are answered after 2 minutes.")
    failing_searches: Names = Field(
        default_factory=list, description="Kinds whose searches are 500 with a page of HTML."
    )
    histories_need_invoice: bool = Field(
        False, description="A search of CoworkerInvoiceHistory without its invoice is refused: Missing required filter."
    )
    log_of_deletes: bool = Field(False, description="Each delete leaves a LogEntry.")
    jobs_touch_customers: bool = Field(False, description="AccessControlUpdate moves UpdatedOn; no event says so.")
    most_records: int = Field(
        20_000, ge=100, le=250_000, description="Of a kind that has more, the oldest are forgotten."
    )

    def draw(self) -> Fault | None:
        """Return the fault of the next call."""
        if self.next:
            return self.next.pop(0)
        rates = {fault: float(getattr(self, f"{fault.value}_rate", 0)) for fault in Fault}
        chance = random.random()  # noqa: S311 -- dice, not a secret
        for fault, rate in rates.items():
            if chance < rate:
                return fault
            chance -= rate
        return None


class Meter:
    """Counts the calls of the last minute, and says when there were too many."""

    def __init__(self) -> None:
        self.total = 0
        self.writes_total = 0
        self._calls: deque[float] = deque(maxlen=100_000)
        self._writes: deque[float] = deque(maxlen=100_000)

    def is_over(self, knobs: Knobs, *, write: bool) -> bool:
        """Count a call; say whether it is one too many."""
        self.total += 1
        self.writes_total += write
        now = time.monotonic()
        over = _count(self._calls, now) >= knobs.calls_per_minute > 0
        if write:
            over = over or _count(self._writes, now) >= knobs.writes_per_minute > 0
        if not over:
            self._calls.append(now)
            if write:
                self._writes.append(now)
        return over


def _count(calls: deque[float], now: float) -> int:
    while calls and now - calls[0] >= 60:
        calls.popleft()
    return len(calls)
