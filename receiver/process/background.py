"""Work in threads beside the main one: a call that may take for ever, and a task that is repeated.

Nobody has to wait for these threads, not even the end of the process. No timeout of a socket bounds the resolution of a
name: while the name servers are away it takes 20 s or more.
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
    """Start *call*, and return where its result or its exception will be."""
    result: Future[T] = Future()
    result.set_running_or_notify_cancel()  # whoever gives up waiting for it does not take the place of its result

    def run() -> None:
        try:
            result.set_result(call())
        except Exception as error:  # noqa: BLE001 - it is for whoever asks for the result
            result.set_exception(error)

    threading.Thread(target=run, name="background", daemon=True).start()
    return result


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what *call* returns. Raises TimeoutError when that takes too long; it goes on by itself then."""
    return begin(call).result(seconds)


class PeriodicTask:
    """Calls *turn* every *every_s* seconds until `stop`. A store that is away is waited for."""

    def __init__(self, name: str, turn: Callable[[], object], *, every_s: float = 5.0) -> None:
        self._name = name
        self._turn = turn
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Let no further turn begin, and wait a little for the one that runs; it can be cut off anywhere."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self._turn()
            except (StorageUnavailable, LockLost) as error:
                _log.warning("task.waiting", task=self._name, error=str(error))
            except Exception:  # noqa: BLE001 - a fault in one turn must not end all of them, unseen
                _log.exception("task.failed", task=self._name)
