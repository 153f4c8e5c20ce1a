"""Hooks that Nexudus does not serve for a while: somebody disables or deletes them, or nothing that is posted arrives.

Whatever Frontdesk repairs meanwhile breaks again. When the outage is over, its hooks stay as they are: as at the real
Nexudus, somebody has to enable or create them.
"""

import asyncio
import time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from receiver.nexudus import actions
from receiver.simulator.account.tenant import Record, Tenant

_TICK_S = 0.1

How = Literal["disable", "delete", "errors"]
Name = Annotated[str, Field(max_length=100)]


class Outage(BaseModel):
    """Which hooks, how, and for how long; no *businesses* or *actions*: those of all."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(60, gt=0, le=86_400)
    how: How = "disable"
    businesses: list[int] = Field(default_factory=list, max_length=1_000)
    actions: list[Name] = Field(default_factory=list, max_length=100)

    def concerns(self, hook: Record) -> bool:
        """Say whether *hook* is one of its hooks."""
        codes = [actions.code_of(name) for name in self.actions]
        return (not self.businesses or hook["BusinessId"] in self.businesses) and (not codes or hook["Action"] in codes)


class Outages:
    """At most one outage of *tenant* at a time."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._current: Outage | None = None
        self._until = 0.0

    def begin(self, outage: Outage) -> None:
        """Begin one; it replaces the one before."""
        self._current, self._until = outage, time.monotonic() + outage.seconds
        self._break()

    def end(self) -> None:
        """End it before its time."""
        self._current = None

    def silences(self, hook: Record) -> bool:
        """Say whether nothing is posted to *hook*."""
        current = self._now()
        return current is not None and current.how != "errors" and current.concerns(hook)

    def fails(self, hook: Record) -> bool:
        """Say whether what is posted to *hook* is lost on the way, and counted against it."""
        current = self._now()
        return current is not None and current.how == "errors" and current.concerns(hook)

    def as_json(self) -> dict[str, object]:
        """Return what is going on; `seconds` 0 when nothing is."""
        current = self._now()
        if current is None:
            return {"seconds": 0}
        return current.model_dump() | {"seconds": round(self._until - time.monotonic(), 1)}

    async def run(self) -> None:
        """Break what somebody repairs, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            self._break()

    def _now(self) -> Outage | None:
        if self._current is not None and time.monotonic() >= self._until:
            self._current = None
        return self._current

    def _break(self) -> None:
        for hook in [hook for hook in self._tenant.hooks.values() if self.silences(hook)]:
            if self._current is not None and self._current.how == "delete":
                self._tenant.delete(hook["Id"])
            elif hook["Active"]:
                hook["Active"] = False
                self._tenant.is_changed = True
