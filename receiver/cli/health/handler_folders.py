"""Where handlers write: whether it can be written here, and whether what is written there lasts."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_FLEETING: Final = {
    "overlay": "the container's own layer, which goes with the container",
    "ramfs": "in memory, and gone after a restart of the machine",
    "tmpfs": "in memory, and gone after a restart of the machine",
}
"""Kinds of file systems, and what becomes of what is written there."""

_MOUNTS: Final = Path("/proc/self/mounts")


def warnings(paths: Mapping[str, Path]) -> Iterator[str]:
    """Yield what is to be said of a handler's options that are *paths*; they may be read only, so it is no error."""
    for option, given in paths.items():
        path = given.expanduser() if str(given) != "~" else given
        if path.is_file():
            continue
        if not path.is_absolute():
            yield (
                f"option {option!r}: {str(given)!r} is relative to the folder that workers start in, here "
                f"{str(Path.cwd())!r}; write the whole path of a folder that is theirs and lasts"
            )
        if not is_writable(path):
            yield f"option {option!r}: {str(given)!r} cannot be written by this user; make the folder, or name another"
        elif sort := _FLEETING.get(_file_system(path.absolute())):
            yield f"option {option!r}: {str(given)!r} is {sort}; mount a disk there, or name another folder"


def is_writable(path: Path) -> bool:
    """Return whether this process could write into the folder *path*, which need not be there yet."""
    there = _nearest(path.absolute())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _nearest(path: Path) -> Path:
    """Return the nearest of *path* and the folders above it that is there."""
    return next(each for each in (path, *path.parents) if each.exists() or each == each.parent)


def _file_system(path: Path) -> str:
    """Return the kind of file system that *path* is or would be on; empty: it cannot be found out."""
    try:
        mounts = [line.split() for line in _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return ""
    there = _nearest(path).resolve()
    over = [each for each in mounts if len(each) > 2 and there.is_relative_to(each[1].replace("\\040", " "))]
    return max(over, key=lambda each: len(each[1]))[2] if over else ""
