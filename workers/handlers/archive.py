"""Archives events on disk in plain files: one JSON Lines file for each day.

A line holds the event as a handler sees it: `id, key, action, action_code, business_id, received_at, origin, attempt,
superseded, data`. It is written to the file of the day of writing (UTC), `2026-03-14.jsonl`, so the files of past days
never change. A delivery may run twice; then the file has two lines with the same `key`.
"""

import fcntl
import os
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import orjson

from workers import Event

_KEYS = (
    *("id", "key", "action", "action_code", "business_id", "received_at", "origin", "attempt", "superseded", "data"),
)
_LONGEST_WAIT = 10.0
"""Seconds to wait for other writers of the file. One that is suspended must not block all others."""


class NotArchived(Exception):
    """The line is not in the file. The attempt failed and can be retried."""


def _now() -> datetime:
    return datetime.now(UTC)


def archive(event: Event, *, path: Path) -> None:
    """Append the event to today's file in the folder *path*, and return when it is on disk.

    The folder and the files are created as needed, readable by their owner only. Any number of threads and processes
    may write at once: lines never mix. A partial line that a crash left stays a line of its own.
    """
    try:
        folder = Path(path).expanduser()
    except RuntimeError:
        raise NotArchived(f"{path} begins with ~, but HOME is not set; write the whole path, or set HOME") from None
    append(folder, event, clock=_now)


def append(folder: Path, event: Event, *, clock: Callable[[], datetime]) -> Path:
    """Do what `archive` does, with this *clock*; return the file. Raises OSError or NotArchived."""
    line = orjson.dumps({name: getattr(event, name) for name in _KEYS}, option=orjson.OPT_UTC_Z) + b"\n"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{clock():%Y-%m-%d}.jsonl"
    # Not through a link, and not into a pipe that somebody put there: both would send the records elsewhere.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(file, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotArchived(f"{file} is not a file")
        _lock(descriptor, file)
        first = _write(descriptor, line)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        # Outside the lock, so that one flush of the disk serves all writers that wait for it.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if first:
        _sync_folder(folder)
    return file


def _lock(descriptor: int, file: Path) -> None:
    give_up = time.monotonic() + _LONGEST_WAIT
    pause = 0.001
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise NotArchived(f"{file} is kept locked by another process for {_LONGEST_WAIT:g} s") from None
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        else:
            return


def _write(descriptor: int, line: bytes) -> bool:
    """Append *line*, whole or not at all; return whether it is the file's first."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line  # a writer died within its line; ours begins on the next
    try:
        written = os.write(descriptor, line)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    if written != len(line):
        os.ftruncate(descriptor, size)
        raise NotArchived("the disk took only a part of the line; is it full?")
    return size == 0


def _sync_folder(folder: Path) -> None:
    """Flush the file's name to disk, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
