"""The hooks at Nexudus as last listed: listed when somebody asks, and again in the background when that is long ago."""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import orjson

from receiver.core.errors import FrontdeskError, UsageError
from receiver.process import logs
from receiver.registrar.change import HookCondition
from receiver.registrar.hook_health import HookRow
from receiver.registrar.plan import Plan

FRESH_S: Final = 30.0
"""How old a page's knowledge may be: each look costs calls to Nexudus, which are few."""

STALE_S: Final = 300.0
"""How old the overview's knowledge may be before it is renewed in the background."""

NEEDS_ATTENTION: Final = frozenset(
    {
        HookCondition.FAILING,
        HookCondition.DISABLED,
        HookCondition.DRIFTED,
        HookCondition.MISSING,
        HookCondition.DUPLICATE,
    }
)


@dataclass(frozen=True, slots=True)
class HooksSnapshot:
    """What a look found. *plan* is None when what is wanted is not known; *problem* then says why."""

    rows: tuple[HookRow, ...]
    plan: Plan | None
    problem: str | None
    at: float

    @property
    def trouble(self) -> int:
        """How many registrations are not as they should be."""
        return sum(row.condition in NEEDS_ATTENTION for row in self.rows)


class HookRegistrar(Protocol):
    """Looks at Nexudus, and changes it, which it records as an act of *who*. Both raise FrontdeskError."""

    def look(self, *, prune: bool) -> HooksSnapshot: ...

    def apply(
        self, digest: str, advanced: Callable[[], None], *, who: str, prune: bool, force: bool
    ) -> tuple[HooksSnapshot, str]: ...


class HooksCache:
    """Remembers what was seen. Safe to share between threads; one look at a time."""

    def __init__(self, registrar: HookRegistrar) -> None:
        self._registrar = registrar
        self._lock = threading.Lock()
        self._seen: dict[bool, HooksSnapshot] = {}  # by whether the plan deletes
        self._tried = 0.0

    def look(self, *, fresh: bool = False, prune: bool = False) -> HooksSnapshot:
        """Return what is known, looked up now unless that was done a moment ago. Raises FrontdeskError."""
        with self._lock:
            seen = self._seen.get(prune)
            if seen is None or fresh or time.monotonic() - seen.at >= FRESH_S:
                self._tried = time.monotonic()
                seen = self._seen[prune] = self._registrar.look(prune=prune)
            return seen

    def agreed(self, digest: str, *, prune: bool) -> Plan:
        """Return the plan that somebody said yes to. Raises UsageError when Nexudus or the routes changed since."""
        for fresh in (False, True):
            plan = self.look(fresh=fresh, prune=prune).plan
            if plan is not None and digest_of(plan) == digest:
                return plan
        raise UsageError("Nexudus or the routes changed since the plan was shown; nothing was done, look at it again")

    def apply(self, digest: str, advanced: Callable[[], None], *, who: str, prune: bool, force: bool) -> str:
        """Apply the plan of *digest*, and remember how Nexudus is then. Returns what is not as it should be."""
        try:
            seen, problem = self._registrar.apply(digest, advanced, who=who, prune=prune, force=force)
        except BaseException:
            with self._lock:
                self._seen.clear()  # nobody knows what was done
            raise
        with self._lock:
            self._seen = {prune: seen}
        return problem

    def latest(self) -> HooksSnapshot | None:
        """Return what was seen last, without waiting; when that is long ago, a look in the background begins."""
        if time.monotonic() - self._tried > STALE_S or not self._tried:
            self._tried = time.monotonic()
            threading.Thread(target=self._look_quietly, name="registry", daemon=True).start()
        return max(self._seen.copy().values(), key=lambda seen: seen.at, default=None)

    def _look_quietly(self) -> None:
        try:
            self.look()
        except FrontdeskError as error:
            logs.get().info("registry.unknown", error=str(error))


def digest_of(plan: Plan) -> str:
    """Return what tells this plan's changes from any others: what somebody said yes to."""
    changes = orjson.dumps([[change.as_json({}), change.why] for change in plan.changes])
    return hashlib.sha256(changes).hexdigest()[:32]
