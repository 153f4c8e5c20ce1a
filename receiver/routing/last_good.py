"""Keeps a copy of the last valid routing file, for processes that start while the current file is wrong.

There are two copies: one in the data directory, and one where the caller's functions put it (the store). Each begins
with a comment that says when it was saved, so that the newer one can be chosen.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from receiver.core.errors import FrontdeskError
from receiver.process import logs
from receiver.routing import file

NAME = "routes.last-good.yaml"
"""The copy's name in the data directory."""

_HEADER = re.compile(r"# frontdesk: the last good routes, saved ([0-9T:.+-]{20,40})\n")


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a routing file, and where it was found."""

    text: str
    saved_at: str
    where: str


class LastGood:
    """Saves and finds copies. Never raises: a copy that cannot be saved or read is logged."""

    def __init__(
        self, data_dir: Path, save: Callable[[str], None] | None = None, load: Callable[[], str | None] | None = None
    ) -> None:
        self._path = data_dir / NAME
        self._save = save
        self._load = load
        self._log = logs.get()

    def keep(self, text: str) -> None:
        """Save *text* as the last valid file, in both places."""
        self._put(text, datetime.now(UTC).isoformat(timespec="microseconds"))

    def restore(self, copy: Copy) -> None:
        """Save a copy that was found in one place in both, with its original time; the other place may have lost it."""
        if copy.saved_at:
            self._put(copy.text, copy.saved_at)

    def _put(self, text: str, saved_at: str) -> None:
        copy = f"# frontdesk: the last good routes, saved {saved_at}\n{text}"
        try:
            _write(self._path, copy)
        except OSError as error:
            self._log.warning("routes.copy_failed", where=str(self._path), error=str(error))
        if self._save is not None:
            try:
                self._save(copy)
            except Exception as error:  # noqa: BLE001  # a copy is a convenience: no failure to save it may stop us
                self._log.warning("routes.copy_failed", where="store", error=str(error))

    def copies(self) -> tuple[Copy, ...]:
        """Return the copies, the newest first."""
        found = [_copy(text, where) for where, text in (("store", self._stored()), (str(self._path), self._read()))]
        return tuple(sorted((copy for copy in found if copy), key=lambda copy: copy.saved_at, reverse=True))

    def on_disk(self) -> str | None:
        """Return the text of the copy in the data directory; None if there is none or it cannot be read."""
        copy = _copy(self._read(), str(self._path))
        return copy.text if copy else None

    def _stored(self) -> str | None:
        if self._load is None:
            return None
        try:
            return self._load()
        except Exception as error:  # noqa: BLE001  # as above
            self._log.warning("routes.copy_unreadable", where="store", error=str(error))
            return None

    def _read(self) -> str | None:
        if not self._path.exists():
            return None
        try:
            return file.read_text(self._path, most=file.MAX_BYTES + 200)
        except FrontdeskError as error:
            self._log.warning("routes.copy_unreadable", where=str(self._path), error=str(error))
            return None


def _copy(text: str | None, where: str) -> Copy | None:
    """Return a copy without its header. A copy without a header was made by hand and counts as the oldest."""
    if not text:
        return None
    header = _HEADER.match(text)
    return Copy(text[header.end() :], header[1], where) if header else Copy(text, "", where)


def _write(path: Path, text: str) -> None:
    """Write atomically: a reader sees the old file or the new one, and so it is after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
