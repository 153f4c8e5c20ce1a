"""Where a benchmark takes place: a folder, a store of its own, and whatever is started, until it is over."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import orjson
import redis

from tests.benchmarks import allocator, cores, records
from tests.benchmarks.environments import ROOT
from tests.benchmarks.generator import Load, Orders
from tests.support.processes import Process, Valkey, environment, free_port, wait_until

SECRET = "benchmark-secret"
URL_KEY = "benchmark-url-key"
FIRST_ID = 1_400_000_000

_STARTS_WITHIN_S = 60.0
_SERVER_OPTIONS = ("--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")
"""The append-only file is on, as always; it is not rewritten in the middle of a measurement."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to start something, and what it needs of the environment."""

    argv: Sequence[str | Path]
    environ: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What the store did: seconds of processor time, commands, bytes of memory in use."""

    cpu_s: float
    commands: int
    memory: int


class Stand:
    """One store and what uses it. *pin*: the store and the load generator share one core, so that another is free."""

    def __init__(self, *, pin: bool = True) -> None:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="fd-bench-")))
        self.core = cores.other_core() if pin else None
        self.port = free_port()
        with cores.pinned(self.core):
            self.valkey = Valkey(self.folder / "store", *_SERVER_OPTIONS, port=self.port, environ=allocator.environ())
        self._stack.callback(self.valkey.end)
        self.client: redis.Redis = self.valkey.client(timeout_s=600)
        self._stack.callback(self.client.close)
        self._next_id = FIRST_ID
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def marks(self) -> Path:
        """The file in which jobs leave their marks: 32 bytes each, in memory where there is such a place."""
        memory = Path("/dev/shm")
        return (memory if memory.is_dir() else self.folder) / f"{self.folder.name}.marks"

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What peers and our own commands need to know."""
        return environment(
            {
                "BENCH_REDIS": f"redis://127.0.0.1:{self.port}/0",
                "BENCH_SECRET": SECRET,
                "BENCH_MARKS": str(self.marks),
                "BENCH_RECORD": str(self._record()),
                "FRONTDESK_REDIS_URL": self.valkey.url,
                "FRONTDESK_DATA_DIR": str(self.folder / "var"),
                "FRONTDESK_URL_KEYS": URL_KEY,
                "FRONTDESK_WEBHOOK_SECRETS": SECRET,
                "FRONTDESK_LOG_FORMAT": "json",
                **(more or {}),
            }
        )

    def start(self, command: Command, *, core: int | None = None) -> Process:
        """Start something; it is gone when the stand is."""
        self._started += 1
        with cores.pinned(core):
            process = Process(
                command.argv,
                log=self.folder / f"{self._started}.log",
                environ=self.environ(command.environ),
                cwd=command.cwd or ROOT,
            )
        self._stack.callback(process.end)
        return process

    def run(self, command: Command, *, timeout_s: float = 300.0) -> None:
        """Run something to its end; AssertionError when it fails."""
        ran = subprocess.run(
            [str(word) for word in command.argv],
            env=self.environ(command.environ) | {"PYTHONPATH": str(ROOT)},
            cwd=command.cwd or ROOT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert ran.returncode == 0, f"{command.argv} ended with {ran.returncode}: {(ran.stdout + ran.stderr)[-2000:]}"

    def wait_for_port(self, process: Process, port: int) -> None:
        """Wait until something listens."""

        def listens() -> bool:
            assert process.is_running, f"{process} ended with {process.popen.returncode}"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(listens, lambda: f"somebody at port {port}: {process}", timeout_s=_STARTS_WITHIN_S)

    def ids(self, number: int) -> int:
        """Return the first of so many fresh `Id`s."""
        first = self._next_id
        self._next_id += number
        return first

    def orders(self, port: int, path: str, *, seconds: float, **more: float) -> Orders:
        """Return orders for the load generator: fresh `Id`s, its core."""
        first = self.ids(max(int(seconds * 60_000), int(more.get("count", 0)) + 1))
        whole = {name: value if name == "rate" else int(value) for name, value in more.items()}
        return Orders(port, path, SECRET, first, seconds=seconds, core=self.core, **whole)  # type: ignore[arg-type]

    def load(self, orders: Orders) -> Load:
        """Send as ordered; returns what was measured."""
        return self.read(self.begin(orders))

    def begin(self, orders: Orders) -> "subprocess.Popen[bytes]":
        """Start to send as ordered."""
        argv = [sys.executable, "-m", "tests.benchmarks.generator", orders.argument()]
        sending = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT)
        self._stack.callback(sending.kill)
        return sending

    def read(self, sending: "subprocess.Popen[bytes]") -> Load:
        """Wait for the end of the load; returns what was measured."""
        out, _ = sending.communicate(timeout=600)
        assert sending.returncode == 0, "the load generator failed"
        return Load(**orjson.loads(out))

    def spent(self) -> Spent:
        """What the store has done until now."""
        info = self.client.info()
        used = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
        return Spent(used, int(info["total_commands_processed"]), int(info["used_memory"]))

    def fsync(self, policy: str) -> None:
        """Set `appendfsync`."""
        self.client.config_set("appendfsync", policy)

    def empty(self) -> None:
        """Empty the store and the file of marks."""
        self.client.flushall(asynchronous=False)
        self.marks.unlink(missing_ok=True)
        self.marks.touch()
        self._stack.callback(self.marks.unlink, missing_ok=True)

    def wait_for_marks(self, number: int, *, timeout_s: float) -> None:
        """Wait until so many jobs have started."""
        wait_until(
            lambda: self.marks.stat().st_size // 32 >= number,
            lambda: f"{number} jobs to start; {self.marks.stat().st_size // 32} have",
            timeout_s=timeout_s,
        )

    def _record(self) -> Path:
        file = self.folder / "record.json"
        if not file.exists():
            file.write_bytes(orjson.dumps({**records.record(), "Id": FIRST_ID}))
        return file


def settle(seconds: float = 0.3) -> None:
    """Let what was started or stopped come to rest."""
    time.sleep(seconds)
