"""Files that were set aside from the spools of a folder: broken spool files, and events that the store rejected.

`receiver.storage.keep.drain` decides which events those are. Each one is a file that also says why. All files stay
until an operator has dealt with them.
"""

import base64
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from receiver.core import ids
from receiver.process import logs
from receiver.storage.model import spool_row
from receiver.storage.model.entries import Entry

_FOLDER = "set-aside"

_bytes = partial(base64.b64decode, validate=True)
_log = logs.get()


def files(folder: Path) -> tuple[Path, ...]:
    """Return the files that were set aside from the spools of *folder*. Raises OSError."""
    there = folder / _FOLDER
    return tuple(sorted(file for file in there.iterdir() if file.suffix in (".db", ".json"))) if there.is_dir() else ()


def place(path: Path) -> Path:
    """Create, if needed, and return the folder for what is set aside from the spool file *path*. Raises OSError."""
    folder = path.parent / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def write(path: Path, seq: int, columns: Any, reason: str) -> None:
    """Write the row *seq* of the spool file *path* to a file of its own, synced to disk. Raises OSError."""
    target = place(path) / f"{path.stem}-{seq}-{time.time_ns()}.json"
    target.touch(mode=0o600)
    try:
        with target.open("wb") as file:
            file.write(orjson.dumps({"reason": reason, "row": columns}, default=_text))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        target.unlink()  # half a row could be taken for a whole one
        raise
    _log.error("spool.row_set_aside", file=str(path), set_aside=str(target), error=reason)


def read(file: Path) -> Entry:
    """Return the entry in a file. Raises ValueError with one clause if the file holds none that can be stored."""
    if file.suffix != ".json":
        raise ValueError("it is a broken spool, of which all that could be read was saved when it was set aside")
    try:
        row = orjson.loads(file.read_bytes())["row"]
        record = spool_row.read(_columns(*row))
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        record = None
    if record is None:
        raise ValueError("it is not what was written: its checksum is wrong")
    try:
        return record.entry()
    except ValueError as error:
        raise ValueError(f"this Frontdesk cannot read it: {error}") from None


def _columns(identifier: str, envelope: str, fingerprint: str | None, *others: Any) -> tuple[Any, ...]:
    """Return the columns of a row in the form in which a spool holds them."""
    window_ms, wanted, quarantined, crc = others
    claimed = None if fingerprint is None else _bytes(fingerprint)
    return identifier.encode(), _bytes(envelope), claimed, window_ms, _bytes(wanted), quarantined, crc


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        return repr(value)
    is_id = value.isalnum() and len(value) == ids.LENGTH
    return value.decode("ascii") if is_id else base64.b64encode(value).decode("ascii")
