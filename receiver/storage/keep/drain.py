"""Moves the events of a spool into the store: in the order of the file, in batches, and slowly enough that live events
go first."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from receiver.core.errors import StorageUnavailable
from receiver.storage.keep.lane_announcements import LaneAnnouncements
from receiver.storage.keep.store import Store
from receiver.storage.model import keep_script
from receiver.storage.model.entries import Receipt
from receiver.storage.redis.store_client import is_refusal
from receiver.storage.spool import rejected
from receiver.storage.spool.spool import Spool, Spooled

_CALL_WITHIN_S = 5.0
_CONFIRM_MS = 2_000
_EVENTS_PER_S = 5_000


@dataclass(frozen=True, slots=True)
class Drained:
    """The progress of a drain. *kept*: events that are in the store now. *duplicates*: those that were in the store
    already under another id. *held_back*: those that stay in the spool because quarantine, or the disk for rejected
    events, is full. *set_aside*: rejected events, which the store will never accept."""

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
"""Returns, when the next batch may be sent, how many events it may have; 0: stop."""


async def full_speed() -> int:
    """Return the largest batch at once: the pace of a drain that need not let live events go first."""
    return keep_script.LARGEST_BATCH


async def drain(
    spool: Spool,
    store: Store,
    *,
    alias_ms: int,
    pace: Pace = full_speed,
    heard: Callable[[Drained], None] | None = None,
    order: LaneAnnouncements | None = None,
) -> Drained:
    """Move the events of a spool into the store batch by batch, and remove each batch from the spool. *heard* is called
    after each batch; *order* releases the lanes that wait for it.

    It uses at most half of the store's time, and drains at most 5,000 events a second. Raises StorageUnavailable, or
    SpoolUnavailable for the disk; batches that were drained before stay drained, and the others stay in the spool.
    """
    clock = asyncio.get_running_loop().time
    total = Drained()
    after = 0
    while most := await pace():
        if order is not None:
            await order.prepare()
        mark = order.mark if order else 0
        if not (batch := await spool.read(most, after=after)):
            if order is not None:
                await order.finished(mark)
            break
        for part in _calls(batch):
            if part[0] is not batch[0] and not await pace():
                return total
            started = clock()
            total += await _send(part, spool, store, alias_ms)
            if order is not None:
                await order.drained(part)
            after = part[-1].row[0]
            if heard is not None:
                heard(total)
            await asyncio.sleep(max(clock() - started, len(part) / _EVENTS_PER_S))
    return total


async def take_back(folder: Path, store: Store, *, alias_ms: int) -> tuple[Drained, dict[Path, str]]:
    """Try to store the rejected events in *folder* again; the file of each one that the store accepts is removed.

    Return the result, and for each file that stays a clause that says why. Raises StorageUnavailable, OSError.
    """
    total, staying = Drained(), {}
    for file in await asyncio.to_thread(rejected.files, folder):
        try:
            entry = await asyncio.to_thread(rejected.read, file)
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


def _calls(batch: Sequence[Spooled]) -> Iterator[Sequence[Spooled]]:
    """Split a batch into parts that one call can store."""
    start = 0
    for some in keep_script.calls([one.entry for one in batch]):
        yield batch[start : start + len(some)]
        start += len(some)


@dataclass(slots=True)
class _Sent:
    """The result of a batch: the store's answers, and the events on which its script failed, with the errors."""

    answered: list[tuple[Spooled, Receipt | None]] = field(default_factory=list)
    refused: list[tuple[Spooled, StorageUnavailable]] = field(default_factory=list)


async def _send(batch: Sequence[Spooled], spool: Spool, store: Store, alias_ms: int) -> Drained:
    """Store a batch and remove it from the spool. Events on which the script fails are rejected; the others go on.

    If the script fails on all of several events, and not because of their arguments, the fault is the store's: all
    stay."""
    sent = _Sent()
    await _keep(batch, store, alias_ms, sent)
    kept = [(one, receipt) for one, receipt in sent.answered if receipt is not None]
    await spool.remove([one for one, _ in kept])
    if (
        len(batch) > 1
        and len(sent.refused) == len(batch)
        and not all(": malformed " in str(e) for _, e in sent.refused)
    ):
        raise sent.refused[0][1]
    set_aside = 0
    for one, error in sent.refused:
        set_aside += await spool.set_aside(one, str(error))
    duplicates = sum(receipt.status == "duplicate" for _, receipt in kept)
    held_back = len(batch) - len(kept) - set_aside
    return Drained(len(kept) - duplicates, duplicates, held_back, set_aside)


async def _keep(batch: Sequence[Spooled], store: Store, alias_ms: int, sent: _Sent) -> None:
    """Store a batch. If the script fails on it, halve it until the events at fault are alone."""
    entries = [one.entry for one in batch]
    try:
        receipts = await store.keep(entries, timeout_s=_CALL_WITHIN_S, confirm_ms=_CONFIRM_MS, alias_ms=alias_ms)
    except StorageUnavailable as error:
        if not is_refusal(error):
            raise
        if len(batch) == 1:
            sent.refused.append((batch[0], error))
            return
        half = len(batch) // 2
        await _keep(batch[:half], store, alias_ms, sent)
        await _keep(batch[half:], store, alias_ms, sent)
    else:
        sent.answered += zip(batch, receipts, strict=True)
