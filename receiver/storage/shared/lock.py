"""A lock with one holder at a time among all processes, for as long as the holder keeps renewing it.

Every holder gets a fencing token; later tokens are larger. Nexudus cannot check it, so the holder does, right before
each write: a process that stalled until its lock expired notices that before it does harm.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import redis

from receiver.core.errors import LockLost, StorageUnavailable
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

LEASE_MS = 10_000
"""How long a lock remains after its holder was killed."""


class Lock:
    """The lock *name*. Call `take`, then `check` before each write, then `free`; a thread renews the lock meanwhile."""

    def __init__(self, connection: redis.Redis, name: str, *, lease_ms: int = LEASE_MS) -> None:
        self._calls = StoreClient(connection, "lock")
        self._keys = list(keys.lock(name))
        self._name = name
        self._lease_ms = lease_ms
        self._who = f"{socket.gethostname()}:{os.getpid()}"
        self._stop = threading.Event()
        self._renewal: threading.Thread | None = None
        self.token = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.free()

    def take(self) -> str | None:
        """Take the lock. Return None if it is ours now, else the name of its holder. Raises StorageUnavailable."""
        token, holder = self._ask("take")
        if not token:
            return holder
        self.token = token
        self._stop.clear()
        self._renewal = threading.Thread(target=self._renew, name=f"lock-{self._name}", daemon=True)
        self._renewal.start()
        return None

    def wait(self, seconds: float, *, waiting: Callable[[str], None], poll_s: float = 0.1) -> None:
        """Take the lock within *seconds*; *waiting* is called with its holder. Raises StorageUnavailable after that."""
        deadline = time.monotonic() + seconds
        is_reported = False
        while holder := self.take():
            if time.monotonic() >= deadline:
                raise StorageUnavailable(f"{holder} still holds the lock {self._name!r} after {seconds:g} s; try later")
            if not is_reported:
                waiting(holder)
                is_reported = True
            time.sleep(poll_s)

    def check(self) -> None:
        """Make sure that the lock is still ours, and extend it to its full time. Raises LockLost or
        StorageUnavailable."""
        ours, holder = self._ask("keep") if self.token else (0, "")
        if not ours:
            now = f"{holder} has it now" if holder else "nobody has it now"
            raise LockLost(f"the lock {self._name!r} is no longer ours ({now}); run the command again")

    def free(self) -> None:
        """Release the lock if it is still ours. Never raises, because the lock expires by itself."""
        self._stop.set()
        if self._renewal is not None:
            self._renewal.join()
            self._renewal = None
        if self.token:
            with contextlib.suppress(StorageUnavailable):
                self._ask("free")
            self.token = 0

    def _renew(self) -> None:
        while not self._stop.wait(self._lease_ms / 3_000):
            try:
                ours, _ = self._ask("keep")
            except StorageUnavailable:
                continue  # `check` says so, loudly, when it matters
            if not ours:
                return

    def _ask(self, verb: str) -> tuple[int, str]:
        number, holder = self._calls.run("lock", verb, self._who, self._lease_ms, self.token, keys=self._keys)
        return int(number), holder.decode(errors="replace") if isinstance(holder, bytes) else str(holder)
