"""Places for spool files in a data directory: numbered slots, each owned by whoever holds the lock on its lock file.

The lock is the kernel's (flock), so it ends with its process, however that ends. A slot whose file lies there without
an owner is an orphan. Lock files are never removed: a lock on a file that somebody has just unlinked protects nothing.
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
"""Slots in one folder, and so receiver processes on one data directory, at most."""

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
        """Where the spool file of this slot is, or will be."""
        return self.folder / f"{self.number:03}.db"

    def release(self) -> None:
        """Let go; whoever comes next may have it."""
        os.close(self._lock)

    @classmethod
    def take(cls, folder: Path, number: int) -> Self | None:
        """Return the slot if nobody owns it. Raises OSError when the folder cannot be written or does not lock."""
        lock = _lock(folder / f"{number:03}.lock")
        return None if lock is None else cls(folder, number, lock)


def folder_of(data_dir: Path) -> Path:
    """Return the folder of a data directory's spools; it need not exist."""
    return data_dir.absolute() / "spool"


def prepare(folder: Path) -> str:
    """Make the folder, for nobody's eyes but ours, and return its identity: the same as long as the folder lives.

    A host's name changes with each restart of a container; what lies on the disk does not. Raises OSError.
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
    """Return the open lock file, locked, or None when somebody else has the lock. Raises OSError."""
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
    """Hold a lock for a moment. Raises OSError, after two seconds when somebody else does not let it go."""
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
    """Yield slots that nobody owned, lowest first, each taken; whoever does not want one releases it."""
    for number in range(MOST):
        slot = Slot.take(folder, number)
        if slot is not None:
            yield slot


def used(folder: Path) -> list[int]:
    """The numbers of the slots that have a file, owned or not."""
    if not folder.is_dir():
        return []
    found = (_FILE.fullmatch(entry.name) for entry in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)


def adopt(folder: Path, number: int) -> Slot | None:
    """Return the slot, taken, if it has a file and no owner. Raises OSError."""
    slot = Slot.take(folder, number)
    if slot is not None and not slot.path.exists():  # its last owner emptied it between our two looks
        slot.release()
        return None
    return slot
