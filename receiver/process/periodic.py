"""What a long-running process does every few seconds beside its work, in a thread of its own."""

import threading
from collections.abc import Callable

from receiver.core.errors import LockLost, StorageUnavailable
from receiver.process import logs

_log = logs.get()


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
