"""A stack on which faults are caused: a store, a receiver, workers, and a link between any two of them."""

import contextlib
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, Self, TypeVar

from tests.faults.disk import Disk
from tests.faults.ensemble import Ensemble
from tests.faults.ledger import Ledger
from tests.faults.link import Link
from tests.faults.load import Orders
from tests.faults.skew import Skew
from tests.support.processes import Process, Valkey, environment, free_port, is_alive

Fsync = Literal["everysec", "always"]

P = TypeVar("P", bound=Process)

STARTS_WITHIN_S = 60.0

_LOOK_EVERY_S = 0.25
"""How often the store is asked whether all has settled: an audit is work for it."""


class Stand(ABC):
    """Started by `with`; everything is gone at its end. *folder* must be short enough for a socket below it."""

    name: str
    store: Valkey
    receiver: Process
    worker: Process
    ensemble: Ensemble
    """Of a stand whose store fails over, and then `store` is its primary of the moment."""

    def __init__(self, folder: Path, *, fsync: Fsync = "everysec", store_folder: Path | None = None) -> None:
        """*store_folder*: where the store keeps its data, if not in *folder*.

        Blows note in `killed` which of the processes that run handlers they have ended in the middle of it.
        """
        self.folder = folder
        self.fsync = fsync
        self.killed: set[int] = set()
        self.receivers = 1
        self.disks: dict[str, Disk] = {}
        self.clocks: dict[str, Skew] = {}
        self.notes = folder / "notes"
        self.answers = folder / "answers"
        self._store_folder = store_folder or folder / "store"
        self._port = free_port()
        self._stack = contextlib.ExitStack()
        self._orphans: set[int] = set()
        self._logs = 0

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            self._stack = stack
            stack.callback(self._end_orphans)
            self._start_store()
            self.nexudus_to_receiver = self._started(Link(self.folder, "nexudus-receiver", str(self._port)))
            self.start_receiver()
            stack.callback(lambda: self.receiver.end())
            self.start_worker()
            stack.callback(lambda: self.worker.end())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # -- parts ------------------------------------------------------------------------------------------------------

    def _start_store(self) -> None:
        """Start the store, as `store`, and the links to it."""
        self.store = Valkey(self._store_folder, "--appendfsync", self.fsync)
        self._stack.callback(lambda: self.store.end())
        socket = str(self._store_folder / "socket")
        self.receiver_to_store = self._started(Link(self.folder, "receiver-store", socket))
        self.worker_to_store = self._started(Link(self.folder, "worker-store", socket))

    @abstractmethod
    def start_receiver(self) -> None:
        """Start a receiver, as `receiver`, and wait until it takes events."""

    @abstractmethod
    def start_worker(self) -> None:
        """Start what runs handlers, as `worker`."""

    @abstractmethod
    def running(self) -> list[list[int]]:
        """The processes that run handlers now, those together that would die together."""

    def start_sender(self, rate: float, *, echo_every: int) -> Process:
        """Start sending events; SIGTERM ends it in order."""
        orders = self.orders(rate, echo_every)
        argv = [sys.executable, "-m", "tests.faults.load", orders.argument()]
        return self._started(Process(argv, log=self._log("load"), environ=environment()))

    @abstractmethod
    def orders(self, rate: float, echo_every: int) -> Orders:
        """What the sender is told."""

    def orphan(self, pids: Iterable[int]) -> None:
        """Remember processes whose parent is about to be killed: whatever they do then, they end with the stand."""
        self._orphans.update(pids)

    def _end_orphans(self) -> None:
        for pid in self._orphans:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)

    # -- the end ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def in_flight(self) -> int:
        """How much has not come to its end."""

    @abstractmethod
    def ledger(self) -> Ledger:
        """What was answered, kept and handled."""

    def settle(self, *, timeout_s: float) -> bool:
        """Wait until nothing is in flight any more; False when that did not come in time."""
        deadline = time.monotonic() + timeout_s
        while self.in_flight():
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_EVERY_S)
        return True

    # -- for the parts ----------------------------------------------------------------------------------------------

    def _log(self, name: str) -> Path:
        self._logs += 1
        return self.folder / f"{self._logs}-{name}.log"

    def _started(self, process: P) -> P:
        self._stack.callback(process.end)
        return process


def interrupt(process: Process, number: signal.Signals, *, then: Callable[[], None]) -> None:
    """End a process by a signal, wait until it is gone, then go on."""
    process.signal(number)
    process.wait(timeout_s=STARTS_WITHIN_S)
    then()
