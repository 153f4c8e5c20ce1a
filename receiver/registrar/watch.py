"""The registrar as a loop: one leader among the replicas looks at Nexudus again and again, and mends what it may.

It never moves hosts and never forces. What it must not do yet it holds back (`guardrails`), and says so in the log.
"""

import contextlib
import functools
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import structlog

from receiver.core.errors import NexudusError
from receiver.nexudus.api.webhooks import Webhooks
from receiver.registrar import hook_health
from receiver.registrar.apply import Applied, Applier
from receiver.registrar.change import ChangeKey, HookChange, HookCondition, Op
from receiver.registrar.gap_keeper import GapKeeper
from receiver.registrar.guardrails import Guardrails, Held, Remembered, hold_back
from receiver.registrar.hooks_at_nexudus import Planner
from receiver.registrar.plan import Plan, WantedHooks
from receiver.routing.table import RoutingTable
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.lock import Lock
from receiver.storage.shared.registrar_state import Flap, HooksFound, RegistrarState

_WHO = "watch"
_HOOK_PATH = re.compile(r"/hooks/\S*")
_ACTS = {Op.CREATE: "created", Op.UPDATE: "updated", Op.DEACTIVATE: "deactivated", Op.DELETE: "deleted"}


def act_of(change: HookChange) -> str:
    """Return what a change did, as logs and counters name it."""
    return "reenabled" if change.enables else _ACTS[change.op]


@dataclass(frozen=True, slots=True)
class WatchParts:
    """What the watch works with. *routes* returns the routing table, None while there is no valid one.

    *unreachable* and *behind* probe the receiver; *lock* is `apply`'s, too. *gaps* keeps the ledger of what was missed.
    """

    webhooks: Webhooks
    planner: Planner
    memory: RegistrarState
    acts: AuditLog
    lock: Lock
    routes: Callable[[], RoutingTable | None]
    unreachable: Callable[[], str | None]
    behind: Callable[[], str | None]
    gaps: GapKeeper
    names: BusinessNames


@dataclass(slots=True)
class _Logged:
    """What is in the log already, so that it is not logged every minute; and changes that Nexudus only claims to have
    made."""

    held: set[tuple[int | None, str]] = field(default_factory=set)
    failing: dict[int, int] = field(default_factory=dict)
    doubts: dict[ChangeKey, Flap] = field(default_factory=dict)


