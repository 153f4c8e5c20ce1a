"""A store in which there is something in every key that the layout names, and who reads, tends and uses it."""

import re
import time
from collections.abc import Iterable, Iterator

import orjson
import redis

from receiver.core.events import Envelope
from receiver.failures.failure_ledger import FailureLedger
from receiver.failures.route_versions import RouteVersions
from receiver.nexudus.actions import CODES
from receiver.observation import arrival_baseline, status_snapshot
from receiver.observation.alerts.alerting import Alerting
from receiver.observation.alerts.notifier import Notifier
from receiver.routing import file
from receiver.storage.accounting.maintenance import Maintenance
from receiver.storage.accounting.retention import Retention, RetentionSchedule
from receiver.storage.model import change_claims
from receiver.storage.model.entries import terms
from receiver.storage.queue.checkpoints import Steps
from receiver.storage.queue.flow_control import Gates
from receiver.storage.queue.queue import Acknowledgement, Attempt, DeliveryQueue
from receiver.storage.queue.route_limits import TargetReport
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.shared.backfill_claims import BackfillClaims
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.gap_ledger import CoverageChange, GapLedger, GapWhy, PairHealth, opened
from receiver.storage.shared.lock import Lock
from receiver.storage.shared.one_time_tokens import OneTimeTokens
from receiver.storage.shared.registrar_state import Flap, HooksFound, RegistrarState
from receiver.storage.shared.response_cache import ResponseCache
from receiver.storage.shared.shared_call_budget import SharedBudget
from tests.support.events import DAY_MS, entry, half_keep, keep_all

HOUR_S = 3_600
ROUTES = "routes:\n  - {name: announce, action: Booking*, handler: log, timeout: %ds}\n"


def documented() -> dict[str, re.Pattern[bytes]]:
    """Every key that the page of the layout names, as it stands there, and what such a key looks like."""
    text = (keys.__doc__ or "").partition("Fields of ")[0]
    columns = " ".join(line[4:26] if line.startswith("    ") else "" for line in text.splitlines())
    inside = re.findall(r"fd:[\w:{}-]+(?=: (?:who is|sorted|how often|list|which|what people|who found))", text)
    names = [name.rstrip(".:,;") for name in (*re.findall(r"fd:\S+", columns), *inside, "fd:c:0")]
    patterns = {name: re.sub(r"\\\{\w+\\\}", "[^ ]+", re.escape(name)) for name in names}
    return {name: re.compile(pattern.encode() + rb"\Z") for name, pattern in patterns.items()}


def undocumented(found: Iterable[bytes]) -> list[bytes]:
    """The keys that the page of the layout does not name."""
    patterns = documented().values()
    return [key for key in found if key.startswith(b"fd:") and not any(one.match(key) for one in patterns)]


def missing(found: Iterable[bytes]) -> list[str]:
    """The names of the page of the layout of which there is no key."""
    there = list(found)
    return [name for name, pattern in documented().items() if not any(pattern.match(key) for key in there)]


def fill(client: redis.Redis) -> None:
    """Put something into every kind of key, by those who write it; by hand what only comes about in between."""
    kept = _events(client)
    _deliveries(client)
    client.hset("fd:once:" + kept[3].id, "odd/step", "?")
    Steps(client).begin(kept[0].id, "announce/step")
    _registrar(client)
    _of_processes(client)
    AuditLog(client).record("replay", events=1)
    arrival_baseline.learn(client, [1001], int(time.time() * 1_000))
    Alerting(client, Notifier([]), patience_ms=0).turn(status_snapshot.look(client))
    RetentionSchedule(client, retention_ms=DAY_MS, kept_ms=DAY_MS).turn()
    Retention(client, 0, DAY_MS).turn(1)
    Maintenance(client).turn()
    _failures(client)
    _by_hand(client, kept)


def _events(client: redis.Redis) -> list[Envelope]:
    now = time.time()
    kept = [entry(b"%d" % n, entity=f"Booking:{n}", at=now - 3 * HOUR_S + n) for n in range(3)]
    kept += [entry(b"odd%d" % n, routes=("odd",), terms=terms("lane")) for n in range(3)]
    kept += [entry(b"late", routes=("late",)), entry(b"none", routes=()), entry(b"junk", quarantine="no JSON")]
    keep_all(client, *kept, alias_ms=DAY_MS)
    keep_all(client, entry(b"late", routes=("late",)), alias_ms=DAY_MS)
    half_keep(client, entry(b"half"))
    return [one.envelope for one in kept]


def _deliveries(client: redis.Redis) -> None:
    queue = DeliveryQueue(client)
    for worker in ("ann", "bob"):
        queue.begin_lease(worker, 60_000)
    claimed = queue.claim("ann", ["default"], 5)
    assert claimed is not None
    first, second, third, *_ = claimed.claims
    attempt = Attempt(1, "failed", 1, 2, "ann", "E: why")
    done = attempt._replace(outcome="succeeded")
    queue.acknowledge("ann", [Acknowledgement(first.job, "dead", 0, 30_000, attempt, TargetReport("down", DAY_MS))])
    queue.acknowledge("ann", [Acknowledgement(second.job, "succeeded", 0, 30_000, done)])
    queue.acknowledge(
        "ann", [Acknowledgement(third.job, "retry", 60_000, 30_000, attempt, TargetReport("busy", DAY_MS))]
    )
    Gates(client).pause("late", "ada")
    assert queue.claim("bob", ["default"], 5) is not None


