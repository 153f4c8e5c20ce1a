"""Repairs a broken spool file: sets it aside, logs an error, and saves what can still be read from it."""

import sqlite3
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from receiver.process import logs
from receiver.storage.spool import rejected
from receiver.storage.spool.sqlite_file import Row, SpoolFile

_AT_ONCE = 256

_log = logs.get()


def reopen(path: Path, reason: str) -> SpoolFile:
    """Set the broken file aside, create a new one, and copy into it what can be read from the broken one.

    Raises sqlite3.Error, OSError. What was set aside stays in the folder `set-aside` until an operator removes it.
    """
    broken = _move(path)
    fresh = SpoolFile.open(path)
    saved = 0
    for rows in _readable(broken):
        fresh.append([record for _, record in rows])
        saved += len(rows)
    _log.error("spool.damaged", file=str(path), set_aside=str(broken), error=reason, events_saved=saved)
    return fresh


def _move(path: Path) -> Path:
    """Move the file and its two companions, and return where the file is now."""
    target = rejected.place(path) / f"{path.stem}-{time.time_ns()}.db"
    path.rename(target)
    for companion in ("-wal", "-shm"):
        there = path.with_name(path.name + companion)
        if there.exists():
            there.rename(target.with_name(target.name + companion))
    return target


def _readable(path: Path) -> Iterator[list[Row]]:
    """Yield the rows from the front up to the broken place, then from the back down to it."""
    try:
        broken = SpoolFile.open(path, measure=False)
    except (sqlite3.Error, OSError):
        return
    last = 0
    try:
        for backwards in (False, True):
            rows = _until_broken(broken.scan(backwards=backwards, above=last))
            while batch := list(islice(rows, _AT_ONCE)):
                if not backwards:
                    last = batch[-1][0]
                yield batch
    finally:
        broken.close()


def _until_broken(rows: Iterator[Row]) -> Iterator[Row]:
    try:
        yield from rows
    except sqlite3.Error:
        return
