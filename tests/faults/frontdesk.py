"""Frontdesk as the stack under test: `serve` and `work` as anyone starts them, and a store with its data on disk."""

import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import orjson
import redis

from receiver.core.errors import EventUnknown
from receiver.nexudus import hook_urls, samples, signature
from receiver.storage.accounting.audit import Audit
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter, StoredEvent
from receiver.storage.redis import rq_keys
from receiver.storage.spool import slots
from tests.faults import deeds, load
from tests.faults.ensemble import Ensemble
from tests.faults.ledger import Ledger
from tests.faults.load import Orders
from tests.faults.stand import STARTS_WITHIN_S, Fsync, Stand
from tests.support import http
from tests.support.processes import Command, Process, Ran, children_of, environment, run

KEY = "a-key-of-the-faults"
SECRET = "hush"


class Frontdesk(Stand):
    """*receivers*: processes behind one port; *workers*: processes under one parent."""

    name = "frontdesk"

    def __init__(
        self,
        folder: Path,
        *,
        fsync: Fsync = "everysec",
        receivers: int = 1,
        workers: int = 2,
        store_folder: Path | None = None,
        data_dir: Path | None = None,
    ) -> None:
        super().__init__(folder, fsync=fsync, store_folder=store_folder)
        self.receivers = receivers
        self._workers = workers
        self.data_dir = data_dir or folder / "var"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_routes(self.folder, self.routes())
        super().__enter__()
        return self

    def routes(self) -> list[dict[str, object]]:
        """What routes.yaml asks for."""
        return [
            {
                "name": route,
                "action": load.ACTION,
                "handler": f"tests.faults.deeds:{route}",
                "with": {"path": str(self.notes)},
                "where": f"data.Id % {by} == 0",
                "queue": {"waits": "doors", "slow": "bulk"}.get(route, "default"),
                "retry": ["300ms", "1s", "5s"],
                "timeout": "20s",
            }
            for route, by in deeds.DIVISORS.items()
        ]

    def start_receiver(self) -> None:
        self.receiver = self._command(
            "serve",
            *(["--processes", str(self.receivers)] if self.receivers > 1 else []),
            settings={
                **self._store_of_receiver(),
                "FRONTDESK_PORT": str(self._port),
                "FRONTDESK_URL_KEYS": KEY,
                "FRONTDESK_WEBHOOK_SECRETS": SECRET,
            },
        )
        self.receiver.wait_for_http(f"http://127.0.0.1:{self._port}/healthz", timeout_s=STARTS_WITHIN_S)

    def start_worker(self) -> None:
        self.worker = self._command(
            "work",
            *("--processes", str(self._workers), "--threads", "8"),
            settings=self._store_of_worker(),
        )
        self.worker.wait_for("worker.started", timeout_s=STARTS_WITHIN_S)

    def post(self, number: int, *, action: str = load.ACTION, secret: str = SECRET) -> dict[str, str]:
        """Post one signed request beside the load; return its id and status. Numbers of the load begin far below."""
        body = samples.body(action, now=datetime.now(UTC), number=number)
        url = hook_urls.url(f"http://127.0.0.1:{self._port}", KEY, load.BUSINESS, action)
        answer = http.request("POST", url, body, {signature.HEADER: signature.sign(body, secret)})
        assert answer.status == 202, answer
        (event,) = answer.json()["events"]
        return dict(event)

    def running(self) -> list[list[int]]:
        return [[pid] for pid, line in sorted(children_of(self.worker.pid).items()) if "-m workers" in line]

    def orders(self, rate: float, echo_every: int) -> Orders:
        return Orders(self.nexudus_to_receiver.port, KEY, SECRET, str(self.answers), rate, echo_every)

    def in_flight(self) -> int:
        """Deliveries that have not ended, and events that still lie in spools."""
        with self.store.client() as client:
            return Audit(client).run().deliveries["in_flight"] + self._spooled()

    def unaccounted(self) -> list[str]:
        """What the audit and a look at the store's lists say is wrong, in words; all has settled."""
        audited = run("audit", "--full", "--json", settings={"FRONTDESK_REDIS_URL": self.store.url}, cwd=self.folder)
        with self.store.client() as client:
            found = list(left_behind(client))
        report = json.loads(audited.out)
        if audited.status or report["unaccounted"] or report["spooled"] or report["deliveries"]["in_flight"]:
            found.append(f"the audit ended with {audited.status} and says {report}")
        return found

    def ledger(self) -> Ledger:
        kept: defaultdict[int, list[str]] = defaultdict(list)
        deaths: defaultdict[tuple[int, str], int] = defaultdict(int)
        ended = set()
        with self.store.client() as client:
            for stored in EventReader(client).newest(EventFilter()):
                if stored.envelope.quarantine:
                    continue
                number = orjson.loads(stored.envelope.body)["Id"]
                kept[number].append(stored.envelope.id)
                if is_complete(stored, number):
                    ended.add(number)
                for delivery in stored.deliveries:
                    crashed = sum(attempt.get("outcome") == "crashed" for attempt in delivery.attempts)
                    deaths[number, delivery.route] += crashed
        ids = {event_id for each in kept.values() for event_id in each}
        return Ledger(
            list(load.read(self.answers)),
            list(deeds.notes(self.notes)),
            kept,
            deaths,
            self.killed,
            frozenset(ended),
            lambda event_id: event_id in ids or self._leads(event_id),
            deeds.wanted,
        )

    def command(self, *arguments: str, **settings: str) -> Ran:
        """Run another command of Frontdesk on the store of this stand, without secrets of any kind."""
        routes = str(self.folder / "routes.yaml")
        settings = {"FRONTDESK_REDIS_URL": self.store.url, "FRONTDESK_ROUTES": routes, **settings}
        return run(*arguments, settings=settings, cwd=self.folder)

    def _store_of_receiver(self) -> dict[str, str]:
        return {"FRONTDESK_REDIS_URL": f"redis://127.0.0.1:{self.receiver_to_store.port}/0"}

    def _store_of_worker(self) -> dict[str, str]:
        return {"FRONTDESK_REDIS_URL": f"redis://127.0.0.1:{self.worker_to_store.port}/0"}

    def _spooled(self) -> int:
        return sum(_rows(file) for file in slots.folder_of(self.data_dir).glob("*.db"))

    def _leads(self, event_id: str) -> bool:
        """Whether an id leads to an event; that of a spooled duplicate leads to the event kept first."""
        with self.store.client() as client, contextlib.suppress(EventUnknown):
            return bool(EventReader(client).get(event_id))
        return False

    def _command(self, *arguments: str, settings: dict[str, str], folder: Path | None = None) -> Process:
        """*folder*: where its routes.yaml is, if it is not that of the stand."""
        environ = environment(
            {
                "FRONTDESK_ROUTES": str((folder or self.folder) / "routes.yaml"),
                "FRONTDESK_DATA_DIR": str(self.data_dir),
                "FRONTDESK_LOG_FORMAT": "json",
                **(self.clocks[arguments[0]].settings() if self.clocks else {}),
                **settings,
            }
        )
        return Command(*arguments, log=self._log(arguments[0]), environ=environ, cwd=self.folder)


