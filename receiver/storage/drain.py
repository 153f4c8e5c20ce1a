"""Emptying a spool into the store: in order, by id, in batches, at a pace that leaves the store to live events."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from receiver.errors import StorageUnavailable
from receiver.storage import keep
from receiver.storage.spool import aside
from receiver.storage.spool.disk import Spool, Spooled
from receiver.storage.store import Store, is_refusal

_CALL_WITHIN_S = 5.0
_CONFIRM_MS = 2_000
_EVENTS_PER_S = 5_000


@dataclass(frozen=True, slots=True)
class Drained:
    """How far a drain came. *kept* events are in the store now, *duplicates* were there already under another id,
    *held_back* stay in the spool because quarantine is full, *set_aside* will never be taken by the store."""

    kept: int = 0
    duplicates: int = 0
    held_back: int = 0
    set_aside: int = 0

    def counts(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)

    def __add__(self, other: "Drained") -> "Drained":
        return Drained(
            self.kept + other.kept,
            self.duplicates + other.duplicates,
            self.held_back + other.held_back,
            self.set_aside + other.set_aside,
        )


Pace = Callable[[], Awaitable[int]]
"""Returns when a batch may be sent, with how many events it may have; 0: stop here."""


async def full_speed() -> int:
    """The pace of a drain that nobody has to wait for."""
    return keep.LARGEST_BATCH


async def drain(
    spool: Spool,
    store: Store,
    *,
    alias_ms: int,
    pace: Pace = full_speed,
    heard: Callable[[Drained], None] | None = None,
) -> Drained:
    """Empty a spool; what is in the store is removed from it, batch by batch. *heard* is told after each.

    At most half of the time is spent in the store, and 5,000 events go in a second. Raises StorageUnavailable, or
    SpoolUnavailable for its disk; what was drained until then stays drained, and the rest where it is.
    """
    clock = asyncio.get_running_loop().time
    total = Drained()
    after = 0
    while (most := await pace()) and (batch := await spool.read(most, after=after)):
        started = clock()
        step = await _send(batch, spool, store, alias_ms)
        total += step
        after = batch[-1].row[0]
        if heard is not None:
            heard(total)
        await asyncio.sleep(max(clock() - started, len(batch) / _EVENTS_PER_S))
    return total


async def take_back(folder: Path, store: Store, *, alias_ms: int) -> tuple[Drained, dict[Path, str]]:
    """Try the events again that lie aside of the spools of *folder*; the file of one that the store took is removed.

    Return what came of them, and of each file that stays one clause that says why. Raises StorageUnavailable, OSError.
    """
    total, staying = Drained(), {}
    for file in await asyncio.to_thread(aside.files, folder):
        try:
            entry = await asyncio.to_thread(aside.read, file)
            (receipt,) = await store.keep([entry], timeout_s=_CALL_WITHIN_S, confirm_ms=_CONFIRM_MS, alias_ms=alias_ms)
        except ValueError as error:
            staying[file] = str(error)
        except StorageUnavailable as error:
            if not is_refusal(error):
                raise
            staying[file] = f"the store refuses it still: {error}"
        else:
            if receipt is None:
                staying[file] = "quarantine is full; release or wait"
                continue
            is_duplicate = receipt.status == "duplicate"
            total += Drained(kept=int(not is_duplicate), duplicates=int(is_duplicate))
            try:
                await asyncio.to_thread(file.unlink, missing_ok=True)
            except OSError as error:
                staying[file] = f"the store has it now, but the file cannot be removed: {error.strerror or error}"
    return total, staying


async def _send(batch: Sequence[Spooled], spool: Spool, store: Store, alias_ms: int) -> Drained:
    """Keep a batch and remove it; an event that the script refuses is found by sending each alone."""
    try:
        receipts = await store.keep(
            [one.entry for one in batch], timeout_s=_CALL_WITHIN_S, confirm_ms=_CONFIRM_MS, alias_ms=alias_ms
        )
    except StorageUnavailable as error:
        if not is_refusal(error):
            raise
        if len(batch) == 1:
            await spool.set_aside(batch[0], str(error))
            return Drained(set_aside=1)
        steps = [await _send([one], spool, store, alias_ms) for one in batch]
        return sum(steps, Drained())
    kept = [one for one, receipt in zip(batch, receipts, strict=True) if receipt is not None]
    await spool.remove(kept)
    duplicates = sum(receipt is not None and receipt.status == "duplicate" for receipt in receipts)
    return Drained(len(kept) - duplicates, duplicates, len(batch) - len(kept))
