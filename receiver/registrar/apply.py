"""Carries out a plan, one registration after another, and looks again until nothing is left that we can do.

Killed at any call and run again, it goes on from what Nexudus then has: nothing is remembered outside Nexudus. Run from
two places at once, the lock lets one write; whoever lost it finds out before the next write.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from receiver.core.errors import CredentialsRefused, NexudusError
from receiver.nexudus import actions
from receiver.nexudus.api.registration import Registration
from receiver.nexudus.api.webhooks import Webhooks
from receiver.registrar.change import ChangeKey, HookChange, HookState, Op
from receiver.registrar.plan import DESCRIPTION, Plan

_ROUNDS = 4
_SILENCES = 3

OnResult = Callable[[HookChange, NexudusError | None], None]
"""Called after each change, with the error when it was refused or left unanswered."""


@dataclass(frozen=True, slots=True)
class RefusedChange:
    """A change that Nexudus refused."""

    change: HookChange
    error: NexudusError


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a plan. *pending*: said to be done or never answered, and still not so on a fresh list."""

    done: tuple[HookChange, ...]
    pending: tuple[HookChange, ...]
    failed: tuple[RefusedChange, ...]

    @property
    def is_complete(self) -> bool:
        """Nothing is left to do."""
        return not self.pending and not self.failed


@dataclass(slots=True)
class _Course:
    """What happened so far: changes that Nexudus said it did, and those it refused, by what they are."""

    done: dict[ChangeKey, HookChange] = field(default_factory=dict)
    refused: dict[ChangeKey, RefusedChange] = field(default_factory=dict)
    doubted: set[ChangeKey] = field(default_factory=set)

    def open(self, plan: Plan) -> list[HookChange]:
        """Return the changes of *plan* that were neither done nor refused."""
        return [change for change in plan.changes if change.key not in self.done and change.key not in self.refused]


class Applier:
    """Writes changes through *webhooks*. *fence* is asked before each write and raises when we may write no more."""

    def __init__(self, webhooks: Webhooks, *, fence: Callable[[], None], on_result: OnResult) -> None:
        self._webhooks = webhooks
        self._fence = fence
        self._on_result = on_result

    def apply(self, plan: Plan, look: Callable[[], Plan]) -> Applied:
        """Carry out *plan*; *look* makes a plan from a fresh list, by which success is judged.

        A change that was left unanswered is planned again, not sent again: a create whose answer was lost may have
        made its hook. One that Nexudus says is done, and is not, is `pending`: it is not tried twice. Raises
        NexudusError when Nexudus refuses us as such (401, 403) or is silent, and whatever the fence raises.
        """
        course = _Course()
        for _ in range(_ROUNDS):
            open_changes = course.open(plan)
            if not open_changes:
                break
            silence = self._round(open_changes, course)
            plan = look()
            if silence is not None and course.open(plan) == open_changes:
                raise silence
        left = tuple(change for change in plan.changes if change.key not in course.refused)
        unreal = {change.key for change in left}
        done = tuple(change for key, change in course.done.items() if key not in unreal)
        return Applied(done, left, tuple(course.refused.values()))

    def _round(self, changes: list[HookChange], course: _Course) -> NexudusError | None:
        """Carry out *changes*. Returns the error when so many in a row had no answer that it is time to look again.

        Either Nexudus is down, or somebody deleted the records: it may answer for those as for a fault of its own.
        """
        silences = 0
        for change in changes:
            silence = self._carry_out(change, course)
            silences = silences + 1 if silence else 0
            if silences >= _SILENCES:
                return silence
        return None

    def _carry_out(self, change: HookChange, course: _Course) -> NexudusError | None:
        """Carry out one change. Returns the error when it is not known what became of it, or of its hook."""
        try:
            written = self._write(change)
        except NexudusError as error:
            if error.gone and change.hook_id is not None:
                return error
            self._on_result(change, error)
            if isinstance(error, CredentialsRefused) or error.status in (401, 403):
                raise
            if not error.is_refusal:
                return error
            if error.ooops and change.hook_id is None and change.key not in course.doubted:
                # The client tries a create once, since it may have been carried out: a fresh list will tell.
                course.doubted.add(change.key)
                return None
            course.refused[change.key] = RefusedChange(change, error)
        else:
            if written:
                course.done[change.key] = change
                self._on_result(change, None)
        return None

    def _write(self, change: HookChange) -> bool:
        """Write one change. Returns False when the record changed since the plan: it is planned again."""
        if change.hook_id is None:
            self._fence()
            self._webhooks.create(_new_record(change))
            return True
        whole = self._webhooks.get(change.hook_id)
        if change.before is None or whole.url != change.before.url:
            return False
        self._fence()
        if change.op is Op.DELETE:
            self._webhooks.delete(change.hook_id)
        elif change.after is not None:
            self._webhooks.update(_whole_record(whole, change.after))
        return True


def _new_record(change: HookChange) -> dict[str, Any]:
    assert change.after is not None  # noqa: S101 -- a create has nothing but an after
    return {
        "BusinessId": change.business_id,
        "Name": change.after.name,
        "Action": actions.code_of(change.after.action),
        "URL": change.after.url,
        "Description": DESCRIPTION,
        "Active": True,
    }


def _whole_record(whole: Registration, after: HookState) -> dict[str, Any]:
    """Return the record to send: everything it holds, since PUT clears what is not sent, with our fields changed.

    https://developers.nexudus.com/rest-api/sys/put-webhooks
    """
    record = dict(whole.record)
    record |= {"Name": after.name, "URL": after.url, "Active": after.active}
    code = actions.code_of(after.action)
    if code is not None:
        record["Action"] = code
    if not record.get("Description"):
        record["Description"] = DESCRIPTION
    return record
