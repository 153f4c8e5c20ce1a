"""A worker process as its parent sees it: it starts the process and knows whether it lives and what it runs."""

import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from workers.run.capacity import ASYNC_LIMIT
from workers.run.execution import STUCK_AFTER_S
from workers.run.process import WorkerConfig
from workers.run.shared_counters import SharedCounters
from workers.run.shared_state import RunningAttempt, SharedState

FROZEN_AFTER_S = 10.0
"""Seconds without a heartbeat after which a process is killed."""

_OVERDUE_AFTER_S = 1.0
_START_UP_S = 60.0


@dataclass(frozen=True, slots=True)
class Launch:
    """What all worker processes of one parent have in common. Empty *queues* means every known queue."""

    threads: int
    queues: tuple[str, ...]
    burst: bool
    grace_s: float
    environ: Mapping[str, str]


class ChildProcess:
    """One worker process. It shares the parent's standard streams."""

    def __init__(self, launch: Launch, *, alone: bool = False) -> None:
        self.name = f"{socket.gethostname()}-{secrets.token_hex(6)}"
        self.alone = alone
        self._launch = launch
        threads = 1 if alone else launch.threads
        self._file = SharedState.file(threads + ASYNC_LIMIT)
        self._state = SharedState(self._file, threads + ASYNC_LIMIT)
        self._counts_file = SharedCounters.file()
        self.counts = SharedCounters(self._counts_file)
        self._config = WorkerConfig(self.name, threads, launch.burst or alone, alone, launch.grace_s)
        self._process: subprocess.Popen[bytes] | None = None
        self.started = time.monotonic()

    def start(self, queues: Sequence[str]) -> None:
        """Start the process on *queues*; when empty, it serves those of routes.yaml and those that the store knows."""
        state, counts = self._file.fileno(), self._counts_file.fileno()
        config = json.dumps({"orders": asdict(self._config), "queues": list(queues), "board": state, "counts": counts})
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "workers", config], pass_fds=[state, counts], env=dict(self._launch.environ)
        )

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process else 0

    def status(self) -> int | None:
        """Return the exit status; None while it lives."""
        return self._process.poll() if self._process else None

    def has_started(self) -> bool:
        """Return whether the process ever started to work."""
        return self._state.last_heartbeat() > 0

    def is_frozen(self, now: float) -> bool:
        """Return whether the process is suspended, or blocked beyond a timeout by code that holds the interpreter."""
        heartbeat = self._state.last_heartbeat()
        if heartbeat == 0:
            return now - self.started > _START_UP_S
        silence = now - heartbeat
        if silence <= _OVERDUE_AFTER_S:
            return False
        overdue = any(now > running.deadline + STUCK_AFTER_S for running in self._state.running())
        return overdue or silence > FROZEN_AFTER_S

    def running(self) -> list[RunningAttempt]:
        """Return what it runs, or was running when it died."""
        return self._state.running()

    def terminate(self) -> None:
        """Send SIGTERM. A second one makes it give back at once what it holds."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        if self._process and self._process.poll() is None:
            self._process.kill()
