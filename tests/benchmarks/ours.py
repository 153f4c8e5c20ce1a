"""Frontdesk as the benchmarks start it: as it is shipped, with routes of the benchmark's own."""

import shutil
import subprocess
import sys
from pathlib import Path

import orjson

from receiver.nexudus import actions, hook_urls
from receiver.storage.model import keep_script
from receiver.storage.redis import keys, scripts
from tests.benchmarks import marking, records
from tests.benchmarks.stand import URL_KEY, Command, Stand
from tests.support.events import entry
from tests.support.processes import command

PATH = hook_urls.path(URL_KEY, records.BUSINESS, records.ACTION)
"""Where events are posted to."""

QUEUE = "rq:queue:default"
ROUTE = "marks"


def routes(stand: Stand, *, wait_ms: int = 0, function: str = "mark", others: int = 0) -> Path:
    """Write routes.yaml: one route that wants our events, and *others* that want other actions or locations."""
    folder = stand.folder / f"routes-{function}-{wait_ms}-{others}"
    folder.mkdir(exist_ok=True)
    shutil.copy(Path(marking.__file__), folder / "marking.py")
    names = sorted(actions.NAMES)
    options = {"file": str(stand.marks), "wait_ms": wait_ms}
    lines = [f"- {{name: {ROUTE}, action: {records.ACTION}, handler: 'marking:{function}', with: {_flow(options)}}}"]
    for number in range(others):
        action, business = names[number % len(names)], records.BUSINESS + 1 + number // len(names)
        lines.append(f"- {{name: other-{number}, action: {action}, business: {business}, handler: log}}")
    file = folder / "routes.yaml"
    file.write_text("routes:\n" + "\n".join(lines) + "\n")
    return file


def receiver(port: int, file: Path, *, processes: int = 1) -> Command:
    """The receiver."""
    more = ("--processes", str(processes)) if processes > 1 else ()
    return Command(command("serve", *more), {"FRONTDESK_PORT": str(port), "FRONTDESK_ROUTES": str(file)})


def workers(file: Path, *, processes: int = 2, threads: int = 0) -> Command:
    """Workers; *threads* 0: as many as they have by themselves."""
    more = ("--threads", str(threads)) if threads else ()
    return Command(command("work", "--processes", str(processes), *more), {"FRONTDESK_ROUTES": str(file)})


def preload(stand: Stand, number: int) -> None:
    """Put so many events into the store, each with one delivery of our route, through the script that keeps them."""
    make = records.bodies()
    script = stand.client.register_script(scripts.source("keep"))
    first = stand.ids(number)
    for start in range(0, number, keep_script.LARGEST_BATCH):
        numbers = range(first + start, first + min(start + keep_script.LARGEST_BATCH, number))
        batch = [
            entry(make(each)[1:-1], routes=(ROUTE,), action=records.ACTION, entity=f"Booking:{each}")
            for each in numbers
        ]
        script(args=keep_script.arguments(batch))


def unrecorded(stand: Stand) -> int:
    """Return how many deliveries are in workers' hands."""
    workers: list[bytes] = stand.client.zrange(keys.WORKERS, 0, -1)  # type: ignore[assignment]
    return sum(int(stand.client.scard(keys.held(worker.decode()))) for worker in workers)


def audit(stand: Stand) -> dict[str, object]:
    """Return what `frontdesk audit --json` says."""
    argv = [sys.executable, "-m", "receiver", "audit", "--json"]
    ran = subprocess.run(argv, env=stand.environ(), capture_output=True, timeout=120, check=False)
    found: dict[str, object] = orjson.loads(ran.stdout)
    return found


def _flow(options: dict[str, object]) -> str:
    return orjson.dumps(options).decode()