class RegistrarWatch:
    """Reconciles. *leads* raises when we are no longer the leader; it is asked before each write."""

    def __init__(
        self,
        parts: WatchParts,
        *,
        leads: Callable[[], None],
        guardrails: Guardrails | None = None,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1_000),
    ) -> None:
        self._parts = parts
        self._leads = leads
        self._guardrails = guardrails or Guardrails()
        self._now_ms = now_ms
        self._is_noted = False
        self._logged = _Logged()
        self._log = structlog.get_logger()

    def reconcile(self) -> Applied | None:
        """Bring Nexudus one step nearer to routes.yaml. Returns None when there is nothing to go by, or no turn for us.

        Raises NexudusError and StorageUnavailable; the next round begins from what is there then.
        """
        routes = self._parts.routes()
        if routes is None:
            return None
        self._is_noted = False
        with self._noting_failure():
            wanted = self._parts.planner.wanted(routes)
        self._parts.names.remember(self._parts.planner.names)
        with self._parts.lock as lock:
            holder = lock.take()
            if holder is not None:
                self._log.info("registrar.busy", holder=holder)
                return None
            return self._mend(wanted)

    def _mend(self, wanted: WantedHooks) -> Applied:
        probes = functools.cache(self._parts.unreachable), functools.cache(self._parts.behind)
        look = functools.partial(self._look, wanted, *probes)
        plan = look()
        applier = Applier(self._parts.webhooks, fence=self._fence, on_result=self._log_result)
        applied = applier.apply(plan, look)
        self._doubt(applied)
        if applied.done:
            self._parts.acts.record("hooks.reconciled", who=_WHO, **Counter(map(act_of, applied.done)))
        self._log.info(
            "registrar.reconciled",
            done=len(applied.done),
            pending=len(applied.pending),
            failed=len(applied.failed),
            unchanged=plan.unchanged,
            foreign=plan.foreign,
            elsewhere=len(plan.elsewhere),
        )
        return applied

    def _doubt(self, applied: Applied) -> None:
        """Remember what Nexudus only says: to ask for it every minute might make a hook a minute that nobody sees."""
        now_ms = self._now_ms()
        for change in applied.pending:
            self._log.error("registration.pending", **_facts(change))
            self._logged.doubts[change.key] = self._guardrails.next_flap(self._logged.doubts.get(change.key), now_ms)
        for change in applied.done:
            self._logged.doubts.pop(change.key, None)

    def _look(
        self, wanted: WantedHooks, unreachable: Callable[[], str | None], behind: Callable[[], str | None]
    ) -> Plan:
        began_ms = self._now_ms()
        with self._noting_failure():
            plan = self._parts.planner.plan(wanted)
        now_ms = self._now_ms()
        self._note(plan, wanted, unreachable, now_ms, began_ms)
        removals = [change.hook_id for change in plan.changes if change.is_removal and change.hook_id is not None]
        flaps = self._parts.memory.flaps()
        open_hooks = {change.hook_id for change in plan.changes}
        self._parts.memory.forget_flaps(
            hook for hook, flap in flaps.items() if hook not in open_hooks and self._guardrails.is_healed(flap, now_ms)
        )
        allowed, held = hold_back(
            plan,
            guardrails=self._guardrails,
            now_ms=now_ms,
            remembered=Remembered(
                self._parts.memory.unrouted_since(removals, now_ms=now_ms), flaps, self._logged.doubts
            ),
            unreachable=unreachable,
            behind=behind,
        )
        self._log_held(held)
        self._log_failing(plan)
        return allowed

    @contextlib.contextmanager
    def _noting_failure(self) -> Iterator[None]:
        """While a look fails, nobody knows whether the hooks still serve; what fails after a look is no such case."""
        try:
            yield
        except NexudusError:
            if not self._is_noted:
                self._parts.gaps.could_not_look(now_ms=self._now_ms())
            raise

    def _note(
        self, plan: Plan, wanted: WantedHooks, unreachable: Callable[[], str | None], now_ms: int, began_ms: int
    ) -> None:
        """Leave word of how the hooks were found, before anything is mended: so what is mended at once is told too."""
        if not self._is_noted:
            troubled = hook_health.in_trouble(plan)
            healthy = plan.unchanged - sum(counts.get(HookCondition.FAILING, 0) for counts in troubled.values())
            self._parts.memory.remember_found(HooksFound(now_ms, max(healthy, 0), troubled))
            self._parts.gaps.looked(plan, wanted, unreachable, now_ms=now_ms, began_ms=began_ms)
            self._is_noted = True

    def _fence(self) -> None:
        self._leads()
        self._parts.lock.check()

    def _log_result(self, change: HookChange, error: NexudusError | None) -> None:
        if error is not None:
            self._log.error("registration.refused", **_facts(change), status=error.status, reason=str(error))
            return
        act = act_of(change)
        self._log.info(f"registration.{act}", **_facts(change), why=change.why)
        self._parts.memory.count(act)
        if change.enables and change.hook_id is not None:
            self._parts.acts.record("hook.reenabled", who=_WHO, **_facts(change))
            flap: Flap | None = self._parts.memory.flaps().get(change.hook_id)
            self._parts.memory.remember_flap(change.hook_id, self._guardrails.next_flap(flap, self._now_ms()))

    def _log_held(self, held: tuple[Held, ...]) -> None:
        now = {(one.change.hook_id, one.why): one for one in held}
        for key in now.keys() - self._logged.held:
            self._log.warning("registration.held", **_facts(now[key].change), why=now[key].why)
        self._logged.held = set(now)

    def _log_failing(self, plan: Plan) -> None:
        for registration in plan.failing:
            if self._logged.failing.get(registration.id) != registration.error_count:
                self._log.warning(
                    "registration.failing",
                    business_id=registration.business_id,
                    hook_id=registration.id,
                    active=registration.active,
                    error_count=registration.error_count,
                    last_error=_HOOK_PATH.sub("/hooks/...", registration.last_error or "")[:200],
                )
        self._logged.failing = {registration.id: registration.error_count for registration in plan.failing}


def _facts(change: HookChange) -> dict[str, int | str]:
    """Return what logs say of a change; never its URL, whose token is a secret."""
    facts: dict[str, int | str] = {"business_id": change.business_id, "action": change.action}
    return facts | ({"hook_id": change.hook_id} if change.hook_id is not None else {})
