"""A small disk of its own, that can be filled to the last byte: a tmpfs, which takes root to mount."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

_PIECES = (256 * 1024, 4 * 1024, 1)


class NoDisk(Exception):
    """This machine lets us mount nothing; the sentence says what goes untested."""


class Disk:
    """A mounted disk of few megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._balloon = folder / "balloon"

    def fill(self) -> None:
        """Take all the space that is left."""
        with self._balloon.open("ab", buffering=0) as balloon:
            for piece in _PIECES:
                with contextlib.suppress(OSError):  # there is no more room for a piece of this size
                    while balloon.write(b"\0" * piece) == piece:
                        pass

    def remount(self, how: str) -> None:
        """Make it `ro`, or `rw` again."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.folder)], check=True, capture_output=True)

    def free(self) -> None:
        """Give it back."""
        self._balloon.unlink(missing_ok=True)


@contextlib.contextmanager
def mounted(folder: Path, *, megabytes: int) -> Iterator[Disk]:
    """Mount a disk at *folder* for a while. Raises NoDisk where that is not allowed."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise NoDisk("NOT TESTED: full disks, because this user may not mount a tmpfs (root may)") from None
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)
