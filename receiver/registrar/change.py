"""One change of a registration at Nexudus, as a value: what it does, to which hook, from what to what. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

DUPLICATE = "duplicate"
"""Why a hook goes although its pair is wanted: another one serves it."""

UNROUTED = "no longer routed"
"""Why a hook goes: nobody wants its pair."""


class HookCondition(StrEnum):
    """The state of one registration."""

    HEALTHY = "healthy"
    FAILING = "failing"
    DISABLED = "disabled"
    DRIFTED = "drifted"
    MISSING = "missing"
    DUPLICATE = "duplicate"
    UNROUTED = "unrouted"
    RETIRED = "retired"
    ELSEWHERE = "elsewhere"
    FOREIGN = "foreign"


class Op(StrEnum):
    """What a change does."""

    CREATE = "create"
    UPDATE = "update"
    DEACTIVATE = "deactivate"
    DELETE = "delete"


ChangeKey = tuple[Op, int, str, int | None]


@dataclass(frozen=True, slots=True)
class HookState:
    """A registration as far as a plan is about it. *action* is a name, or a number that our table does not know."""

    name: str
    url: str
    action: str
    active: bool

    def as_json(self) -> dict[str, Any]:
        """Return the state for `--json`."""
        return {"name": self.name, "url": self.url, "action": self.action, "active": self.active}


@dataclass(frozen=True, slots=True)
class HookChange:
    """One change. *before* is None for a create, *after* for a delete. *why* is a word or a few for people.

    *rotates*: the hook works by an older URL key, and gets the URL of the newest.
    """

    op: Op
    business_id: int
    action: str
    hook_id: int | None
    before: HookState | None
    after: HookState | None
    why: str
    rotates: bool = False

    @property
    def key(self) -> ChangeKey:
        """What tells this change from others, in this plan and in the next."""
        return self.op, self.business_id, self.action, self.hook_id

    @property
    def is_removal(self) -> bool:
        """The pair loses its hook; taking away a duplicate does not count, because another one stays."""
        return self.op in (Op.DEACTIVATE, Op.DELETE) and self.why != DUPLICATE

    @property
    def enables(self) -> bool:
        """The hook was inactive and will be active."""
        return bool(self.op is Op.UPDATE and self.before and not self.before.active)

    @property
    def condition(self) -> HookCondition:
        """The condition of the hook that this change ends."""
        if self.op is Op.CREATE:
            return HookCondition.MISSING
        if self.op is Op.UPDATE:
            return HookCondition.DISABLED if self.enables else HookCondition.DRIFTED
        return HookCondition.DUPLICATE if self.why == DUPLICATE else HookCondition.UNROUTED

    def as_json(self, names: Mapping[int, str]) -> dict[str, Any]:
        """Return the change for `--json`. *names*: those of the locations."""
        return {
            "op": self.op.value,
            "business_id": self.business_id,
            "business": names.get(self.business_id),
            "action": self.action,
            "hook_id": self.hook_id,
            "from": self.before.as_json() if self.before else None,
            "to": self.after.as_json() if self.after else None,
        }
