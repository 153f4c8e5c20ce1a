"""One bad value in the store is one bad value: those who read many show the others."""

import pytest
import redis

from receiver.core.events import EventStatus
from receiver.observation import metrics_store
from receiver.observation.event_histogram import EventHistogram
from receiver.observation.store_status import StoreStatus
from receiver.operations import json_views
from receiver.storage.accounting import hour_counters
from receiver.storage.model import codec, decoding
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.queue.flow_control import Gates
from receiver.storage.redis import keys
from receiver.storage.shared.audit_log import AuditLog, AuditLogForwarder
from receiver.storage.shared.registrar_state import Flap, RegistrarState
from receiver.storage.spool import reports
from tests.support.events import entry, keep_all

HUGE = "9" * 30


@pytest.mark.parametrize(
    "state",
    [
        {"n": "many"},
        {"n": ""},
        {"n": HUGE},
        {"1s": b"\xff"},
        {"1t": "soon"},
        {"1t": HUGE},
        {"1r": b"\xff\xfe"},
        {b"\xff": b"\xff"},
    ],
    ids=str,
)
def test_an_event_whose_state_is_damaged_hides_no_other(client: redis.Redis, state: dict[str, str]) -> None:
    """In a list, by its status, and alone."""
    good, bad = entry(b'{"Id":1}'), entry(b'{"Id":2}')
    keep_all(client, good, bad)
    client.hset(keys.state(bad.envelope.id), mapping=state)  # type: ignore[arg-type]
    archive = EventReader(client)

    shown = {json_views.brief(one, redact=False)["id"] for one in archive.newest(EventFilter())}

    assert shown == {good.envelope.id, bad.envelope.id}
    assert good.envelope.id in {one.envelope.id for one in archive.newest(EventFilter(status=EventStatus.IN_FLIGHT))}
    assert json_views.full(archive.get(bad.envelope.id), redact=False)["id"] == bad.envelope.id


@pytest.mark.parametrize("field", ["n", "1s", "1r", "1q"])
def test_an_event_whose_state_lacks_a_field_hides_no_other(client: redis.Redis, field: str) -> None:
    """Whichever it is."""
    good, bad = entry(b'{"Id":1}'), entry(b'{"Id":2}')
    keep_all(client, good, bad)
    client.hdel(keys.state(bad.envelope.id), field)

    assert len([json_views.full(one, redact=True) for one in EventReader(client).newest(EventFilter())]) == 2


@pytest.mark.parametrize(
    "record", [b"torn", b"[]", b'{"started_ms":"x","ended_ms":1,"error":5}', b'{"started_ms":%s}' % HUGE.encode()]
)
def test_an_attempt_that_cannot_be_read_is_one_attempt(client: redis.Redis, record: bytes) -> None:
    """Those before it and after it are shown."""
    one = entry()
    keep_all(client, one)
    sound = b'{"number":1,"outcome":"failed","started_ms":1,"ended_ms":3,"error":"E: x"}'
    client.rpush(keys.attempts(f"{one.envelope.id}-1"), sound, record, sound)

    attempts = json_views.full(EventReader(client).get(one.envelope.id), redact=False)["attempts"]

    assert [attempt["duration_ms"] for attempt in attempts] == [2, None, 2]


def test_an_envelope_of_other_types_is_one_that_cannot_be_read(client: redis.Redis) -> None:
    """Its id tells when it came."""
    good, bad = entry(b'{"Id":1}'), entry(b'{"Id":2}')
    keep_all(client, good, bad)
    packed = codec.pack(bad.envelope._replace(received_ms="yesterday"))  # type: ignore[arg-type]
    client.set(keys.envelope(bad.envelope.id), packed)

    found = {one.envelope.id: one.unreadable for one in EventReader(client).newest(EventFilter(since_ms=0))}

    assert found[good.envelope.id] is None
    assert "other types" in str(found[bad.envelope.id])


def test_an_act_that_cannot_be_read_is_one_act(client: redis.Redis) -> None:
    """In the list and in the log."""
    acts = AuditLog(client)
    acts.record("replay", events=1)
    client.xadd(keys.ACTS, {"who": b"\xff", "detail": "torn"})
    client.xadd(keys.ACTS, {"what": "x", "detail": '{"event":"y"}'})
    acts.record("erase")

    assert [act.what for act in acts.newest()] == ["erase", "x", "?", "replay"]
    AuditLogForwarder(client).write()


def test_a_counter_that_is_no_number_is_left_out(client: redis.Redis) -> None:
    """Whoever counts goes on with the others."""
    torn = {b"accepted": b"3", b"routed": b"three", b"\xff": b"1", b"d_created": HUGE.encode()}
    client.hset(keys.counters(7), mapping=torn)  # type: ignore[arg-type]
    client.hset(keys.METER, mapping=torn)  # type: ignore[arg-type]

    assert EventReader(client).counters(7)["accepted"] == 3
    assert EventHistogram(client).counters([7])["accepted"] == 3
    assert (metrics_store.read(client)["accepted"], "routed" in metrics_store.read(client)) == (3, False)
    assert (hour_counters.parsed(torn)["accepted"], hour_counters.parsed(torn)["routed"]) == (3, 0)


def test_what_processes_say_of_themselves_may_be_damaged(client: redis.Redis) -> None:
    """Hooks, gates, workers and spools: an entry that cannot be read is left out, or says nothing."""
    memory = RegistrarState(client)
    memory.remember_flap(1, Flap(2, 3))
    client.hset(keys.REGISTRAR_FLAPS, mapping={"2": "torn", "x": '{"count":1,"last_ms":1}', "3": "[]"})
    client.hset(keys.REGISTRAR_UNROUTED, mapping={"1": "5", "2": "x", "y": "7"})
    client.hset(keys.REGISTRAR_COUNTS, mapping={"created": "1", "deleted": "x"})
    client.hset(keys.RECEIVED, mapping={"1/BookingCreate": "5", "2/BookingCreate": "x", "²/BookingCreate": "5"})
    client.hset(keys.PAUSED, mapping={"one": '{"at":"x","who":"ada"}', b"\xff": HUGE})
    client.hset(keys.gate("one"), mapping={"until": "inf", "open": "x"})
    client.zadd(keys.WORKERS, {b"\xff": 5, b"w": float("inf")})
    client.hset(keys.SPOOLS, mapping={"a": '{"depth":1e400}', b"\xff": "[]"})

    assert memory.flaps() == {1: Flap(2, 3)}
    assert memory.unrouted_since([1, 2], now_ms=9) == {1: 5, 2: 9}
    assert memory.counts() == {"created": 1}
    assert memory.last_received() == {(1, "BookingCreate"): 5} == StoreStatus(client).received()
    assert Gates(client).standing()["one"].state == "paused"
    assert len(StoreStatus(client).workers()) == 2
    assert reports.reports(client) == ()


@pytest.mark.parametrize(
    ("value", "read"),
    [(b"7", 7), ("7", 7), (7.9, 7), (b"1e3", 1000), (b"x", None), (None, None), (b"inf", None), (HUGE, None)],
)
def test_numbers_are_read_as_far_as_they_are_some(value: object, read: int | None) -> None:
    """Of 64 bits, as the store's own."""
    assert decoding.number(value) == read
