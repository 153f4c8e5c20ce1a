"""Tests the folder for spools, for `frontdesk check`: does once what an outage of the store requires."""

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from receiver.core.errors import SpoolUnavailable
from receiver.storage.model.spool_row import SpoolRow
from receiver.storage.spool import slots
from receiver.storage.spool.handle import reason_of
from receiver.storage.spool.quota import Quota
from receiver.storage.spool.sqlite_file import SpoolFile

_RECORD = SpoolRow("0" * 20, b"trial", None, 0, b"[]", quarantined=False)


def problem(data_dir: Path, max_bytes: int) -> str | None:
    """Return a clause that says why the spools of *data_dir* could not be used; None: they could.

    If the directory does not exist yet, the existing directory above it is tested.
    """
    folder = slots.folder_of(data_dir)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with _temporary(folder) as tried:
            slots.prepare(tried)
            return _locked_out(tried) or _not_written(tried / "000.db", max_bytes)
    except (OSError, sqlite3.Error, SpoolUnavailable) as error:
        return reason_of(error)


def _locked_out(folder: Path) -> str | None:
    """Take a slot, and check that no other process could take it meanwhile."""
    first, second = slots.Slot.take(folder, 0), slots.Slot.take(folder, 0)
    for slot in (first, second):
        if slot is not None:
            slot.release()
    return None if first and not second else "two processes get the same lock on a file there; use a local disk"


def _not_written(path: Path, max_bytes: int) -> str | None:
    """Write, sync and remove a record."""
    with contextlib.closing(SpoolFile.open(path)) as file:
        room = Quota(path, max_bytes)
        room.measure(0, 0)
        if refusal := room.refusal(0, 0, _RECORD.size):
            return refusal
        file.append([_RECORD])
        rows, _ = file.read(1, 1)
        file.remove(rows)
    return None


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="check-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
