"""The stack that people build without us: Starlette, `rq.enqueue`, `rq worker`, everything at its defaults.

`python -m tests.faults.stock serve|work ORDERS` are its two processes. The work one does what systemd would: it starts
two `rq worker` and starts each again when it ends.
"""

import json
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import redis
import uvicorn
from rq import Queue
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from receiver.process.supervisor import Command, Supervisor
from tests.faults import deeds, load
from tests.faults.ledger import Ledger
from tests.faults.load import Orders
from tests.faults.stand import STARTS_WITHIN_S, Fsync, Stand
from tests.support.processes import Process, children_of, environment, wait_until

_WORKERS = 2
_QUIET_S = 5.0


@dataclass(frozen=True, slots=True)
class Site:
    """What its processes are told. *queues*: one, or several in order of priority."""

    port: int
    redis_url: str
    notes: str
    queues: tuple[str, ...]

    def queue_of(self, route: str) -> str:
        """The queue of a route: with two, the impatient ones have one of their own."""
        return self.queues[0] if route == "waits" else self.queues[-1]


def serve(site: Site) -> None:
    """Take events in, as the tutorials do."""
    client = redis.Redis.from_url(site.redis_url)
    queues = {name: Queue(name, connection=client) for name in site.queues}

    async def hook(request: Request) -> JSONResponse:
        events = []
        for record in await request.json():
            for route in sorted(deeds.wanted(record["Id"], fails=False)):
                queue = queues[site.queue_of(route)]
                queue.enqueue("tests.faults.deeds.run_stock", route, record["Id"], site.notes)
            events.append({"id": str(record["Id"]), "status": "accepted"})
        return JSONResponse({"events": events}, 202)

    async def alive(_: Request) -> JSONResponse:
        return JSONResponse({})

    app = Starlette(routes=[Route("/healthz", alive), Route("/{path:path}", hook, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=site.port)


def work(site: Site) -> int:
    """Keep two `rq worker` running."""
    program = str(Path(sys.executable).with_name("rq"))
    argv = (program, "worker", "--url", site.redis_url, *site.queues)
    children = [Command(f"worker-{number}", argv, vital=False) for number in range(_WORKERS)]
    return Supervisor(children, grace_s=30.0).run()


class Stock(Stand):
    """One receiver and two workers; *queues* 1 or 2."""

    def __init__(self, folder: Path, *, fsync: Fsync = "everysec", queues: int = 1) -> None:
        super().__init__(folder, fsync=fsync)
        self.name = "stock RQ, one queue" if queues == 1 else "stock RQ, two queues"
        self._queues = ("default",) if queues == 1 else ("doors", "default")

    def start_receiver(self) -> None:
        self.receiver = self._run("serve", self.receiver_to_store.port)
        self.receiver.wait_for_http(f"http://127.0.0.1:{self._port}/healthz", timeout_s=STARTS_WITHIN_S)

    def start_worker(self) -> None:
        self.worker = self._run("work", self.worker_to_store.port)
        self.worker.wait_for("Listening on", timeout_s=STARTS_WITHIN_S)

    def running(self) -> list[list[int]]:
        return [[pid, *children_of(pid)] for pid in sorted(children_of(self.worker.pid))]

    def orders(self, rate: float, echo_every: int) -> Orders:
        return Orders(self.nexudus_to_receiver.port, "any", "", str(self.answers), rate, echo_every)

    def in_flight(self) -> int:
        with self.store.client() as client:
            return sum(client.llen(f"rq:queue:{queue}") for queue in self._queues)

    def settle(self, *, timeout_s: float) -> bool:
        """Wait until its queues are empty and nothing happens any more: the rest is stuck or gone."""

        def is_quiet() -> bool:
            age = time.time() - self.notes.stat().st_mtime if self.notes.exists() else _QUIET_S
            return self.in_flight() == 0 and age >= _QUIET_S

        with suppress(AssertionError):
            return wait_until(is_quiet, "stock RQ to come to rest", timeout_s=timeout_s)
        return False

    def left(self) -> Counter[str]:
        """Where the jobs are that did not come to their end. RQ finds some of them minutes later, and fails them."""
        with self.store.client() as client:
            found: Counter[str] = Counter()
            for queue in self._queues:
                found["failed"] += client.zcard(f"rq:failed:{queue}")
                found["abandoned while running"] += client.zcard(f"rq:wip:{queue}")
                found["stuck in the intermediate list"] += client.llen(f"rq:queue:{queue}:intermediate")
        return +found

    def ledger(self) -> Ledger:
        return Ledger(
            list(load.read(self.answers)),
            list(deeds.notes(self.notes)),
            kept={},
            deaths={},
            killed=self.killed,
            ended=frozenset(),
            leads=lambda _: True,
            wanted=partial(deeds.wanted, fails=False),
            knows=False,
        )

    def _run(self, command: str, store_port: int) -> Process:
        site = Site(self._port, f"redis://127.0.0.1:{store_port}/0", str(self.notes), self._queues)
        argv = [sys.executable, "-m", "tests.faults.stock", command, json.dumps(asdict(site))]
        return Process(argv, log=self._log(command), environ=environment(), cwd=self.folder)


def main(command: str, argument: str) -> int:
    """Be one of the two processes."""
    told = json.loads(argument)
    site = Site(**told | {"queues": tuple(told["queues"])})
    if command == "work":
        return work(site)
    serve(site)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
