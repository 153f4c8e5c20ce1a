"""One bad value, in whatever key of ours: whoever reads many shows the others, and whoever tends the store goes on."""

import asyncio
import hashlib
import http.client
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from receiver.core.durations import HOUR_MS
from receiver.core.events import EventStatus
from receiver.failures import route_versions
from receiver.failures.failure_ledger import FailureLedger
from receiver.observation import arrival_baseline, prometheus_exposition, status_snapshot
from receiver.observation.alerts import alert_conditions
from receiver.observation.alerts.alerting import Alerting
from receiver.observation.alerts.notifier import Notifier
from receiver.observation.event_histogram import EventHistogram
from receiver.operations import json_views
from receiver.operations.erasure import EmailSubject, Erasure
from receiver.storage.accounting import data_loss
from receiver.storage.accounting.audit import Audit
from receiver.storage.accounting.data_loss import LossDetector
from receiver.storage.accounting.maintenance import Maintenance, last_result
from receiver.storage.accounting.retention import Retention, RetentionSchedule
from receiver.storage.keep.store import Store
from receiver.storage.model.entries import terms
from receiver.storage.query.envelopes import Envelopes
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.queue.checkpoints import Steps
from receiver.storage.queue.flow_control import Gates
from receiver.storage.queue.queue import Acknowledgement, DeliveryQueue
from receiver.storage.redis import connection, keys
from receiver.storage.shared import signature_readings
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.gap_ledger import CoverageChange, GapLedger, GapWhy, PairHealth, opened
from receiver.storage.shared.lock import Lock
from receiver.storage.shared.one_time_tokens import OneTimeTokens
from receiver.storage.shared.registrar_state import Flap, HooksFound, RegistrarState
from receiver.storage.shared.response_cache import ResponseCache
from receiver.storage.shared.shared_call_budget import SharedBudget
from receiver.storage.spool import reports
from tests.conftest import StartFrontdesk
from tests.support import every_key
from tests.support.events import DAY_MS, entry
from tests.support.processes import free_port

BAD = (b"\xff\xfe not text", b"9" * 30)
TOKEN = "a-token-of-an-admin-of-ours-1234"
PAGES = ("overview", "events", "dead", "quarantine", "routes", "workers", "hooks", "acts", "replay?status=dead")


def _spoil(client: redis.Redis, key: bytes, bad: bytes) -> None:
    """Put a bad value into a key, of the type that the key has."""
    match client.type(key):
        case b"string":
            client.set(key, bad)
        case b"hash":
            names: Any = client.hkeys(key)
            client.hset(key, mapping=dict.fromkeys(names, bad))
            client.hset(key, bad, bad)
        case b"list":
            client.lpush(key, bad)
            client.rpush(key, bad)
        case b"set":
            client.sadd(key, bad)
        case b"zset":
            client.zadd(key, {bad: 0, bad + b"!": float("inf"), bad + b"?": time.time() * 1_000})
        case b"stream":
            client.xadd(key, {b"who": bad, bad: bad, b"detail": bad})


def _retype(client: redis.Redis, key: bytes) -> None:
    """Put something of another type into the place of a key."""
    is_text = client.type(key) == b"string"
    client.delete(key)
    if is_text:
        client.hset(key, "odd", "odd")
    else:
        client.set(key, "odd")


