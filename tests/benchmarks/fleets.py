"""Who runs deliveries: our workers and those of the peers, with what each needs to fill its queue beforehand."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.benchmarks import cores, environments, ours
from tests.benchmarks.stand import Command, Stand
from tests.support.processes import Process

OURS = "Frontdesk"
OURS_ASYNC = "Frontdesk, async def"
RQ = "rq worker"
SIMPLE = "RQ SimpleWorker"
CELERY = "Celery"
DRAMATIQ = "Dramatiq"
TASKIQ = "taskiq"
HUEY = "huey"
BULLMQ = "BullMQ, concurrency 50"

_PEERS = "tests.benchmarks.peers"
_BY_HAND = "rq.SimpleWorker"


@dataclass(slots=True)
class Fleet:
    """One of them. *workers* returns a command for each process to start; *wait_ms*: how long each job waits.

    *guess*: jobs a second of one process with jobs that do nothing, and with ones that wait; corrected by the first
    round. *unrecorded* returns how many jobs have been taken whose end is not recorded yet, for a fleet that records in
    batches behind its handlers. Methods raise `environments.Missing` where the peer cannot run.
    """

    name: str
    workers: Callable[[Stand, int], list[Command]]
    preload: Callable[[Stand, int], None]
    guess: float
    guess_waiting: float
    unrecorded: Callable[[Stand], int] | None = None
    started: list[Process] = field(default_factory=list)

    def start(self, stand: Stand, wait_ms: int) -> None:
        """Start its workers."""
        self.started = [stand.start(command) for command in self.workers(stand, wait_ms)]

    def used_s(self) -> float:
        """Processor time that its workers have used until now."""
        return sum(cores.seconds_of(process.pid) for process in self.started)

    def stop(self) -> None:
        """Stop them."""
        for process in self.started:
            process.end()
        self.started = []


def _ours(function: str) -> Callable[[Stand, int], list[Command]]:
    """Return what starts ours: two processes as they come; for jobs that wait one, with 64 threads."""

    def workers(stand: Stand, wait_ms: int) -> list[Command]:
        file = ours.routes(stand, wait_ms=wait_ms, function=function)
        return [ours.workers(file, processes=1, threads=64) if wait_ms else ours.workers(file)]

    return workers


def rq(*options: str) -> Callable[[Stand, int], list[Command]]:
    """Return what starts RQ's own workers: two, or one for jobs that wait."""

    def workers(stand: Stand, wait_ms: int) -> list[Command]:
        argv = [sys.executable, "-m", "rq.cli", "worker", "--serializer", "json", "--quiet", *options]
        command = Command([*argv, "--url", stand.valkey.url, "default"], _waits(wait_ms))
        return [command] * (1 if wait_ms else 2)

    return workers


def _celery(_: Stand, wait_ms: int) -> list[Command]:
    program = environments.python("python") / "celery"
    pool = ("--pool", "threads", "-c", "64") if wait_ms else ("-c", "2")
    quiet = ("--without-gossip", "--without-mingle", "--loglevel", "WARNING")
    return [Command([program, "-A", f"{_PEERS}.celery_peer:tasks", "worker", *pool, *quiet], _waits(wait_ms))]


def _dramatiq(_: Stand, wait_ms: int) -> list[Command]:
    program = environments.python("python") / "dramatiq"
    size = ("-p", "1", "-t", "64") if wait_ms else ("-p", "2", "-t", "8")
    return [Command([program, f"{_PEERS}.dramatiq_peer", *size], _waits(wait_ms))]


def _taskiq(_: Stand, wait_ms: int) -> list[Command]:
    program = environments.python("python") / "taskiq"
    size = ("--workers", "1", "--max-async-tasks", "64") if wait_ms else ("--workers", "2")
    module = f"{_PEERS}.taskiq_peer:broker"
    return [Command([program, "worker", *size, "--log-level", "WARNING", module], _waits(wait_ms))]


def _huey(_: Stand, wait_ms: int) -> list[Command]:
    program = environments.python("python") / "huey_consumer"
    size = ("-k", "thread", "-w", "64") if wait_ms else ("-k", "process", "-w", "2")
    return [Command([program, f"{_PEERS}.huey_peer.huey", *size, "--quiet"], _waits(wait_ms))]


def bullmq(_: Stand, wait_ms: int) -> list[Command]:
    """Two processes, or one for jobs that wait; 50 jobs at a time in each."""
    folder = environments.node("bullmq")
    command = Command([environments.program("node", "nodejs"), folder / "worker.mjs"], _waits(wait_ms), folder)
    return [command] * (1 if wait_ms else 2)


def _waits(wait_ms: int) -> dict[str, str]:
    return {"BENCH_WAIT_MS": str(wait_ms), "PYTHONPATH": str(environments.ROOT)}


def _by_module(module: str, environment: str = "") -> Callable[[Stand, int], None]:
    """Return what fills a peer's queue: a function of its module."""
    code = f"from {_PEERS}.{module} import preload; preload()"

    def preload(stand: Stand, number: int) -> None:
        python = environments.python(environment) / "python" if environment else sys.executable
        stand.run(Command([python, "-c", code, str(number)]))

    return preload


def _preload_bullmq(stand: Stand, number: int) -> None:
    folder = environments.node("bullmq")
    stand.run(Command([environments.program("node", "nodejs"), folder / "preload.mjs", str(number)], cwd=folder))


def fleets() -> list[Fleet]:
    """All of them, ours first."""
    return [
        Fleet(OURS, _ours("mark"), ours.preload, 8_000, 1_000, ours.unrecorded),
        Fleet(OURS_ASYNC, _ours("mark_async"), ours.preload, 8_000, 3_000, ours.unrecorded),
        Fleet(RQ, rq(), _by_module("rq_peer"), 80, 10),
        Fleet(SIMPLE, rq("-w", _BY_HAND), _by_module("rq_peer"), 320, 18),
        Fleet(CELERY, _celery, _by_module("celery_peer", "python"), 500, 500),
        Fleet(DRAMATIQ, _dramatiq, _by_module("dramatiq_peer", "python"), 2_500, 1_000),
        Fleet(TASKIQ, _taskiq, _by_module("taskiq_peer", "python"), 2_500, 1_000),
        Fleet(HUEY, _huey, _by_module("huey_peer", "python"), 2_500, 1_000),
        Fleet(BULLMQ, bullmq, _preload_bullmq, 6_000, 900),
    ]
