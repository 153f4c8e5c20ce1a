"""Runs work in background threads: a call that may block for ever, and a periodic task.

Nothing has to wait for these threads, not even the end of the process. They are needed because a socket's timeout does
not bound name resolution: while the name servers are away, that takes 20 s or more.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from receiver.core.errors import LockLost, StorageUnavailable
from receiver.process import logs

T = TypeVar("T")

_log = logs.get()


def begin(call: Callable[[], T]) -> Future[T]:
    """Start *call* in a thread, and return a Future for its result or exception."""
    result: Future[T] = Future()
    result.set_running_or_notify_cancel()  # a caller that stops waiting must not cancel it, or set_result fails

    def run() -> None:
        try:
            result.set_result(call())
        except Exception as error:  # noqa: BLE001 - the caller gets it with the result
            result.set_exception(error)

    threading.Thread(target=run, name="background", daemon=True).start()
    return result


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what *call* returns. Raises TimeoutError after *seconds*; the call then continues in its thread."""
    return begin(call).result(seconds)


class PeriodicTask:
    """Calls *turn* every *every_s* seconds until `stop`. While the store is away, it waits and tries again."""

    def __init__(self, name: str, turn: Callable[[], object], *, every_s: float = 5.0) -> None:
        self._name = name
        self._turn = turn
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Start no further turn, and wait up to *timeout_s* for the current one, which may be cut off at any point."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self._turn()
            except (StorageUnavailable, LockLost) as error:
                _log.warning("task.waiting", task=self._name, error=str(error))
            except Exception:  # noqa: BLE001 - an error in one turn must not end the task silently
                _log.exception("task.failed", task=self._name)
