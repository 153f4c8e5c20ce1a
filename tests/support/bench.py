"""A folder with routes.yaml and handlers beside it, a store, and workers as real processes."""

import json
from collections.abc import Mapping
from pathlib import Path

import redis

from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import StoredEvent
from receiver.storage.redis import keys
from tests.conftest import StartFrontdesk
from tests.support.events import entry, keep_all
from tests.support.processes import DEADLINE_S, Process, wait_until

HANDLERS = '''
"""Handlers for tests: each writes down that it ran, then does what its name says."""
import asyncio, ctypes, json, os, re, signal, socket, sys, threading, time
from pathlib import Path

from workers import Discard, Event, Retry

SEEN = Path(__file__).with_name("seen.jsonl")


def note(event, **more):
    line = {"id": event.data.get("Id"), "event": event.id, "key": event.key, "attempt": event.attempt,
            "origin": event.origin, "superseded": event.superseded, "pid": os.getpid(), **more}
    fd = os.open(SEEN, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, (json.dumps(line) + "\\\\n").encode())
    os.close(fd)


def ok(event: Event): note(event)
async def ok_async(event: Event): note(event)
def fail(event: Event): note(event); raise ValueError("no good")
def fail_once(event: Event):
    note(event)
    if event.attempt == 1: raise ValueError("not yet")
def discard(event: Event): note(event); raise Discard("not ours")
def again(event: Event, *, after: float = 0.1):
    note(event)
    if event.attempt == 1: raise Retry("later", after=after)
def leave(event: Event): note(event); sys.exit(3)
def reach(event: Event):
    note(event)
    if not SEEN.with_name("up").exists(): raise ConnectionRefusedError("nobody listens")
def odd_return(event: Event): note(event); return threading.Lock()
def slow(event: Event, *, seconds: float = 1.0): note(event); time.sleep(seconds); note(event, done=True)
async def slow_async(event: Event, *, seconds: float = 1.0):
    note(event); await asyncio.sleep(seconds); note(event, done=True)
def hold(event: Event):
    note(event)
    while not SEEN.with_name("go").exists(): time.sleep(0.05)
    note(event, done=True)
async def hold_async(event: Event):
    note(event)
    while not SEEN.with_name("go").exists(): await asyncio.sleep(0.05)
    note(event, done=True)
def spin(event: Event):
    note(event)
    while True: pass
def spin_stubborn(event: Event):
    note(event)
    while True:
        try:
            while True: pass
        except BaseException: pass
def sleep(event: Event): note(event); time.sleep(3600)
def receive(event: Event):
    note(event)
    a, b = socket.socketpair()
    a.recv(1)
def lock(event: Event):
    note(event)
    one = threading.Lock(); one.acquire(); one.acquire()
def regex(event: Event): note(event); re.match(r"(a+)+$", "a" * 64 + "b")
async def block_loop(event: Event): note(event); time.sleep(3600)
async def swallow(event: Event):
    note(event)
    while True:
        try: await asyncio.sleep(3600)
        except asyncio.CancelledError: pass
async def leave_from_task(event: Event):
    note(event)
    async def out(): sys.exit(3)
    await asyncio.gather(out(), asyncio.sleep(0.1))
def exhaust(event: Event):
    note(event)
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), hard))
    try: bytearray(1 << 32)
    finally: resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
def vanish(event: Event): note(event); os._exit(1)
def segfault(event: Event): note(event); ctypes.string_at(0)
def die(event: Event): note(event); os.kill(os.getpid(), signal.SIGKILL)
'''.replace("\\\\n", "\\n")


class Bench:
    """A store, a routing file with handlers beside it, and what the handlers wrote down."""

    def __init__(self, folder: Path, redis_url: str, client: redis.Redis, start: StartFrontdesk) -> None:
        self.folder = folder
        self.client = client
        self.archive = EventReader(client)
        self._start = start
        self.settings = {
            "FRONTDESK_REDIS_URL": redis_url,
            "FRONTDESK_ROUTES": str(folder / "routes.yaml"),
            "FRONTDESK_LOG_FORMAT": "json",
        }
        (folder / "deeds.py").write_text(HANDLERS)

    def routes(self, *routes: Mapping[str, object], **top: object) -> None:
        """Write routes.yaml (JSON is YAML). Each route gets no retries and its handler's name unless it says so."""
        complete = [
            {"action": "*", "name": str(route["handler"]).partition(":")[2].replace("_", "-"), **route}
            for route in routes
        ]
        (self.folder / "routes.new").write_text(json.dumps({"routes": complete, **top}))
        (self.folder / "routes.new").replace(self.folder / "routes.yaml")

    def beside(self, name: str) -> "Bench":
        """Return a bench on the same store with a routing file of its own, as of another deploy."""
        folder = self.folder / name
        folder.mkdir()
        other = Bench(folder, self.settings["FRONTDESK_REDIS_URL"], self.client, self._start)
        other.settings["FRONTDESK_DATA_DIR"] = str(folder / "var")
        return other

    def work(self, *arguments: str) -> Process:
        """Start `frontdesk work`."""
        return self._start("work", *arguments, settings=self.settings, cwd=self.folder)

    def keep(self, number: int, *routes: str, queue: str = "default") -> str:
        """Keep one event with a delivery for each of these routes; return its id."""
        return self.keep_record({"Id": number}, *routes, queue=queue)

    def keep_record(self, record: Mapping[str, object], *routes: str, queue: str = "default") -> str:
        """Keep one event with this record."""
        one = entry(json.dumps(record).encode(), routes=routes, queue=queue, entity=f"Booking:{record['Id']}")
        keep_all(self.client, one)
        return one.envelope.id

    def go(self) -> None:
        """Let all handlers end that hold, now and from now on."""
        (self.folder / "go").touch()

    def workers(self) -> list[str]:
        """The workers that are under lease."""
        return [str(name, "ascii") for name in self.client.zrange(keys.WORKERS, 0, -1) if isinstance(name, bytes)]

    def seen(self) -> list[dict[str, object]]:
        """What handlers wrote down, in the order they did."""
        file = self.folder / "seen.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def ended(self, event_id: str, *, timeout_s: float = DEADLINE_S) -> StoredEvent:
        """Wait until an event is no longer in flight, and return it."""

        def look() -> StoredEvent | None:
            stored = self.archive.get(event_id)
            return None if stored.status == "in_flight" else stored

        return wait_until(look, lambda: f"the end of {self.archive.get(event_id)}", timeout_s=timeout_s)
