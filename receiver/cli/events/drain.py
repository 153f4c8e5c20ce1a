"""`drain`: empty the spools of a data directory into the store by hand, after its receiver is gone for good."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from receiver.cli.context import Context
from receiver.cli.events import drain_report
from receiver.cli.events.drain_report import DrainOutcome
from receiver.cli.ui import option_values, output, terminal
from receiver.core.errors import SpoolUnavailable, UsageError
from receiver.core.settings import Settings
from receiver.storage.keep import drain as emptying
from receiver.storage.keep.drain import Drained
from receiver.storage.keep.lane_announcements import LaneAnnouncements
from receiver.storage.keep.store import Store
from receiver.storage.redis import connection
from receiver.storage.redis.clock import StoreClock
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.spool import count, reports, slots
from receiver.storage.spool.spool import Spool

_REPORT_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.2
_NO_WAIT = "0s"


def drain(
    directory: Annotated[Path | None, Parameter(help="a data directory, or a spool folder saved from one")] = None,
    /,
    *,
    set_aside: bool = False,
    forget: str | None = None,
    wait: str = _NO_WAIT,
    yes: bool = False,
    json: Annotated[bool, Parameter(help="print one object")] = False,
) -> int:
    """Move the spooled events of a data directory into the store. A running receiver drains its own spool.

    Draining twice does not duplicate events. Exits 1 when something stays behind.

    Parameters
    ----------
    set_aside
        also retry the files set aside: events that the store refused, or that an earlier version could not read
    forget
        the name of a spool whose disk is lost: its events are given up and no longer counted as spooled
    wait
        how long to wait for running receivers to drain their own spools, as 60s or plain seconds; for a hook that runs
        before they stop
    yes
        do not ask before a spool is forgotten; needed without a terminal
    """
    context = Context()
    folder = _folder(directory, context.settings)
    if forget is not None and not _may_forget(forget, yes=yes):
        return 0
    _wait(folder, option_values.duration_ms("--wait", wait) / 1_000)
    acts = AuditLog(context.writable)
    if forget is not None:
        _forget(context, acts, forget)
    outcome = asyncio.run(_drain(folder, context, set_aside=set_aside, is_bar_shown=not json))
    if outcome.skipped and wait != _NO_WAIT:
        outcome.left += count.events(folder)
    _record(acts, outcome)
    drain_report.report(folder, outcome, drain_report.silent_spools(context.client), json=json)
    return 1 if outcome.left or outcome.failed or outcome.staying else 0


def _may_forget(name: str, *, yes: bool) -> bool:
    question = f"Give up the events of the spool {name!r}? They cannot be recovered."
    is_agreed = terminal.agreed("drain --forget", question, yes=yes)
    if not is_agreed:
        output.say("Nothing was forgotten.")
    return is_agreed


def _forget(context: Context, acts: AuditLog, name: str) -> None:
    """Count the events of a lost spool no longer. Raises UsageError when there is no such spool."""
    if not reports.forget(context.client, name):
        raise UsageError(f"drain: no spool has the name {name!r}; `frontdesk drain` lists the silent ones")
    acts.record("drain.forget", spool=name)


def _record(acts: AuditLog, outcome: DrainOutcome) -> None:
    done = outcome.drained
    if done != Drained():
        acts.record("drain", kept=done.kept, duplicates=done.duplicates, held_back=done.held_back, left=outcome.left)


def _wait(folder: Path, seconds: float) -> None:
    """Return when the receivers that run on *folder* have emptied it, or there are none, or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and count.events(folder) and _is_run_on(folder):
        time.sleep(_LOOK_EVERY_S)


def _is_run_on(folder: Path) -> bool:
    for number in slots.used(folder):
        slot = slots.adopt(folder, number)
        if slot is None:
            return True
        slot.release()
    return False


def _folder(directory: Path | None, current: Settings) -> Path:
    """Return the spool folder that is meant."""
    if directory is None:
        return slots.folder_of(current.data_dir)
    if not directory.is_dir():
        raise UsageError(
            f"drain: {str(directory)!r} is not a directory; name a data directory or a spool folder in one"
        )
    inside = slots.folder_of(directory)
    return inside if inside.is_dir() or not slots.used(directory) else directory.absolute()


async def _drain(folder: Path, context: Context, *, set_aside: bool, is_bar_shown: bool) -> DrainOutcome:
    current = context.settings
    alias_ms = max(current.retention, current.retention_kept)
    replicas = current.replicas if current.durability == "replicated" else 0
    store = Store(connection.connect_async(context.redis_url), replicas=replicas)
    outcome, clock = DrainOutcome(), StoreClock()
    try:
        opened = await _open(folder, outcome)
        asked = clock.steady_now()
        clock.adjust(await store.time(timeout_s=_REPORT_WITHIN_S), asked)
        with terminal.bar("draining", lambda: sum(spool.depth for spool in opened), shown=is_bar_shown) as advance:
            for spool in opened:
                await _empty(spool, store, clock, outcome, alias_ms, advance)
        if set_aside:
            taken, outcome.staying = await emptying.take_back(folder, store, alias_ms=alias_ms)
            outcome.drained += taken
    finally:
        await store.close()
    return outcome


async def _open(folder: Path, outcome: DrainOutcome) -> list[Spool]:
    """Take every spool of the folder that nobody owns."""
    opened = []
    try:
        for number in await asyncio.to_thread(slots.used, folder):
            slot = slots.adopt(folder, number)
            if slot is None:
                outcome.skipped.append(f"{number:03}.db")
                continue
            spool = Spool(folder, max_bytes=2**62, slot=slot)
            await spool.open()
            opened.append(spool)
    except OSError as error:
        raise UsageError(f"drain: {str(folder)!r} cannot be used: {error.strerror or error}") from None
    return opened


async def _empty(
    spool: Spool, store: Store, clock: StoreClock, outcome: DrainOutcome, alias_ms: int, advance: terminal.Advance
) -> None:
    """Empty one spool; a file that fails is told of and does not keep the others waiting."""
    before = Drained()

    def heard(so_far: Drained) -> None:
        nonlocal before
        advance(sum(so_far.counts().values()) - sum(before.counts().values()))
        before = so_far

    try:
        outcome.drained += await emptying.drain(
            spool, store, alias_ms=alias_ms, heard=heard, order=LaneAnnouncements(spool, store, clock)
        )
        if spool.depth == 0:
            await store.report({}, [spool.name], timeout_s=_REPORT_WITHIN_S)
    except SpoolUnavailable as error:
        outcome.failed.append(f"{spool.folder}: {error}")
        outcome.drained += before
    finally:
        outcome.left += spool.depth
        await spool.close()
