"""Acts on many events: one at a time in a console, at a bounded rate, seen while it runs, stopped when asked."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from receiver import logs
from receiver.errors import FrontdeskError, UsageError

PER_SECOND: Final = 200
MOST: Final = 100_000
"""Events in one run; what is left takes another."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. *skipped* events needed nothing or could not be acted on; *reason* is that of the last one."""

    what: str
    who: str
    total: int
    done: int = 0
    made: int = 0
    skipped: int = 0
    reason: str = ""
    is_running: bool = True
    error: str = ""


Step = Callable[[str], tuple[int, str]]
"""Acts on one event; returns how many deliveries it made, and why none."""


class Bulk:
    """Runs one act on many events in a thread. What was done stays done; running it again goes on with the rest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._progress: Progress | None = None
        self._thread: threading.Thread | None = None

    @property
    def progress(self) -> Progress | None:
        """The run that goes on, or the last one."""
        return self._progress

    def start(self, progress: Progress, events: Iterator[str], step: Step) -> None:
        """Begin a run. Raises UsageError when one goes on already."""
        with self._lock:
            if self._progress is not None and self._progress.is_running:
                raise UsageError(
                    f"{self._progress.who} runs {self._progress.what} already; wait for its end or stop it"
                )
            self._stop.clear()
            self._progress = progress
            self._thread = threading.Thread(target=self._run, args=(events, step), name="bulk", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the run after the event at hand; wait a moment for that."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    def _run(self, events: Iterator[str], step: Step) -> None:
        error = "it was ended by a fault of ours; the log says which"
        try:
            error = self._go_through(events, step)
        finally:
            self._change(is_running=False, error=error)
            if ended := self._progress:
                logs.get().info(
                    "bulk.ended", act=ended.what, who=ended.who, done=ended.done, made=ended.made, error=error
                )

    def _go_through(self, events: Iterator[str], step: Step) -> str:
        began = time.monotonic()
        try:
            for number, event_id in enumerate(events):
                if self._stop.wait(max(0.0, began + number / PER_SECOND - time.monotonic())):
                    return "it was stopped"
                made, reason = step(event_id)
                self._count(made, reason)
        except FrontdeskError as failure:
            return str(failure)
        return ""

    def _count(self, made: int, reason: str) -> None:
        now = self._progress
        if now is not None:
            self._change(
                done=now.done + 1, made=now.made + made, skipped=now.skipped + (not made), reason=reason or now.reason
            )

    def _change(self, **changes: object) -> None:
        if self._progress is not None:
            self._progress = replace(self._progress, **changes)  # type: ignore[arg-type]
