"""The plan: what has to change so that the hooks follow routes.yaml. Pure; `hooks_at_nexudus.py` asks Nexudus.

A hook that Nexudus has disabled is enabled again; `guardrails` says when that has to wait.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from receiver.core.errors import UnsafePlan
from receiver.nexudus import actions
from receiver.nexudus.api.registration import Registration
from receiver.registrar.change import DUPLICATE, UNROUTED, HookChange, HookState, Op
from receiver.registrar.ownership import Owned, Owner, Ownership, name_of

Pair = tuple[int, str]
"""A business and an action: what there should be exactly one active hook for."""

_UNSAFE_SHARE = 0.3
_UNSAFE_COUNT = 3


@dataclass(frozen=True, slots=True)
class WantedHooks:
    """What routes.yaml asks for: every one of *actions* at every one of *businesses*."""

    businesses: tuple[int, ...]
    actions: frozenset[str]

    def pairs(self) -> Iterator[Pair]:
        """Return each pair, businesses as they are listed, actions by number. `None` happens to nobody."""
        names = sorted(self.actions - {"None"}, key=lambda name: (actions.code_of(name) or 0, name))
        for business_id in dict.fromkeys(self.businesses):
            for action in names:
                yield business_id, action


@dataclass(frozen=True, slots=True)
class Plan:
    """What to change, and what stays: *ours* counts our registrations, *unchanged* those of them that stay.

    *failing* are ours that gather errors at Nexudus, disabled ones included; *serving* the hook of each wanted pair
    that has one, as it was found.
    """

    changes: tuple[HookChange, ...]
    ours: int
    unchanged: int
    foreign: int
    elsewhere: tuple[Owned, ...]
    failing: tuple[Registration, ...] = ()
    warnings: tuple[str, ...] = ()
    serving: Mapping[Pair, Registration] = field(default_factory=dict)

    def check_safe(self) -> None:
        """Raise UnsafePlan when more than 30 % of our registrations (and more than three) would go."""
        removals = sum(change.is_removal for change in self.changes)
        if removals > _UNSAFE_COUNT and removals > _UNSAFE_SHARE * self.ours:
            raise UnsafePlan(
                f"{removals} of our {self.ours} registrations would be deactivated or deleted, more than 30 %;"
                " look at the plan, then repeat with --force"
            )

    def as_json(self, names: Mapping[int, str]) -> dict[str, Any]:
        """Return the plan for `--json`: one object. *names*: those of the locations."""
        return {
            "changes": [change.as_json(names) for change in self.changes],
            "unchanged": self.unchanged,
            "foreign": self.foreign,
            "elsewhere": len(self.elsewhere),
            "elsewhere_at": sorted({owned.home for owned in self.elsewhere}),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """How far a plan goes. *prune*: delete instead of deactivate. *move_from*: take hooks below these URLs for ours."""

    prune: bool = False
    move_from: tuple[str, ...] = ()


def make(
    wanted: WantedHooks,
    existing: Iterable[Registration],
    ownership: Ownership,
    *,
    scope: Scope | None = None,
    unsigned: Collection[int] = (),
) -> Plan:
    """Compare *wanted* with *existing*. *unsigned* are businesses without a shared secret, to warn of."""
    scope = scope or Scope()
    everything = [ownership.of(registration, move_from=scope.move_from) for registration in existing]
    ours = [owned for owned in everything if owned.owner is Owner.OURS]
    by_pair: dict[Pair | None, list[Owned]] = defaultdict(list)
    for owned in ours:
        by_pair[owned.pair].append(owned)
    changes = []
    serving: dict[Pair, Registration] = {}
    for pair in wanted.pairs():
        found = _ranked(pair, by_pair.pop(pair, []), ownership)
        if found:
            serving[pair] = found[0].registration
        changes += _for_pair(pair, found, ownership, scope)
    leftover = (owned for group in by_pair.values() for owned in group)
    for owned in sorted(leftover, key=lambda owned: owned.registration.id):
        changes += _remove(owned, UNROUTED, scope)
    return Plan(
        changes=tuple(changes),
        ours=len(ours),
        unchanged=len(ours) - sum(change.hook_id is not None for change in changes),
        foreign=sum(owned.owner is Owner.FOREIGN for owned in everything),
        elsewhere=tuple(owned for owned in everything if owned.owner is Owner.ELSEWHERE),
        failing=tuple(owned.registration for owned in ours if owned.registration.error_count),
        warnings=_warnings(wanted, unsigned),
        serving=serving,
    )


DESCRIPTION = "Managed by Frontdesk: it follows routes.yaml, and changes made here are undone."


def _right(pair: Pair, ownership: Ownership) -> HookState:
    return HookState(name_of(pair[1]), ownership.url(*pair), pair[1], active=True)


def _ranked(pair: Pair, found: list[Owned], ownership: Ownership) -> list[Owned]:
    """Return the hooks of a pair, the best of them first, the oldest of equals."""
    right = _right(pair, ownership)
    return sorted(
        found,
        key=lambda owned: (
            state_of(owned.registration) != right,
            not owned.registration.active,
            bool(owned.home),
            owned.registration.id,
        ),
    )


def _for_pair(pair: Pair, ranked: list[Owned], ownership: Ownership, scope: Scope) -> list[HookChange]:
    """Return what makes exactly one right hook out of those found; the first of them is kept."""
    right = _right(pair, ownership)
    if not ranked:
        return [HookChange(Op.CREATE, *pair, None, None, right, "missing")]
    changes = []
    kept = ranked[0].registration
    before = state_of(kept)
    if before != right:
        why, rotates = ", ".join(_differences(before, right)), before.active and _is_of_older_key(ranked[0])
        changes.append(HookChange(Op.UPDATE, *pair, kept.id, before, right, why, rotates))
    for owned in ranked[1:]:
        changes += _remove(owned, DUPLICATE, scope)
    return changes


def _is_of_older_key(owned: Owned) -> bool:
    return bool(owned.key_index) and not owned.home


def _remove(owned: Owned, why: str, scope: Scope) -> list[HookChange]:
    """Return the change that takes a hook away; none for one that is inactive already and may stay."""
    registration = owned.registration
    before = state_of(registration)
    business_id, action = registration.business_id, owned.action or before.action
    if scope.prune:
        return [HookChange(Op.DELETE, business_id, action, registration.id, before, None, why)]
    if not registration.active:
        return []
    after = HookState(before.name, before.url, before.action, active=False)
    return [HookChange(Op.DEACTIVATE, business_id, action, registration.id, before, after, why)]


def state_of(registration: Registration) -> HookState:
    """Return the part of a registration that plans are about."""
    action = _NAMES.get(registration.action_code, str(registration.action_code))
    return HookState(registration.name, registration.url, action, registration.active)


_NAMES: Mapping[int, str] = {code: name for name, code in actions.CODES.items()}


def _differences(before: HookState, after: HookState) -> Iterator[str]:
    if before.url != after.url:
        yield "url"
    if before.name != after.name:
        yield "name"
    if before.action != after.action:
        yield "action"
    if before.active != after.active:
        yield "inactive"


def _warnings(wanted: WantedHooks, unsigned: Collection[int]) -> tuple[str, ...]:
    bare = [str(business_id) for business_id in wanted.businesses if business_id in unsigned]
    if not bare:
        return ()
    shown = ", ".join(bare[:10]) + (f" and {len(bare) - 10} more" if len(bare) > 10 else "")
    return (
        f"no shared secret for business {shown}: its events are believed by their URL; see FRONTDESK_WEBHOOK_SECRETS",
    )
