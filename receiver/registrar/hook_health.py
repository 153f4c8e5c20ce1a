"""The health of every registration of ours: what Nexudus says of it, and what we last received on it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from receiver.core import timestamps
from receiver.nexudus import actions
from receiver.nexudus.api.registration import Registration
from receiver.registrar.change import HookChange, HookCondition
from receiver.registrar.ownership import Owned, Owner, Ownership
from receiver.registrar.plan import Pair, Plan


@dataclass(frozen=True, slots=True)
class HookRow:
    """One line of `frontdesk hooks`. *registration* is None for one that is missing."""

    business_id: int
    action: str
    registration: Registration | None
    url_key: int | None
    received_ms: int | None
    condition: HookCondition

    def as_json(self, names: Mapping[int, str]) -> dict[str, Any]:
        """Return the row for `--json`. *names*: those of the locations.

        *url_key* counts FRONTDESK_URL_KEYS from 0, the key that signs.
        """
        found = self.registration
        return {
            "business_id": self.business_id,
            "business": names.get(self.business_id),
            "action": self.action,
            "action_code": found.action_code if found else actions.code_of(self.action),
            "hook_id": found.id if found else None,
            "active": found.active if found else None,
            "error_count": found.error_count if found else None,
            "last_error": found.last_error if found else None,
            "last_trigger": found.last_trigger if found else None,
            "last_received_at": timestamps.show(self.received_ms),
            "url_key": self.url_key,
            "state": self.condition.value,
        }


def rows(
    existing: Iterable[Registration], ownership: Ownership, plan: Plan | None, received: Mapping[Pair, int]
) -> tuple[HookRow, ...]:
    """Return a row for each of our registrations, here or elsewhere, and for each that *plan* would create.

    *plan* None: routes.yaml could not be read, so nothing is told about what is wanted.
    """
    changes = {change.hook_id: change for change in plan.changes} if plan else {}
    found = []
    for owned in map(ownership.of, existing):
        if owned.owner is Owner.FOREIGN:
            continue
        condition = _condition(owned, changes.get(owned.registration.id), plan)
        found.append(_row(owned, condition, received))
    for change in plan.changes if plan else ():
        if change.hook_id is None:
            pair = (change.business_id, change.action)
            found.append(HookRow(*pair, None, None, received.get(pair), HookCondition.MISSING))
    return tuple(sorted(found, key=lambda row: (row.business_id, actions.code_of(row.action) or 0, row.action)))


def in_trouble(plan: Plan) -> dict[int, dict[str, int]]:
    """Return for each business how many of its hooks are in which condition, those left out that are healthy."""
    found: dict[int, dict[str, int]] = {}
    conditions = [(change.business_id, change.condition) for change in plan.changes]
    conditions += [(one.business_id, HookCondition.FAILING) for one in plan.failing if one.active]
    for business_id, condition in conditions:
        counts = found.setdefault(business_id, {})
        counts[condition.value] = counts.get(condition.value, 0) + 1
    return found


def foreign_rows(existing: Iterable[Registration], ownership: Ownership) -> tuple[HookRow, ...]:
    """Return a row for each registration of somebody else."""
    owned = (ownership.of(registration) for registration in existing)
    return tuple(_row(one, HookCondition.FOREIGN, {}) for one in owned if one.owner is Owner.FOREIGN)


def _row(owned: Owned, condition: HookCondition, received: Mapping[Pair, int]) -> HookRow:
    registration = owned.registration
    action = owned.action or str(registration.action_code)
    pair = (registration.business_id, action)
    return HookRow(*pair, registration, owned.key_index, received.get(pair), condition)


def _condition(owned: Owned, change: HookChange | None, plan: Plan | None) -> HookCondition:
    registration = owned.registration
    if owned.owner is Owner.ELSEWHERE:
        return HookCondition.ELSEWHERE
    if change:
        return change.condition
    if not registration.active:
        return HookCondition.RETIRED if plan else HookCondition.DISABLED
    return HookCondition.FAILING if registration.error_count else HookCondition.HEALTHY
