"""One bad value, in whatever key of ours: whoever reads many shows the others, and whoever tends the store goes on."""

import http.client
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from receiver.core.durations import HOUR_MS
from receiver.core.events import EventStatus
from receiver.observation import arrival_baseline, exposition, status_snapshot
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
from receiver.storage.model.entries import terms
from receiver.storage.query.envelopes import Envelopes
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.queue.flow_control import Gates
from receiver.storage.queue.queue import Acknowledgement, Attempt, DeliveryQueue
from receiver.storage.queue.route_limits import Target
from receiver.storage.redis import keys
from receiver.storage.shared import signature_readings
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.shared.registrar_state import Flap, RegistrarState
from receiver.storage.spool import reports
from tests.conftest import StartFrontdesk
from tests.support.events import DAY_MS, entry, half_keep, keep_all
from tests.support.processes import free_port

BAD = (b"\xff\xfe not text", b"9" * 30)
TOKEN = "a-token-of-an-admin-of-ours-1234"
PAGES = ("overview", "events", "dead", "quarantine", "routes", "workers", "hooks", "acts", "replay?status=dead")
HOUR_S = 3_600


def _fill(client: redis.Redis) -> None:
    """Put something into every kind of key that can be made without other processes."""
    now = time.time()
    kept = [entry(b"%d" % n, entity=f"Booking:{n}", at=now - 3 * HOUR_S + n) for n in range(3)]
    kept += [entry(b"odd%d" % n, routes=("odd",), terms=terms("lane")) for n in range(3)]
    kept += [entry(b"late", routes=("late",)), entry(b"none", routes=()), entry(b"junk", quarantine="no JSON")]
    keep_all(client, *kept, alias_ms=DAY_MS)
    keep_all(client, entry(b"late", routes=("late",)), alias_ms=DAY_MS)
    half_keep(client, entry(b"half"))
    queue = DeliveryQueue(client)
    for worker in ("ann", "bob"):
        queue.begin_lease(worker, 60_000)
    claimed = queue.claim("ann", ["default"], 5)
    assert claimed is not None
    first, second, third, *_ = claimed.claims
    attempt = Attempt(1, "failed", 1, 2, "ann", "E: why")
    queue.acknowledge("ann", [Acknowledgement(first.job, "dead", 0, 30_000, attempt, Target("down", DAY_MS))])
    queue.acknowledge(
        "ann", [Acknowledgement(second.job, "succeeded", 0, 30_000, attempt._replace(outcome="succeeded"))]
    )
    queue.acknowledge("ann", [Acknowledgement(third.job, "retry", 60_000, 30_000, attempt, Target("busy", DAY_MS))])
    Gates(client).pause("late", "ada")
    claimed = queue.claim("bob", ["default"], 5)
    memory = RegistrarState(client)
    memory.remember_flap(1, Flap(2, 3))
    memory.unrouted_since([1], now_ms=5)
    client.hset(keys.REGISTRAR_COUNTS, "created", 1)
    client.hset(keys.SPOOLS, "a:1", spools_value())
    client.hset(keys.READINGS, "any", "raw")
    client.hset(keys.METER, mapping={"attempts:late:failed": 3, "wait:0.5": 3, "wait_ms": 50})
    client.hset(keys.LOSSES, "gone", '{"seen_ms":1,"found_ms":2}')
    client.set("fd:once:" + kept[0].envelope.id, "")
    client.delete("fd:once:" + kept[0].envelope.id)
    client.hset("fd:once:" + kept[3].envelope.id, "odd/step", "?")
    AuditLog(client).record("replay", events=1)
    arrival_baseline.learn(client, [1001], int(now * 1_000))
    Alerting(client, Notifier([]), patience_ms=0).turn(status_snapshot.look(client))
    RetentionSchedule(client, retention_ms=DAY_MS, kept_ms=DAY_MS).turn()
    Retention(client, 0, DAY_MS).turn(1)
    Maintenance(client).turn()


def spools_value() -> str:
    return '{"host":"h","folder":"f","depth":1,"bytes":2,"oldest_ms":3,"reported_ms":4}'


def _kind(key: bytes) -> bytes:
    """The name of a key without what differs between those of one kind."""
    kind = re.sub(rb"[0-9a-z]{20}", b"ID", key)
    kind = re.sub(rb"(?<=:)[0-9a-f]{32}|(?<=fd:f:)\S+", b"DIGEST", kind)
    return re.sub(rb"(?<=[:-])\d+(?=[:-]|$)", b"N", kind)


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


def _readers(  # noqa: C901 - one function for each reader
    client: redis.Redis, folder: Path
) -> Iterator[tuple[str, Callable[[], Any]]]:
    archive = EventReader(client)

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
        exposition.exposition(found)
        list(alert_conditions.found(found, {}, patience_ms=0))
        Alerting(client, Notifier([]), patience_ms=0).turn(found)

    def registrar() -> None:
        memory = RegistrarState(client)
        memory.flaps(), memory.unrouted_since([1], now_ms=5), memory.counts(), memory.last_received()

    def sweep() -> None:
        client.delete("fd:lock:sweeper", keys.AUDIT)
        assert Maintenance(client).turn().by is None
        last_result(client)

    def expiry() -> None:
        RetentionSchedule(client, retention_ms=DAY_MS, kept_ms=DAY_MS, interval_ms=0).turn()
        Retention(client, 0, 0).turn(1_000)

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


@pytest.mark.parametrize("bad", BAD, ids=["no text", "no number of 64 bits"])
@pytest.mark.timeout(400)
def test_a_bad_value_in_any_key_is_one_bad_value(
    client: redis.Redis, redis_url: str, frontdesk: StartFrontdesk, tmp_path: Path, bad: bytes
) -> None:
    """Each kind of key is spoilt in turn; then everybody reads, tends and works, and no page is a fault."""
    _fill(client)
    port = free_port()
    (tmp_path / "routes.yaml").write_text("routes:\n  - {name: announce, action: Booking*, handler: log}\n")
    settings = {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_CONSOLE_PORT": str(port),
        "FRONTDESK_ADMIN_TOKEN": TOKEN,
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
    }
    frontdesk("console", settings=settings).wait_for_http(f"http://127.0.0.1:{port}/healthz")
    sound: list[Any] = sorted(client.scan_iter("fd:*")) + sorted(client.scan_iter("rq:*"))
    dumps = {key: (client.dump(key), max(client.pttl(key), 0)) for key in sound}
    kinds: dict[bytes, list[bytes]] = {}
    for key in sound:
        kinds.setdefault(_kind(key), []).append(key)
    assert len(kinds) > 45, sorted(kinds)

    failed = []
    for kind, some in sorted(kinds.items()):
        client.flushdb()
        for name, (dump, expires_ms) in dumps.items():
            client.restore(name, expires_ms, dump)  # type: ignore[arg-type]
        for key in some[::2]:
            _spoil(client, key, bad)
        failed += [f"{kind!r} {page}: {status}" for page, status in _pages(port).items() if status >= 500]
        for name, read in _readers(client, tmp_path):
            try:
                read()
            except Exception as error:  # whatever it is, is told
                failed.append(f"{kind!r} {name}: {type(error).__name__}: {error}")

    assert failed == []
