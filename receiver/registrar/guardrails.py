"""What the watch holds back from a plan, and for how long. Pure.

A person who runs `apply` means it. The watch acts alone, so it waits: a week before it takes a hook away that is no
longer routed, for proof that the receiver can be reached before it re-enables one, for the receivers to have a new URL
key before hooks move to it, and longer each time for one that Nexudus disables again and again.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from receiver.core.errors import UnsafePlan
from receiver.registrar.change import ChangeKey, HookChange
from receiver.registrar.plan import Plan
from receiver.storage.shared.registrar_state import Flap

_MINUTE_MS = 60_000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Guardrails:
    """How long the watch waits, in milliseconds.

    *grace_ms* before it deactivates what is no longer routed; *first_pause_ms* before it re-enables a hook for the
    second time in a row, then twice as long each time up to *longest_pause_ms*; a hook that stayed healthy for
    *healed_ms* after it was re-enabled starts afresh.
    """

    grace_ms: int = 7 * _DAY_MS
    first_pause_ms: int = 10 * _MINUTE_MS
    longest_pause_ms: int = _DAY_MS
    healed_ms: int = 2 * _DAY_MS

    def pause_ms(self, flap: Flap | None) -> int:
        """Return how long a hook must have been left alone before it is re-enabled again."""
        if flap is None or flap.count <= 0:
            return 0
        return min(self.longest_pause_ms, self.first_pause_ms << min(flap.count - 1, 20))

    def next_flap(self, flap: Flap | None, now_ms: int) -> Flap:
        """Return what to remember of a hook that is re-enabled now."""
        return Flap(count=(flap.count if flap and not self.is_healed(flap, now_ms) else 0) + 1, last_ms=now_ms)

    def is_healed(self, flap: Flap, now_ms: int) -> bool:
        """Say whether a hook that is active was re-enabled so long ago that it counts as healthy."""
        return now_ms - flap.last_ms >= self.healed_ms


@dataclass(frozen=True, slots=True)
class Held:
    """A change that the watch does not make now, and why."""

    change: HookChange
    why: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known from before, by hook id: since when it has been unrouted (Unix milliseconds), how often it flapped.

    *doubts* are changes that Nexudus said it made, and did not.
    """

    unrouted_since: Mapping[int, int] = field(default_factory=dict)
    flaps: Mapping[int, Flap] = field(default_factory=dict)
    doubts: Mapping[ChangeKey, Flap] = field(default_factory=dict)


def hold_back(
    plan: Plan,
    *,
    guardrails: Guardrails,
    now_ms: int,
    remembered: Remembered,
    unreachable: Callable[[], str | None],
    behind: Callable[[], str | None],
) -> tuple[Plan, tuple[Held, ...]]:
    """Return the part of *plan* to carry out now, and what is held back.

    *unreachable* says why the receiver cannot be reached through the public URL, or None when it was; it is asked only
    when a hook is to be re-enabled. *behind* says that a receiver does not take hooks of the first URL key yet, or
    None; it is asked only when a hook that works is to leave an older key.
    """
    changes = []
    held = []
    for change in plan.changes:
        why = _reason(change, guardrails, now_ms, remembered)
        if not why and change.enables:
            why = unreachable()
        if not why and change.rotates:
            why = behind()
        if why:
            held.append(Held(change, why))
        else:
            changes.append(change)
    now = dataclasses.replace(plan, changes=tuple(changes))
    try:
        now.check_safe()
    except UnsafePlan as error:
        held += [Held(change, str(error)) for change in changes if change.is_removal]
        now = dataclasses.replace(plan, changes=tuple(change for change in changes if not change.is_removal))
    return now, tuple(held)


def _reason(change: HookChange, guardrails: Guardrails, now_ms: int, remembered: Remembered) -> str | None:
    doubt = remembered.doubts.get(change.key)
    if doubt is not None and now_ms - doubt.last_ms < guardrails.pause_ms(doubt):
        return "Nexudus accepted this change and does not show it; left alone for a while"
    if change.hook_id is None:
        return None
    if change.is_removal:
        since = remembered.unrouted_since.get(change.hook_id, now_ms)
        return "no longer routed, but the grace period is not over" if now_ms - since < guardrails.grace_ms else None
    flap = remembered.flaps.get(change.hook_id) if change.enables else None
    if flap is not None and now_ms - flap.last_ms < guardrails.pause_ms(flap):
        return f"already re-enabled {flap.count} times, left alone for a while"
    return None
