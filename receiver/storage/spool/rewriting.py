"""Rewrites events that wait in the spools of a data directory, while receivers may own these spools."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from receiver.core.errors import StorageUnavailable
from receiver.core.events import Envelope
from receiver.storage.model import codec
from receiver.storage.spool import rejected, slots
from receiver.storage.spool.sqlite_file import SpoolFile


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The ids of the events that were rewritten, and the files that could not be read or written, or were set aside.

    *unsearched* counts events whose envelopes this version cannot read.
    """

    events: tuple[str, ...]
    unreached: tuple[str, ...]
    unsearched: int = 0


def rewrite(data_dir: Path, change: Callable[[Envelope], Envelope | None]) -> Rewritten:
    """Replace each envelope by what *change* returns, and remove its deliveries; None leaves the event as it is.

    A receiver that has just read an event to drain it stores the old version, so search the store after this call.
    """
    folder = slots.folder_of(data_dir)
    events: list[str] = []
    unreached: list[str] = []
    unsearched = 0
    for number in slots.used(folder):
        path = folder / f"{number:03}.db"
        try:
            rewritten, unreadable = _rewrite_file(path, change)
            events += rewritten
            unsearched += unreadable
        except (sqlite3.Error, OSError, StorageUnavailable) as error:
            unreached.append(f"{path}: {error}")
    unreached += [f"{path}: set aside because it is damaged or was refused" for path in rejected.files(folder)]
    return Rewritten(tuple(events), tuple(unreached), unsearched)


def _rewrite_file(path: Path, change: Callable[[Envelope], Envelope | None]) -> tuple[list[str], int]:
    """Return the ids of the rewritten events, and how many envelopes cannot be read."""
    spool = SpoolFile.open(path, measure=False)
    try:
        changed, unreadable = [], 0
        for place, record in spool.scan():
            try:
                envelope = codec.unpack(record.envelope)
            except ValueError:
                unreadable += 1
                continue
            other = change(envelope)
            if other is not None:
                changed.append((place, replace(record, envelope=codec.pack(other), wanted=b"[]")))
        if changed:
            spool.replace(changed)
            spool.compact()
        return [record.id for _, record in changed], unreadable
    finally:
        spool.close()