def _readers(  # noqa: C901 - one function for each reader
    client: redis.Redis, url: str, folder: Path
) -> Iterator[tuple[str, Callable[[], Any]]]:
    archive = EventReader(client)
    events_there = [key.removeprefix(b"fd:e:").decode() for key in client.scan_iter("fd:e:*")]

    def events() -> None:
        for status in (None, *EventStatus):
            for one in archive.newest(EventFilter(status=status)):
                json_views.full(one, redact=True)

    def work() -> None:
        queue = DeliveryQueue(client)
        queue.begin_lease("eve", 60_000)
        claimed = queue.claim("eve", ["default"], 100)
        assert claimed is not None
        for one in claimed.claims:
            queue.acknowledge("eve", [Acknowledgement(one.job, "succeeded")])
        queue.renew_leases(["eve"], 60_000)
        queue.recover("ann")
        queue.known_queues()
        queue.held("eve")

    def trend() -> None:
        now = int(time.time() * 1_000)
        EventHistogram(client).buckets(now, 60_000, 240)
        EventHistogram(client).buckets(now, HOUR_MS, 24)
        EventHistogram(client).counters([now // HOUR_MS])

    def alerts() -> None:
        found = status_snapshot.look(client)
        prometheus_exposition.exposition(found)
        list(alert_conditions.found(found, {}, patience_ms=0))
        Alerting(client, Notifier([]), patience_ms=0).turn(found)

    def registrar() -> None:
        memory, ledger, now_ms = RegistrarState(client), GapLedger(client), int(time.time() * 1_000)
        memory.flaps(), memory.unrouted_since([1], now_ms=5), memory.counts(), memory.last_received()
        memory.remember_flap(1, Flap(2, 3))
        memory.forget_flaps([2])
        memory.count("created")
        memory.remember_found(HooksFound(now_ms, 1, {}))
        ledger.coverage(), ledger.gaps()
        ledger.tidy(now_ms)
        pair, health = (1001, "BookingUpdate"), PairHealth(now_ms, now_ms)
        ledger.apply(CoverageChange(now_ms, True, {pair: health}, (), (opened(pair, now_ms, GapWhy.MISSING),)))
        BusinessNames(client).remember({1002: "There"})
        BusinessNames(client).all()
        SharedBudget(client, (50, 50.0), (50, 50.0), first=True).take(write=True)
        with Lock(client, "plan"):
            pass

    def failures() -> None:
        ledger = FailureLedger(client)
        for group in ledger.refresh().groups:
            ledger.members(group.id)
            if not group.closed_ms:
                ledger.acknowledge(group.id, "ada", "known")
        list(route_versions.changes(client, "announce"))

    def handlers() -> None:
        cache = ResponseCache(client)
        for name in ("kept", "asked"):
            cache.put(name, "me", cache.take(name, "me", fetch_ms=1_000), b"{}", 1_000)
        cache.forget("kept")
        cache.clear()
        for one in events_there[:3]:
            Steps(client).begin(one, "announce/step")
            Steps(client).done(one, "announce/step", b"1")
        OneTimeTokens(client).spend("a link", 60_000), OneTimeTokens(client).is_spent("a link")

    def ingest() -> None:
        fresh = [entry(b"fresh"), entry(b"lane", routes=("odd",), terms=terms("lane")), entry(b"?", quarantine="no")]
        fresh.append(entry(b"2", entity="Booking:2"))

        async def keep() -> None:
            store = Store(connection.connect_async(url))
            await store.keep(fresh, timeout_s=30)
            await store.report({"a:2": b"{}"}, timeout_s=30)
            await store.close()

        asyncio.run(keep())

    def sweep() -> None:
        client.delete("fd:lock:sweeper", keys.AUDIT)
        assert Maintenance(client).turn().by is None
        last_result(client)

    def expiry() -> None:
        RetentionSchedule(client, retention_ms=DAY_MS, kept_ms=DAY_MS, interval_ms=0).turn()
        Retention(client, 0, 0).turn(1_000)

    yield "ingest", ingest
    yield "events", events
    yield "events one by one", lambda: [archive.counters(hour) for hour in archive.hours()]
    yield "envelopes", lambda: list(Envelopes(client, EventFilter()).newest())
    yield "trend", trend
    yield "acts", lambda: list(AuditLog(client).newest())
    yield "gates", lambda: Gates(client).standing()
    yield "spools", lambda: reports.reports(client)
    yield "losses", lambda: (data_loss.all_of(client), LossDetector(client, folder, "here").turn())
    yield "readings", lambda: signature_readings.read(client)
    yield "registrar", registrar
    yield "failures", failures
    yield "handlers", handlers
    yield "rhythm", lambda: arrival_baseline.learn(client, [1001], int(time.time() * 1_000) + 2 * HOUR_MS)
    yield "metrics and alerts", alerts
    yield "erase", lambda: Erasure(client).find(EmailSubject("ada@example.com"))
    yield "audit", lambda: Audit(client).run(full=True)
    yield "sweep", sweep
    yield "sweep again", sweep
    yield "work", work
    yield "retention", expiry
    yield "metrics and alerts after it", alerts


def _pages(port: int) -> dict[str, int]:
    """Ask the console for each page, as a person and as a program."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    answers = {}
    for page in PAGES:
        for root in ("/console/api/", "/console/"):
            path = root + page if root.endswith("api/") or page != "overview" else root
            client.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
            answer = client.getresponse()
            answer.read()
            answers[path] = answer.status
    client.close()
    return answers


@dataclass(frozen=True)
class Desk:
    """A console on a store that is full of everything."""

    client: redis.Redis
    url: str
    port: int
    folder: Path

    def wrong_after(self, spoil: Callable[[bytes], None], check: Callable[[], list[str]]) -> list[str]:
        """Spoil each kind of key in turn; return what then fails, and what *check* complains of."""
        found: list[Any] = [*self.client.scan_iter("fd:*"), *self.client.scan_iter("rq:*")]
        dumps = {key: (self.client.dump(key), max(self.client.pttl(key), 0)) for key in found}
        assert every_key.missing(found) == []
        assert every_key.undocumented(found) == []
        failed = []
        for kind, some in every_key.by_kind(found):
            self.client.flushdb()
            with self.client.pipeline(transaction=False) as pipeline:
                for name, (dump, expires_ms) in dumps.items():
                    pipeline.restore(name, expires_ms, dump)  # type: ignore[arg-type]
                pipeline.execute()
            for key in some[::2]:
                spoil(key)
            wrong = [f"{page}: {status}" for page, status in _pages(self.port).items() if status >= 500]
            for name, read in _readers(self.client, self.url, self.folder):
                try:
                    read()
                except Exception as error:  # whatever it is, is told
                    wrong.append(f"{name}: {type(error).__name__}: {error}")
            failed += [f"{kind!r} {one}" for one in [*wrong, *check()]]
        return failed


@pytest.fixture
def desk(client: redis.Redis, redis_url: str, frontdesk: StartFrontdesk, tmp_path: Path) -> Desk:
    every_key.fill(client)
    port = free_port()
    (tmp_path / "routes.yaml").write_text(every_key.ROUTES % 20)
    settings = {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_CONSOLE_PORT": str(port),
        "FRONTDESK_ADMIN_TOKEN": TOKEN,
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
    }
    frontdesk("console", settings=settings).wait_for_http(f"http://127.0.0.1:{port}/healthz")
    return Desk(client, redis_url, port, tmp_path)


@pytest.mark.parametrize("bad", BAD, ids=["no text", "no number of 64 bits"])
@pytest.mark.timeout(900)
def test_a_bad_value_in_any_key_is_one_bad_value(desk: Desk, bad: bytes) -> None:
    """Each kind of key is spoilt in turn; then everybody reads, tends and works, and no page is a fault."""
    assert desk.wrong_after(lambda key: _spoil(desk.client, key, bad), list) == []


@pytest.mark.timeout(900)
def test_a_key_of_a_wrong_type_is_set_aside_and_told(desk: Desk) -> None:
    """Whoever meets it goes on without it; it is there to be looked at, and the alerts name it."""
    client = desk.client

    def untold() -> list[str]:
        asides = {key.removeprefix(b"fd:aside:").decode() for key in client.scan_iter("fd:aside:*")} - {"fd:gaps"}
        noted = {loss.mark for loss in data_loss.all_of(client) if loss.was}
        names = {name for name in asides if not {name, name[:5] + hashlib.sha1(name.encode()).hexdigest()} & noted}
        return [f"set aside and not told: {name}" for name in names]

    assert desk.wrong_after(lambda key: _retype(client, key), untold) == []
