"""Archives events on disk in plain files: one file for each day, of JSON Lines or CSV.

A line holds the event as a handler sees it: `id, key, action, action_code, business_id, received_at, origin, attempt,
superseded, data`; in CSV, the chosen fields of the record stand before `data`. It is written to the file of the day of
writing (UTC), `2026-03-14.jsonl`, so the files of past days never change. A delivery may run twice; then the file has
two lines with the same `key`.
"""

import csv
import fcntl
import io
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import orjson
from pydantic import Field

from workers import Event
from workers.api import csv_cell

_KEYS = (
    *("id", "key", "action", "action_code", "business_id", "received_at", "origin", "attempt", "superseded", "data"),
)
_LONGEST_WAIT = 10.0
"""Seconds to wait for other writers of the file. One that is suspended must not block all others."""

_MOST_FILES: Final = 20
"""Files of one day: a route whose columns were edited, or that shares the folder with others, begins another one."""

_PORTION: Final = 65_536

Columns = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(max_length=200)]


class NotArchived(Exception):
    """The line is not in the file. The attempt failed and can be retried."""


def _now() -> datetime:
    return datetime.now(UTC)


def archive(
    event: Event,
    *,
    path: Path,
    format: Literal["jsonl", "csv"] = "jsonl",  # noqa: A002 - the name of the option
    columns: Columns = (),
) -> None:
    """Append the event to today's file in the folder *path*, and return when it is on disk.

    *columns*: fields of the record that get a column of their own in CSV; the last column always has the whole record.
    The folder and the files are created as needed, readable by their owner only. Any number of threads and processes
    may write at once: lines never mix. A partial line that a crash left never spoils another line.
    """
    try:
        folder = Path(path).expanduser()
    except RuntimeError:
        raise NotArchived(f"{path} begins with ~, but HOME is not set; write the whole path, or set HOME") from None
    append(folder, event, columns=columns if format == "csv" else None, clock=_now)


class _Line(NamedTuple):
    """What is appended. *header*: the first line of a file that takes it; *suffix*: how the name of that file ends."""

    text: bytes
    suffix: str
    header: bytes = b""


def _json(event: Event) -> _Line:
    shape = {name: getattr(event, name) for name in _KEYS}
    return _Line(orjson.dumps(shape, option=orjson.OPT_UTC_Z) + b"\n", "jsonl")


def _csv(event: Event, columns: Iterable[str]) -> _Line:
    ours = [getattr(event, name) for name in _KEYS[:-1]]
    values = [one.isoformat() if isinstance(one, datetime) else one for one in ours]
    names = list(columns)
    record = [*(event.data.get(name) for name in names), event.data]
    return _Line(_row([*values, *record]), "csv", _row([*_KEYS[:-1], *names, _KEYS[-1]]))


def _row(values: Iterable[object]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerow([csv_cell(value) for value in values])
    return stream.getvalue().encode()


def append(folder: Path, event: Event, *, clock: Callable[[], datetime], columns: Sequence[str] | None = None) -> Path:
    """Append an event to the file of the day, or to the first further one that has its header; return the file.

    *columns* None: a line of JSON; else a row of CSV. Raises OSError or NotArchived.
    """
    line = _json(event) if columns is None else _csv(event, columns)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    day = f"{clock():%Y-%m-%d}"
    for number in range(1, _MOST_FILES + 1):
        file = folder / f"{day}{f'-{number}' if number > 1 else ''}.{line.suffix}"
        if _append(file, line):
            return file
    raise NotArchived(f"{folder} has {_MOST_FILES} files of {day} with other columns; give the route its own folder")


def _append(file: Path, line: _Line) -> bool:
    """Append a line; return False, having done nothing, if the file has another header."""
    # Not through a link, and not into a pipe that somebody put there: both would send the records elsewhere.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(file, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotArchived(f"{file} is not a file")
        _lock(descriptor, file)
        if line.header and _other_header(descriptor, line.header):
            return False
        first = _write(descriptor, line)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        # Outside the lock, so that one flush of the disk serves all writers that wait for it.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if first:
        _sync_folder(file.parent)
    return True


def _other_header(descriptor: int, header: bytes) -> bool:
    """Return whether the file begins with another line; one that a crash left unfinished counts as none."""
    found = os.pread(descriptor, len(header), 0)
    return found != header and not header.startswith(found)


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


def _write(descriptor: int, line: _Line) -> bool:
    """Append a line, whole or not at all; return whether it is the file's first."""
    size = os.fstat(descriptor).st_size
    text = line.text
    if line.header:
        # A row that a writer left unfinished may have an open quote, which would take in the rows behind it.
        size = _end_of_rows(descriptor, size)
        os.ftruncate(descriptor, size)
        text = text if size else line.header + text
    elif size and os.pread(descriptor, 1, size - 1) != b"\n":
        text = b"\n" + text  # a writer died within its line; ours begins on the next
    try:
        written = os.write(descriptor, text)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    if written != len(text):
        os.ftruncate(descriptor, size)
        raise NotArchived("the disk took only a part of the line; is it full?")
    return size == 0


def _end_of_rows(descriptor: int, size: int) -> int:
    """Return where the last whole row ends. No row has a line break within it."""
    at = size
    while at > 0:
        begin = max(at - _PORTION, 0)
        found = os.pread(descriptor, at - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return 0


def _sync_folder(folder: Path) -> None:
    """Flush the file's name to disk, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
