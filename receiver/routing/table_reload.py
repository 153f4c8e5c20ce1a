"""The current routing table of a process: read at the start, replaced as a whole when the file changes to a valid one.

A wrong file never stops a receiver: it continues with the last good table, and without one it stores events unrouted.
Each problem of the file is logged once.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

import watchfiles

from receiver.core.errors import FileProblem, RoutesError
from receiver.process import logs
from receiver.routing import file
from receiver.routing.last_good import LastGood
from receiver.routing.table import RoutingTable

_LOOK_EVERY_MS = 500
"""Milliseconds after which the file is read even without a notification (network file systems, replaced folders)."""

STILL_S = 2.0
"""Seconds for which a text must stay the same before it is used: a half-copied file may be a valid one, too."""

_WAIT_AT_START_S = 10.0
"""Seconds that a start waits at most for a file that is still being written."""


class CurrentTable:
    """Holds the table. `table` and `problems` may be read from any thread at any time.

    *save* and *load* keep the last good text outside this machine. Their exceptions are logged. They should limit their
    own time, because `start` and `reload` wait for them.
    """

    def __init__(
        self,
        path: Path,
        *,
        known_actions: Collection[str],
        data_dir: Path,
        save: Callable[[str], None] | None = None,
        load: Callable[[], str | None] | None = None,
        still_s: float = STILL_S,
    ) -> None:
        self._path = path
        self._still_s = still_s
        self._candidate: str | None = None
        self._candidate_since = 0.0
        self._known_actions = known_actions
        self._last_good = LastGood(data_dir, save, load)
        self._log = logs.get()
        self._table: RoutingTable | None = None
        self._problems: tuple[FileProblem, ...] = ()
        self._seen: str | tuple[FileProblem, ...] | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.exchanged = threading.Event()
        """Set whenever the table was replaced. A waiter clears it before it uses `table`."""

    @property
    def table(self) -> RoutingTable | None:
        """The current table. None: there is no valid one, neither new nor old; events are then stored unrouted."""
        return self._table

    @property
    def problems(self) -> tuple[FileProblem, ...]:
        """The problems of the file in its current state; empty when `table` matches the file."""
        return self._problems

    def start(self, *, strict: bool = False) -> None:
        """Read the file; if it is wrong, fall back to the newest copy of a good table that can be read.

        If the file was written a moment ago and differs from the last good one, wait until it is complete.
        *strict*: raise RoutesError instead of falling back.
        """
        deadline = time.monotonic() + _WAIT_AT_START_S
        while self._may_be_half_written() and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_MS / 5_000)
        self.reload()
        if self._problems and strict:
            raise RoutesError(self._problems)
        if self._table is None:
            self._fall_back()

    def reload(self) -> bool:
        """Read the file and use it at once. Return whether the table was replaced.

        A wrong file is logged once and changes nothing.
        """
        with self._lock:
            try:
                text = file.read_text(self._path)
            except RoutesError as error:
                self._refuse(error, seen=error.problems)
                return False
            return self._take(text)

    def _look(self) -> None:
        """Read the file, and use a new text once it has stayed the same for long enough."""
        with self._lock:
            try:
                text = file.read_text(self._path)
            except RoutesError as error:
                self._candidate = None
                self._refuse(error, seen=error.problems)
                return
            now = time.monotonic()
            if text != self._candidate:
                self._candidate, self._candidate_since = text, now
            if now - self._candidate_since >= self._still_s:
                self._take(text)

    def _may_be_half_written(self) -> bool:
        """Return whether the file was written a moment ago and differs from this machine's last good copy."""
        age_s = self.file_age_s()
        try:
            return 0 <= age_s < self._still_s and self._last_good.on_disk() not in (None, file.read_text(self._path))
        except (OSError, ValueError, RoutesError):
            return False

    def file_age_s(self) -> float:
        """Return how many seconds ago the file was written; infinity if that is unknown."""
        try:
            return time.time() - self._path.stat().st_mtime
        except (OSError, ValueError):
            return math.inf

    def _take(self, text: str) -> bool:
        if text == self._seen:
            return False
        try:
            table = file.parse(text, file=str(self._path), known_actions=self._known_actions)
        except RoutesError as error:
            self._refuse(error, seen=text)
            return False
        self._seen = text
        self._table, self._problems = table, ()
        self.exchanged.set()
        self._log.info("routes.reloaded", file=str(self._path), hash=table.hash, routes=len(table.routes))
        self._last_good.keep(text)
        return True

    def _refuse(self, error: RoutesError, *, seen: str | tuple[FileProblem, ...]) -> None:
        if seen == self._seen:
            return
        self._seen, self._problems = seen, error.problems
        kept = self._table.hash if self._table else None
        for problem in error.problems:
            self._log.error(
                "routes.refused", file=problem.file, line=problem.line, problem=problem.message, table_kept=kept
            )

    def _fall_back(self) -> None:
        for copy in self._last_good.copies():
            try:
                self._table = file.parse(copy.text, file=str(self._path), known_actions=self._known_actions)
            except RoutesError as error:
                self._log.warning("routes.copy_unreadable", where=copy.where, error=str(error))
                continue
            self._log.error("routes.last_good_used", hash=self._table.hash, saved_at=copy.saved_at, where=copy.where)
            self._last_good.restore(copy)
            return
        self._log.error("routes.none_usable", file=str(self._path), consequence="events are kept unrouted")

    async def watch(self) -> None:
        """Watch the file until cancelled. A thread reads and checks it, not the event loop."""
        stop = threading.Event()
        try:
            await asyncio.to_thread(self._follow, stop)
        finally:
            stop.set()

    def start_watching(self) -> None:
        """Watch the file in a thread until `stop_watching`."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._follow, args=(self._stop,), name="routes", daemon=True)
            self._thread.start()

    def stop_watching(self) -> None:
        """Stop watching, within about a tenth of a second. Does nothing if the file is not watched."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _follow(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._follow_folders(stop)
            except (OSError, RuntimeError, UnicodeError) as error:
                # The folder is gone or its name is not UTF-8, or the system has no more watches: poll, and try again.
                self._log.debug("routes.watch_failed", error=str(error))
                self._look()
                stop.wait(_LOOK_EVERY_MS / 1_000)

    def _follow_folders(self, stop: threading.Event) -> None:
        """Read the file whenever something changes in its folder or in that of its link's target, until those move."""
        folders = self._folders()
        changes = watchfiles.watch(
            *(folder for folder, _ in folders),
            watch_filter=None,
            stop_event=stop,
            rust_timeout=_LOOK_EVERY_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            recursive=False,
        )
        self._look()
        for _ in changes:
            self._look()
            if self._folders() != folders:
                return

    def _folders(self) -> set[tuple[Path, int]]:
        """Return the folders to watch. Not the file itself: editors and Kubernetes replace it by renaming another file,
        and the watch would stay with the old one.

        Each comes with its inode: a folder that was deleted and created again is a different one.
        """
        parents = {self._path.absolute().parent, self._path.resolve().parent}
        return {(parent, parent.stat().st_ino) for parent in parents}
