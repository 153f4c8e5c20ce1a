"""Who takes events in: Frontdesk, the yardstick and the peers, one process each."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.benchmarks import environments, ours
from tests.benchmarks.stand import SECRET, Command, Stand
from tests.support.processes import Process, free_port

OURS = "Frontdesk"
OURS_ALWAYS = "Frontdesk, appendfsync always"
BARE = "bare Starlette 202"
RQ = "Starlette + rq.enqueue"
ARQ = "FastAPI + arq"
CELERY = "FastAPI + Celery"
BULLMQ = "Fastify + BullMQ"
WEBHOOK = "webhook (Debian)"
CEILING = "ceiling of the generator"


@dataclass(frozen=True, slots=True)
class Receiver:
    """One of them. *queue*: the key in which what it accepted waits (a list or a sorted set); empty: it keeps nothing.

    *command* gets the port to listen at; it raises `environments.Missing` where the peer cannot run.
    """

    name: str
    command: Callable[[Stand, int], Command]
    queue: str = ""
    path: str = "/events"
    fsync: str = "everysec"

    def stored(self, stand: Stand) -> int | None:
        """How many events wait in the store; None when this one keeps nothing."""
        if not self.queue:
            return None
        if stand.client.type(self.queue) == b"zset":
            return int(stand.client.zcard(self.queue))
        return int(stand.client.llen(self.queue))


@dataclass(frozen=True, slots=True)
class Running:
    """A receiver that listens."""

    receiver: Receiver
    process: Process
    port: int


def start(stand: Stand, receiver: Receiver, *, core: int | None = None) -> Running:
    """Start a receiver and wait until it listens."""
    port = free_port()
    process = stand.start(receiver.command(stand, port), core=core)
    stand.wait_for_port(process, port)
    return Running(receiver, process, port)


def uvicorn(port: int, module: str, programs: Path | None = None) -> Command:
    """An application under the server that we use too, as fast as it can be set."""
    python = programs / "python" if programs else Path(sys.executable)
    options = ("--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level", "warning")
    return Command([python, "-m", "uvicorn", f"tests.benchmarks.peers.{module}:app", *options])


def _ours(stand: Stand, port: int) -> Command:
    return ours.receiver(port, ours.routes(stand))


def _bullmq(_: Stand, port: int) -> Command:
    folder = environments.node()
    return Command([environments.program("node", "nodejs"), folder / "receiver.mjs", str(port)], cwd=folder)


def _webhook(stand: Stand, port: int) -> Command:
    source = {"source": "header", "name": "X-Nexudus-Hook-Signature"}
    rule = {"match": {"type": "payload-hmac-sha256", "secret": SECRET, "parameter": source}}
    hook = {"id": "events", "execute-command": "/bin/true", "trigger-rule": rule, "success-http-response-code": 202}
    file = stand.folder / "webhook.json"
    file.write_bytes(orjson.dumps([hook]))
    program = environments.program("webhook", "webhook")
    return Command([program, "-hooks", file, "-ip", "127.0.0.1", "-port", str(port), "-urlprefix", ""])


def _ceiling(_: Stand, port: int) -> Command:
    return Command([sys.executable, "-m", "tests.benchmarks.ceiling", str(port)])


FRONTDESK = Receiver(OURS, _ours, ours.QUEUE, ours.PATH)
FRONTDESK_ALWAYS = Receiver(OURS_ALWAYS, _ours, ours.QUEUE, ours.PATH, "always")
YARDSTICK = Receiver(BARE, lambda _, port: uvicorn(port, "bare"))
PEERS = (
    Receiver(RQ, lambda _, port: uvicorn(port, "rq_peer"), "rq:queue:default"),
    Receiver(ARQ, lambda _, port: uvicorn(port, "arq_peer", environments.python("arq")), "arq:queue"),
    Receiver(CELERY, lambda _, port: uvicorn(port, "celery_peer", environments.python("python")), "celery"),
    Receiver(BULLMQ, _bullmq, "bull:events:wait"),
    Receiver(WEBHOOK, _webhook),
)
GENERATOR = Receiver(CEILING, _ceiling)
