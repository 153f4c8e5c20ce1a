"""The hooks at Nexudus as last listed: listed when somebody asks, and again in the background when that is long ago."""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import orjson

from receiver.core.errors import FrontdeskError
from receiver.process import logs
from receiver.registrar.change import Condition
from receiver.registrar.health import Row
from receiver.registrar.plan import Plan

FRESH_S: Final = 30.0
"""How old a page's knowledge may be: each look costs calls to Nexudus, which are few."""

STALE_S: Final = 300.0
"""How old the overview's knowledge may be before it is renewed in the background."""

NEEDS_ATTENTION: Final = frozenset(
    {Condition.FAILING, Condition.DISABLED, Condition.DRIFTED, Condition.MISSING, Condition.DUPLICATE}
)


@dataclass(frozen=True, slots=True)
class HooksSnapshot:
    """What a look found. *plan* is None when what is wanted is not known; *problem* then says why."""

    rows: tuple[Row, ...]
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

    def apply(self, digest: str, advanced: Callable[[], None], *, who: str, prune: bool, force: bool) -> str: ...


class HooksCache:
    """Remembers what was seen. Safe to share between threads; one look at a time."""

    def __init__(self, registrar: HookRegistrar) -> None:
        self.registrar = registrar
        self._lock = threading.Lock()
        self._seen: HooksSnapshot | None = None
        self._tried = 0.0

    def look(self, *, fresh: bool = False) -> HooksSnapshot:
        """Return what is known, looked up now unless that was done a moment ago. Raises FrontdeskError."""
        with self._lock:
            age_s = time.monotonic() - self._seen.at if self._seen else FRESH_S
            if self._seen is None or fresh or age_s >= FRESH_S:
                self._tried = time.monotonic()
                self._seen = self.registrar.look(prune=False)
            return self._seen

    def latest(self) -> HooksSnapshot | None:
        """Return what was seen last, without waiting; when that is long ago, a look in the background begins."""
        if time.monotonic() - self._tried > STALE_S or not self._tried:
            self._tried = time.monotonic()
            threading.Thread(target=self._look_quietly, name="registry", daemon=True).start()
        return self._seen

    def _look_quietly(self) -> None:
        try:
            self.look()
        except FrontdeskError as error:
            logs.get().info("registry.unknown", error=str(error))


def digest_of(plan: Plan) -> str:
    """Return what tells this plan's changes from any others: what somebody said yes to."""
    changes = orjson.dumps([[change.as_json(), change.why] for change in plan.changes])
    return hashlib.sha256(changes).hexdigest()[:32]
