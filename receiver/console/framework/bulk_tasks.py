"""Tasks over many events: one at a time in a console, at a limited rate, with progress, and they can be stopped."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from receiver.core.errors import FrontdeskError, UsageError
from receiver.process import logs

PER_SECOND: Final = 200
MOST: Final = 100_000
"""Events in one run; what is left takes another."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. *done* of *total* are counted in *unit*; *skipped* are those of them that came to nothing, and
    *reason* says why the last one did."""

    what: str
    who: str
    total: int
    unit: str = "events"
    done: int = 0
    skipped: int = 0
    reason: str = ""
    is_running: bool = True
    error: str = ""


class ProgressReport(Protocol):
    """Takes the progress of a run."""

    def __call__(self, reason: str) -> None:
        """Count one that is done; *reason* says why it came to nothing, and is empty when it did not."""

    def expect(self, total: int) -> None:
        """Say how many there are, when that is not known before."""


Run = Callable[[ProgressReport, threading.Event], str]
"""Does the work until it is done or the event is set. Returns why it ended early, or an empty text."""


class BulkTasks:
    """Runs one task at a time in a thread. What it has done stays done; running it again does the rest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._progress: Progress | None = None
        self._thread: threading.Thread | None = None

    @property
    def progress(self) -> Progress | None:
        """The run that goes on, or the last one."""
        return self._progress

    def start(self, progress: Progress, run: Run) -> None:
        """Begin a run. Raises UsageError when one goes on already."""
        with self._lock:
            if self._progress is not None and self._progress.is_running:
                raise UsageError(
                    f"{self._progress.who} already runs a {self._progress.what}; wait until it ends or stop it"
                )
            self._stop.clear()
            self._progress = progress
            self._thread = threading.Thread(target=self._run, args=(run,), name="bulk", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the run after what is at hand; wait a moment for that."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    def _run(self, run: Run) -> None:
        error = "an internal error; see the log"
        try:
            error = run(_Report(self._change), self._stop)
        except FrontdeskError as failure:
            error = str(failure)
        finally:
            self._change(is_running=False, error=error)
            if ended := self._progress:
                logs.get().info("bulk.ended", act=ended.what, who=ended.who, done=ended.done, error=error or None)

    def _change(self, **changes: object) -> None:
        if self._progress is not None:
            self._progress = replace(self._progress, **changes)  # type: ignore[arg-type]


class _Report:
    def __init__(self, change: Callable[..., None]) -> None:
        self._change = change
        self._done = self._skipped = 0

    def __call__(self, reason: str) -> None:
        self._done += 1
        self._skipped += bool(reason)
        self._change(done=self._done, skipped=self._skipped, **({"reason": reason} if reason else {}))

    def expect(self, total: int) -> None:
        self._change(total=total)


def paced(events: Iterator[str], step: Callable[[str], str]) -> Run:
    """Return a run that takes one event after the other; *step* acts on one and says why it came to nothing."""

    def run(count: ProgressReport, stop: threading.Event) -> str:
        began = time.monotonic()
        for number, event_id in enumerate(events):
            if stop.wait(max(0.0, began + number / PER_SECOND - time.monotonic())):
                return "it was stopped"
            count(step(event_id))
        return ""

    return run
