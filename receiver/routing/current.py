"""The routing table of this process: read at the start, exchanged whole when the file changes, kept when it is wrong.

A wrong file never stops a receiver: it goes on with the last good table, and without one keeps events unrouted. What
is wrong is logged, each problem once.
"""

import asyncio
import threading
from collections.abc import Callable, Collection
from pathlib import Path

import watchfiles

from receiver import logs
from receiver.errors import Problem, RoutesError
from receiver.routing import file
from receiver.routing.last_good import LastGood
from receiver.routing.table import RoutingTable

_LOOK_EVERY_MS = 2_000
"""How often the file is looked at even if nobody says that it changed (network file systems, exchanged folders)."""


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
    ) -> None:
        self._path = path
        self._known_actions = known_actions
        self._last_good = LastGood(data_dir, save, load)
        self._log = logs.get()
        self._table: RoutingTable | None = None
        self._problems: tuple[Problem, ...] = ()
        self._seen: str | tuple[Problem, ...] | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

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

        *strict*: raise RoutesError instead of falling back.
        """
        self.reload()
        if self._problems and strict:
            raise RoutesError(self._problems)
        if self._table is None:
            self._fall_back()

    def reload(self) -> bool:
        """Look at the file. Return whether the table was exchanged; a wrong file is logged once and changes nothing."""
        with self._lock:
            try:
                text = file.read_text(self._path)
            except RoutesError as error:
                self._refuse(error, seen=error.problems)
                return False
            if text == self._seen:
                return False
            try:
                table = file.parse(text, file=str(self._path), known_actions=self._known_actions)
            except RoutesError as error:
                self._refuse(error, seen=text)
                return False
            self._seen = text
            self._table, self._problems = table, ()
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
                self.reload()
                stop.wait(_LOOK_EVERY_MS / 1_000)

    def _follow_folders(self, stop: threading.Event) -> None:
        """Look at the file whenever something happens beside it, or beside what it links to, until those move."""
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
        self.reload()
        for _ in changes:
            self.reload()
            if self._folders() != folders:
                return

    def _folders(self) -> set[tuple[Path, int]]:
        """Folders, not the file: editors and Kubernetes exchange it by renaming, and a watch would follow the old one.

        Each with its inode: a folder that was deleted and made again is another one.
        """
        parents = {self._path.absolute().parent, self._path.resolve().parent}
        return {(parent, parent.stat().st_ino) for parent in parents}
