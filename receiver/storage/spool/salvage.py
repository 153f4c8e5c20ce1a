"""What to do with a spool file that is broken: set it aside, loudly, and save what can still be read of it."""

import base64
import os
import sqlite3
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from receiver import ids, logs
from receiver.storage.spool.file import Row, SpoolFile

_AT_ONCE = 256
_ASIDE = "set-aside"

_log = logs.get()


def reopen(path: Path, reason: str) -> SpoolFile:
    """Set the broken file aside, make a new one in its place, and put into it what the broken one still tells.

    Raises sqlite3.Error, OSError. What was set aside stays in the folder `set-aside` until an operator removes it.
    """
    aside = _move(path)
    fresh = SpoolFile.open(path)
    saved = 0
    for rows in _readable(aside):
        fresh.append([record for _, record in rows])
        saved += len(rows)
    _log.error("spool.damaged", file=str(path), set_aside=str(aside), error=reason, events_saved=saved)
    return fresh


def aside(folder: Path) -> tuple[Path, ...]:
    """The files that lie aside of the spools of a folder; nobody ever reads them but an operator. Raises OSError."""
    there = folder / _ASIDE
    return tuple(sorted(file for file in there.iterdir() if file.suffix in (".db", ".json"))) if there.is_dir() else ()


def set_aside_row(path: Path, seq: int, columns: Any, reason: str) -> None:
    """Write a row that cannot be kept anywhere else as a file of its own, on disk when this returns."""
    folder = _folder(path)
    target = folder / f"{path.stem}-{seq}-{time.time_ns()}.json"
    target.touch(mode=0o600)
    with target.open("wb") as file:
        file.write(orjson.dumps({"reason": reason, "row": columns}, default=_text))
        file.flush()
        os.fsync(file.fileno())
    _log.error("spool.row_set_aside", file=str(path), set_aside=str(target), error=reason)


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        return repr(value)
    return (
        value.decode("ascii")
        if value.isalnum() and len(value) == ids.LENGTH
        else base64.b64encode(value).decode("ascii")
    )


def _folder(path: Path) -> Path:
    folder = path.parent / _ASIDE
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _move(path: Path) -> Path:
    """Move the file and its two companions, and return where the file is now."""
    target = _folder(path) / f"{path.stem}-{time.time_ns()}.db"
    path.rename(target)
    for companion in ("-wal", "-shm"):
        there = path.with_name(path.name + companion)
        if there.exists():
            there.rename(target.with_name(target.name + companion))
    return target


def _readable(aside: Path) -> Iterator[list[Row]]:
    """Yield what can be read from the front up to the broken place, then from the back down to it."""
    try:
        broken = SpoolFile.open(aside, measure=False)
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
