"""Numbered slots for spool files in a data directory. The process that holds the lock on a slot's lock file owns it.

The lock is the kernel's (flock), so it ends with its process, however that ends. A slot with a file but no owner is an
orphan. Lock files are never removed, because a lock on a file that was just unlinked protects nothing.
"""

import contextlib
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MOST = 1_000
"""The largest number of slots in a folder, and so of receiver processes with one data directory."""

_LOCKED_WITHIN_S = 2.0
_LOOK_EVERY_S = 0.01

_FILE = re.compile(r"(\d{3})\.db")


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that this process owns until `release`."""

    folder: Path
    number: int
    _lock: int

    @property
    def path(self) -> Path:
        """The path of this slot's spool file, which need not exist yet."""
        return self.folder / f"{self.number:03}.db"

    def release(self) -> None:
        """Release the slot, so that another process can take it."""
        os.close(self._lock)

    @classmethod
    def take(cls, folder: Path, number: int) -> Self | None:
        """Take the slot; None if another process owns it. Raises OSError if the folder is unwritable or cannot lock."""
        lock = _lock(folder / f"{number:03}.lock")
        return None if lock is None else cls(folder, number, lock)


def folder_of(data_dir: Path) -> Path:
    """Return the folder of a data directory's spools; it need not exist."""
    return data_dir.absolute() / "spool"


def prepare(folder: Path) -> str:
    """Create the folder, private to our user, and return its identity, which lasts as long as the folder.

    It is stored on the disk, because a host's name changes with each restart of a container. Raises OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not identity(folder):
        with _alone(folder / "identity.lock"):
            if not identity(folder):
                draft = folder / "identity.new"
                draft.write_text(f"{secrets.token_hex(6)}\n", encoding="ascii")
                draft.replace(folder / "identity")
    return identity(folder)


def _lock(path: Path) -> int | None:
    """Return the open, locked lock file; None if another process has the lock. Raises OSError."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError as error:
        os.close(lock)
        remedy = "put FRONTDESK_DATA_DIR on a local disk, or on a volume that does"
        raise OSError(error.errno, f"the volume does not lock files ({error.strerror}); {remedy}", str(path)) from None
    return lock


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock for a moment. Raises OSError, also if another process keeps it for more than two seconds."""
    deadline = time.monotonic() + _LOCKED_WITHIN_S
    while (lock := _lock(path)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path}: another process holds this lock and does not go on; end it")
        time.sleep(_LOOK_EVERY_S)
    try:
        yield
    finally:
        os.close(lock)


def identity(folder: Path) -> str:
    """Return the identity of a folder; empty: it has none yet. Raises OSError."""
    try:
        return (folder / "identity").read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""


def free(folder: Path) -> Iterator[Slot]:
    """Yield free slots, the lowest first. Each is taken already; the caller releases those that it does not use."""
    for number in range(MOST):
        slot = Slot.take(folder, number)
        if slot is not None:
            yield slot


def used(folder: Path) -> list[int]:
    """Return the numbers of the slots that have a file, with or without an owner."""
    if not folder.is_dir():
        return []
    found = (_FILE.fullmatch(entry.name) for entry in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)


def adopt(folder: Path, number: int) -> Slot | None:
    """Take and return the slot if it has a file and no owner; else None. Raises OSError."""
    slot = Slot.take(folder, number)
    if slot is not None and not slot.path.exists():  # its last owner emptied and removed it meanwhile
        slot.release()
        return None
    return slot
