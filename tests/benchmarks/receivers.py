"""Who takes events in: Frontdesk, the yardstick and the peers, one process each."""

import shutil
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
NODE_RED = "Node-RED + Redis"
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
    folder = environments.node("bullmq")
    return Command([environments.program("node", "nodejs"), folder / "receiver.mjs", str(port)], cwd=folder)


def _node_red(stand: Stand, port: int) -> Command:
    """Node-RED as its users build such a flow: an `http in` node that leaves the body as it is, a function node, the
    node that most add for Redis (`node-red-contrib-redis`), an `http response` node. The editor is off.

    The function checks the HMAC over the raw bytes, in constant time, and answers 401 to a wrong one; it parses the
    body and writes each record as JSON again. Each is pushed to a list, and 202 follows the server's reply, so what was
    answered is in the append-only file. It does not look for duplicates, route, filter, index, count or log, has no
    token in the path and no spool: a store that is down leaves the request without an answer. Nothing takes from the
    list; a flow that does would need a second node and has no attempts and no retries.
    """
    folder = environments.node("nodered")
    home = stand.folder / "node-red"
    home.mkdir(exist_ok=True)
    shutil.copy(folder / "flows.json", home)
    red = folder / "node_modules" / "node-red" / "red.js"
    options = ("--settings", folder / "settings.js", "--userDir", home, "--port", str(port))
    return Command([environments.program("node", "nodejs"), red, *options, "flows.json"], cwd=folder)


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
    Receiver(NODE_RED, _node_red, "node-red:events"),
    Receiver(WEBHOOK, _webhook),
)
GENERATOR = Receiver(CEILING, _ceiling)