def _registrar(client: redis.Redis) -> None:
    memory, now_ms = RegistrarState(client), int(time.time() * 1_000)
    memory.remember_flap(1, Flap(2, 3))
    memory.unrouted_since([1], now_ms=5)
    memory.count("created")
    memory.remember_found(HooksFound(now_ms, 1, {1001: {"disabled": 1}}))
    health = PairHealth(now_ms, now_ms, 1, 2)
    gap = opened((1001, "BookingCreate"), now_ms, GapWhy.DISABLED)
    GapLedger(client).apply(CoverageChange(now_ms, True, {(1001, "BookingCreate"): health}, (), (gap,)))
    BusinessNames(client).remember({1001: "Here"})
    BackfillClaims(client, [(1001, "BookingCreate")]).begin()
    claimed = entry(b"claimed")
    keep_all(client, claimed._replace(fingerprint=change_claims.claiming(claimed.fingerprint or b"", b"h", b"")))
    client.hset(keys.ids("Tariff"), mapping={"at_ms": now_ms, "7": 1001})
    SharedBudget(client, (5, 5.0), (5, 5.0), first=True).take(write=True)


def _of_processes(client: redis.Redis) -> None:
    client.hset(keys.SPOOLS, "a:1", '{"host":"h","folder":"f","depth":1,"bytes":2,"oldest_ms":3,"reported_ms":4}')
    now_ms = int(time.time() * 1_000)
    calls = StoreClient(client, "list_lanes", "announce_spool", "detect_loss")
    calls.run("list_lanes", "a:1", 60_000, "late:key", "0" * 20)
    calls.run("announce_spool", "a:1", now_ms, 60_000, "l", "")
    calls.run("detect_loss", "a-mark", "", 0, "")
    client.hset(keys.READINGS, "any", "raw")
    client.hset(keys.METER, mapping={"attempts:late:failed": 3, "wait:0.5": 3, "wait_ms": 50})
    client.hset(keys.LOSSES, "gone", '{"seen_ms":1,"found_ms":2}')
    client.set("fd:aside:fd:gaps", "odd")
    cache = ResponseCache(client)
    cache.put("kept", "me", cache.take("kept", "me", fetch_ms=60_000), b"{}", 60_000)
    cache.take("asked", "me", fetch_ms=60_000)
    client.incr("fd:nexudus:generation")
    assert Lock(client, "plan").take() is None
    OneTimeTokens(client).spend("a link", 60_000)


def _failures(client: redis.Redis) -> None:
    ledger = FailureLedger(client)
    (group, *_) = ledger.refresh().groups
    ledger.acknowledge(group.id, "ada", "known")
    for timeout in (10, 20):
        table = file.parse(ROUTES % timeout, file="routes.yaml", known_actions=CODES)
        RouteVersions(client, lambda table=table: table, lambda _: "1").turn()  # type: ignore[misc]


def _by_hand(client: redis.Redis, kept: list[Envelope]) -> None:
    """What one script writes and the next call takes away again, or what a receiver with replicas writes."""
    client.rpush(f"fd:p:{kept[6].id}", orjson.dumps([["late", "default", 90, ""]]))
    client.sadd(keys.UNMADE, kept[6].id)
    hour = kept[0].hour
    client.hset(keys.TURNING, f"fd:i:{hour}", "0 1 0")
    client.sadd(keys.STALE, hour)
    client.sadd(keys.stale(hour), "*")
    client.set(keys.WAITED_FOR, "")
    client.hset(keys.INCOMPLETE, "cursor", "0")
    client.set(keys.ROUTES, ROUTES % 10)
    client.zadd("fd:lanes", {"late:key": 1})
    client.setnx("fd:gates:clock", "1")
    client.set("fd:t:odd:lane", "1")
    client.hset(keys.counters(0), "accepted", 1)
    client.rpush(keys.wake("default"), "1")
    client.zadd(keys.SEALED, {str(hour): hour})


def kind_of(key: bytes) -> bytes:
    """The name of a key without what differs between those of one kind."""
    kind = re.sub(rb"[0-9a-z]{20}", b"ID", key)
    kind = re.sub(rb"(?<=:)[0-9a-f]{32,}|(?<=fd:f:)\S+", b"DIGEST", kind)
    return re.sub(rb"(?<=[:-])\d+(?=[:-]|$)", b"N", kind)


def by_kind(found: Iterable[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield each kind of key with the keys of it."""
    kinds: dict[bytes, list[bytes]] = {}
    for key in sorted(found):
        kinds.setdefault(kind_of(key), []).append(key)
    yield from sorted(kinds.items())