class HighlyAvailable(Frontdesk):
    """Under FRONTDESK_DURABILITY=replicated, on an ensemble; `store` is the primary of the moment.

    *least_replicas* 0: a primary without its replica goes on alone, and what only it was told is lost in a failover.
    """

    name = "frontdesk, replicated"

    def __init__(self, folder: Path, *, fsync: Fsync = "everysec", least_replicas: int = 1) -> None:
        super().__init__(folder, fsync=fsync)
        self._least_replicas = least_replicas

    def _start_store(self) -> None:
        ensemble = Ensemble(self._store_folder, "--appendfsync", self.fsync, least_replicas=self._least_replicas)
        self.ensemble = self._stack.enter_context(ensemble)
        self.store = self.ensemble.primary

    def settle(self, *, timeout_s: float) -> bool:
        """As everywhere, once the replica follows again; whoever is the primary then is looked at."""
        self.ensemble.wait_until_in_step()
        self.store = self.ensemble.primary
        return super().settle(timeout_s=timeout_s)

    def _store_of_receiver(self) -> dict[str, str]:
        return {"FRONTDESK_REDIS_URL": self.ensemble.url, "FRONTDESK_DURABILITY": "replicated"}

    def _store_of_worker(self) -> dict[str, str]:
        return {"FRONTDESK_REDIS_URL": self.ensemble.url}


def write_routes(folder: Path, routes: Sequence[Mapping[str, object]]) -> None:
    """Write the routes.yaml of a folder, at once: processes may be reading it. JSON is YAML."""
    new = folder / "routes.new"
    new.write_text(json.dumps({"queues": ["doors", "default", "bulk"], "routes": routes}))
    new.replace(folder / "routes.yaml")


def is_complete(stored: StoredEvent, number: int) -> bool:
    """Whether every route that wants a number has succeeded."""
    succeeded = {delivery.route for delivery in stored.deliveries if delivery.status == "succeeded"}
    return succeeded == deeds.wanted(number)


def _rows(spool: Path) -> int:
    """The events in a spool file, whoever has it open; at least one while that cannot be told."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{spool}?mode=ro", uri=True, timeout=10.0)) as file:
            (count,) = file.execute("SELECT count(*) FROM event").fetchone()
            return int(count)
    except sqlite3.OperationalError:
        return int(spool.exists())


def left_behind(client: redis.Redis) -> Iterator[str]:
    """What nobody holds any more must not lie in anybody's hands, nor must jobs of deliveries that have ended."""
    for pattern in ("fd:held:*", "rq:job:*", "rq:wip:*", "rq:scheduled:*", "rq:failed:*"):
        found = sorted(key.decode() for key in client.scan_iter(pattern, count=1_000))
        if found:
            yield f"{len(found)} keys {pattern} are left, such as {found[0]}"
    for queue in ("doors", "default", "bulk", rq_keys.ISOLATED):
        if length := client.llen(rq_keys.queue(queue)):
            yield f"{length} jobs are left in the queue {queue}"
