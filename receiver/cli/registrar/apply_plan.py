"""Applying a plan, for the command and for the console: one apply at a time, with progress and an audit log entry."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator

from receiver.cli.registrar.factory import LOCK, RegistrarTools
from receiver.cli.ui import output, terminal
from receiver.core.errors import NexudusError, StorageUnavailable, UnsafePlan, UsageError
from receiver.registrar.apply import Applied, Applier, OnResult
from receiver.registrar.change import HookChange
from receiver.registrar.gap_keeper import GapKeeper
from receiver.registrar.plan import Plan, WantedHooks
from receiver.registrar.watch import act_of
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.shared.gap_ledger import GapLedger
from receiver.storage.shared.lock import Lock
from receiver.storage.shared.registrar_state import RegistrarState


def check(made: Plan, *, force: bool) -> None:
    """See that a plan takes away no more than may be. Raises UnsafePlan, unless *force*."""
    if not force:
        made.check_safe()


@contextlib.contextmanager
def locked(registrar: RegistrarTools, patience_s: float) -> Iterator[Callable[[], None]]:
    """Yield what to ask before each write."""
    if registrar.store is None:
        output.warn("there is no Redis to prevent a second apply; do not run two at once")
        yield lambda: None
        return
    with Lock(registrar.store, LOCK) as lock:
        lock.wait(patience_s, waiting=lambda who: output.warn(f"{who} is already applying; waiting for it"))
        yield lock.check


def carry_out(
    registrar: RegistrarTools,
    plan: Callable[[], Plan],
    wanted: WantedHooks,
    fence: Callable[[], None],
    *,
    force: bool,
    is_agreed: Callable[[Plan], bool],
    advanced: Callable[[], None] = lambda: None,
    who: str | None = None,
) -> Applied:
    """Plan again now that nobody else writes, and apply the plan. Hooks are listed twice: before, and when all is done.

    *plan* makes a plan from a fresh list; *is_agreed* says whether it is the one that a person agreed to. *advanced* is
    called after each change. *who* None: whoever runs this process. Raises NexudusError, UnsafePlan, and UsageError
    when the plan is another one.
    """

    def look() -> Plan:
        made = plan()
        check(made, force=force)
        return made

    fresh = look()
    if not is_agreed(fresh):
        raise UsageError("Nexudus changed since the plan was shown; nothing was done, look at the plan again")
    _note_gaps(registrar, fresh, wanted)
    with (
        terminal.bar("registering", lambda: len(fresh.changes)) as advance,
        _recorded(registrar, who, lambda: advance(1), advanced) as on_result,
    ):
        try:
            return Applier(registrar.webhooks, fence=fence, on_result=on_result).apply(fresh, look)
        except NexudusError as error:
            raise NexudusError(f"{error}; finished changes stay, run apply again", status=error.status) from error
        except UnsafePlan as error:
            raise UnsafePlan(f"Nexudus changed meanwhile: {error}") from error


def _note_gaps(registrar: RegistrarTools, plan: Plan, wanted: WantedHooks) -> None:
    """Open the gaps of what is about to be mended. Raises StorageUnavailable: what was missed would stay unknown."""
    if registrar.store is not None:
        keeper = GapKeeper(
            GapLedger(registrar.store), RegistrarState(registrar.store), every_ms=registrar.settings.watch_every
        )
        keeper.mending(plan, wanted, now_ms=int(time.time() * 1_000))


@contextlib.contextmanager
def _recorded(registrar: RegistrarTools, who: str | None, *advance: Callable[[], None]) -> Iterator[OnResult]:
    """Yield what counts each change: in the bar and, when there is a store, for good. An act tells who did how much."""
    done: Counter[str] = Counter()

    def on_result(change: HookChange, error: NexudusError | None) -> None:
        for count in advance:
            count()
        if error is not None:
            return
        done[act_of(change)] += 1
        if registrar.store is not None:
            with contextlib.suppress(StorageUnavailable):
                RegistrarState(registrar.store).count(act_of(change))

    try:
        yield on_result
    finally:
        if done and registrar.store is not None:
            with contextlib.suppress(StorageUnavailable):
                AuditLog(registrar.store).record("apply", who=who, **done)
