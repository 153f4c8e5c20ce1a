"""The routing table of this process: read at the start, exchanged whole when the file changes, kept when it is wrong.

A wrong file never stops a receiver: it goes on with the last good table, and without one keeps events unrouted. What
is wrong is logged, each problem once.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

import watchfiles

from receiver.core.errors import Problem, RoutesError
from receiver.process import logs
from receiver.routing import file
from receiver.routing.last_good import LastGood
from receiver.routing.table import RoutingTable

_LOOK_EVERY_MS = 500
"""How often the file is read even if nobody says that it changed (network file systems, exchanged folders)."""

STILL_S = 2.0
"""How long a text has to stay the same before it counts: a file that is copied slowly is a right one half-way, too."""

_WAIT_AT_START_S = 10.0
"""How long a start waits at most for a file that somebody is writing."""


class CurrentTable:
    """Holds the table. `table` and `problems` may be read from any thread at any time.

    *save* and *load* keep the last good text outside this machine. What they raise is logged; they should bound their
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
        self._problems: tuple[Problem, ...] = ()
        self._seen: str | tuple[Problem, ...] | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.exchanged = threading.Event()
        """Set whenever another table counts; whoever waits for that clears it before it uses `table`."""

    @property
    def table(self) -> RoutingTable | None:
        """The table of now. None: there is no right one, new or old, and events are to be kept unrouted."""
        return self._table

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the file as it is now; empty when `table` is what the file says."""
        return self._problems

    def start(self, *, strict: bool = False) -> None:
        """Read the file; if it is wrong, fall back to the newest last good table that can be read.

        A file that was written a moment ago and is not what was good last is given the time to become complete.
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
        """Read the file and let it count at once. Return whether the table was exchanged.

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
        """Read the file, and let a new text count once it has stayed the same for long enough."""
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
        """Whether the file was written a moment ago, while this machine knows another text as the last good one."""
        age_s = self.file_age_s()
        try:
            return 0 <= age_s < self._still_s and self._last_good.on_disk() not in (None, file.read_text(self._path))
        except (OSError, ValueError, RoutesError):
            return False

    def file_age_s(self) -> float:
        """Return how many seconds ago the file was written, infinitely many when that cannot be told."""
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

    def _refuse(self, error: RoutesError, *, seen: str | tuple[Problem, ...]) -> None:
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
        """Follow the file until cancelled. Reading and checking happen in a thread, not on the event loop."""
        stop = threading.Event()
        try:
            await asyncio.to_thread(self._follow, stop)
        finally:
            stop.set()

    def start_watching(self) -> None:
        """Follow the file in a thread of its own, until `stop_watching`."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._follow, args=(self._stop,), name="routes", daemon=True)
            self._thread.start()

    def stop_watching(self) -> None:
        """Stop following, within a tenth of a second or so. Does nothing when nobody follows."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _follow(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._follow_folders(stop)
            except (OSError, RuntimeError, UnicodeError) as error:
                # The folder is gone or no UTF-8, or the system has no more watches: look now and then, and try again.
                self._log.debug("routes.watch_failed", error=str(error))
                self._look()
                stop.wait(_LOOK_EVERY_MS / 1_000)

    def _follow_folders(self, stop: threading.Event) -> None:
        """Read the file whenever something happens beside it, or beside what it links to, until those move."""
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
        """Folders, not the file: editors and Kubernetes exchange it by renaming, and a watch would follow the old one.

        Each with its inode: a folder that was deleted and made again is another one.
        """
        parents = {self._path.absolute().parent, self._path.resolve().parent}
        return {(parent, parent.stat().st_ino) for parent in parents}
