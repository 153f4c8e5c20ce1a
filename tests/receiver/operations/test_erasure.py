"""Erasure finds everything about one person and nothing about another, and leaves the audit at 0."""

import json

import pytest
import redis

from receiver.core.events import Envelope, EventStatus
from receiver.nexudus.actions import CODES
from receiver.operations.erasure import Address, Coworker, Erasure, Subject
from receiver.operations.release import Release
from receiver.operations.replay import Replay
from receiver.routing import file
from receiver.storage.accounting.reconciliation import Audit
from receiver.storage.accounting.retention import Retention
from receiver.storage.query.event_reader import Archive
from receiver.storage.query.stored_event import Filter
from receiver.storage.redis import connection, keys
from tests.deliveries import acknowledge, claim_all
from tests.events import DAY_MS, entry, keep_all, quarantine_cost

ADA = b'{"Id":7,"FullName":"Ada Lovelace","Email":"Ada@Example.com"}'


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    """A client of an empty server."""
    return connection.connect(redis_url)


def envelope(body: bytes, action: str = "BookingCreate") -> Envelope:
    """An envelope with this body."""
    return entry(body).envelope._replace(action=action)


@pytest.mark.parametrize(
    ("subject", "action", "body", "found"),
    [
        (Coworker(7), "CoworkerUpdate", b'{"Id":7}', True),
        (Coworker(7), "CoworkerUpdate", b'[{"Id":7}]', True),
        (Coworker(7), "CoworkerUpdate", b'{"Id":70,"Other":7}', False),
        (Coworker(7), "BookingCreate", b'{"Id":7}', False),
        (Coworker(7), "BookingCreate", b'{"Id":1,"CoworkerId":7}', True),
        (Coworker(7), "BookingCreate", b'{"Id":1,"CoworkerId":"7"}', True),
        (Coworker(7), "BookingCreate", b'{"Id":1,"CoworkerId":77}', False),
        (Coworker(7), "TeamUpdate", b'{"Id":1,"CoworkerIds":[6,7]}', True),
        (Coworker(7), "TeamUpdate", b'{"Id":1,"CoworkerIds":"6, 7"}', True),
        (Coworker(7), "TeamUpdate", b'{"Id":1,"CoworkerIds":"6,17"}', False),
        (Coworker(7), "EventUpdate", b'{"Id":1,"Guests":[{"Who":{"CoworkerId":7}}]}', True),
        (Coworker(7), "CoworkerUpdate", b'[{"Id": 7, oops', True),
        (Coworker(7), "CoworkerUpdate", b'[{"Id": 77, oops', False),
        (Coworker(7), "BookingCreate", b'[{"Id": 7, oops', False),
        (Coworker(7), "BookingCreate", b'[{"CoworkerId" : 7, oops', True),
        (Coworker(7), "BookingCreate", b"", False),
        (Address("ada@example.com"), "BookingCreate", ADA, True),
        (Address(" ADA@example.COM "), "BookingCreate", b'{"Deep":[{"Text":"write to ada@EXAMPLE.com."}]}', True),
        (Address("ada@example.com"), "BookingCreate", b'{"Email":"ada\\u0040example.com"}', True),
        (Address("ada@example.com"), "BookingCreate", b'{"Email":"nada@example.com"}', False),
        (Address("ada@example.com"), "BookingCreate", b'{"Email":"x.ada@example.com"}', False),
        (Address("ada@example.com"), "BookingCreate", b'{"Email":"ada@example.com.au"}', False),
        (Address("ada@example.com"), "BookingCreate", b'{"Email":"ada@example.community"}', False),
        (Address("a.a@example.com"), "BookingCreate", b'{"Email":"aba@example.com"}', False),
        (Address("ada@example.com"), "BookingCreate", b"\xff ada@example.com \xff", True),
        (Address("ada@example.com"), "BookingCreate", b'[{"Email":"ada\\u0040example.com", oops', True),
        (Address("ada@example.com"), "BookingCreate", b'{"ada@example.com":1}', True),
        (Address("ada@example.com"), "BookingCreate", b'"ada@example.com"', True),
        (Address("ada@example.com"), "BookingCreate", b"[" * 2_000 + b'"ada@example.com"' + b"]" * 2_000, True),
    ],
)
def test_a_person_is_found_where_they_are_and_nowhere_else(
    subject: Subject, action: str, body: bytes, found: bool
) -> None:
    """By number: their own record, and records that name them. By address: any text, whole addresses only."""
    assert subject.is_in(envelope(body, action)) is found


def test_everything_about_a_person_is_cleared_and_nothing_about_others(client: redis.Redis) -> None:
    """Queued, waiting, running, ended, unrouted, quarantined: no byte of theirs is left, and the audit is 0."""
    about = [
        *(entry(b'{"Id":%d,"Email":"ada@example.com"}' % number, entity=f"Booking:{number}") for number in range(4)),
        entry(b'{"Id":8,"Email":"ada@example.com"}', routes=()),
        entry(b'[{"Email":"ada@example.com"', quarantine="no JSON"),
    ]
    other = entry(b'{"Id":9,"Email":"bob@example.com"}', entity="Booking:9")
    keep_all(client, *about, other)
    dead, waiting, running, queued, bobs = claim_all(client)
    acknowledge(client, dead, verdict="dead", error="ada@example.com is unknown")
    acknowledge(client, waiting, verdict="retry", delay_ms=60_000, error="ada@example.com again")
    acknowledge(client, queued, bobs, verdict="give_back")
    tool = Erasure(client)

    found = tool.find(Address("ada@example.com"))
    erased = tool.erase(found)

    assert sorted(erased.events) == sorted(one.envelope.id for one in about)
    assert (erased.cancelled, tool.unsearched) == (3, 0)
    assert tool.find(Address("ada@example.com")) == []
    assert b"ada" not in b"".join(client.dump(key) or b"" for key in client.scan_iter("fd:a:*"))
    report = Audit(client).run(full=True)
    assert (report.unaccounted, report.offenders) == (0, ())
    assert report.deliveries == {
        "created": 5, "succeeded": 0, "dead": 1, "discarded": 3, "in_flight": 1, "expired": 0,
    }  # fmt: skip
    tombstone = Archive(client).get(about[1].envelope.id)
    assert tombstone.status == EventStatus.DISCARDED
    assert tombstone.deliveries[0].error == "erased"
    kept = tombstone.envelope
    assert (kept.body, kept.entity, kept.erased_ms > 0) == (b"{}", None, True)
    assert (kept.action, kept.business_id, kept.received_ms) == (
        about[1].envelope.action, 1001, about[1].envelope.received_ms,
    )  # fmt: skip
    assert acknowledge(client, running) == (running.job,)
    assert [claim.envelope for claim in claim_all(client, "bob")] == [other.envelope]
    assert len(client.keys("fd:n:*")) == 1


def test_bytes_in_quarantine_are_counted_on(client: redis.Redis) -> None:
    """The tombstone takes less; when it expires nothing is left."""
    one = entry(b'[{"Email":"ada@example.com"}' + b" " * 10_000, quarantine="no JSON")
    keep_all(client, one)
    tool = Erasure(client)

    tool.erase(tool.find(Address("ada@example.com")))

    size = quarantine_cost(client.strlen(keys.envelope(one.envelope.id)))
    assert client.hgetall(keys.QUARANTINE) == {b"total": size, b"1001/BookingCreate": size}
    assert Archive(client).get(one.envelope.id).envelope.quarantine == "erased"
    Retention(client, 0, 0).turn(100)
    assert client.hgetall(keys.QUARANTINE) == {b"total": b"0"}
    assert Audit(client).run(full=True).unaccounted == 0


def test_what_was_erased_is_neither_replayed_nor_released(client: redis.Redis) -> None:
    """A handler would get an empty record."""
    events = [entry(ADA), entry(ADA, action="BookingUpdate", quarantine="?")]
    keep_all(client, *events)
    tool = Erasure(client)
    tool.erase(tool.find(Address("ada@example.com")))
    table = file.parse("routes: [{action: '*', handler: log}]", file="routes.yaml", known_actions=CODES)
    event, request = (Archive(client).get(one.envelope.id) for one in events)

    assert Replay(client, table).run(event).reason == "its record was erased"
    assert Replay(client, table).routes(event) == ()
    assert Release(client, table, (), dedup_window_ms=DAY_MS).run(request).reason == "its record was erased"
    assert Audit(client).run(full=True).unaccounted == 0


def test_what_cannot_be_looked_into_is_counted(client: redis.Redis) -> None:
    """A compressed body, and an envelope of a version to come."""
    packed = entry(b"\x1f\x8b\x08", quarantine="compressed")
    packed = packed._replace(envelope=packed.envelope._replace(headers={"Content-Encoding": "gzip"}))
    newer = entry(b"1")
    keep_all(client, packed, newer)
    client.set(keys.envelope(newer.envelope.id), b"\x09what?")
    tool = Erasure(client)

    assert tool.find(Address("ada@example.com")) == []
    assert tool.unsearched == 2


def test_an_event_that_is_gone_meanwhile_is_left_out(client: redis.Redis) -> None:
    """And nothing comes into being under its id."""
    one = entry(ADA)
    keep_all(client, one)
    acknowledge(client, *claim_all(client))
    Retention(client, 0, 0).turn(100)

    assert Erasure(client).erase([one.envelope.id]).events == ()
    assert list(Archive(client).newest(Filter())) == []


def test_errors_are_cleared_whatever_they_are(client: redis.Redis) -> None:
    """Also an attempt that is no JSON; the numbers of the others stay exact."""
    one = entry(ADA)
    keep_all(client, one)
    acknowledge(client, *claim_all(client), error="Ada!")
    client.rpush(
        keys.attempts(f"{one.envelope.id}-1"), b"Ada, not JSON", b'{"outcome":"crashed","ended_ms":1763703152123}'
    )

    Erasure(client).erase([one.envelope.id])

    attempts = [json.loads(text) for text in client.lrange(keys.attempts(f"{one.envelope.id}-1"), 0, -1)]
    assert [attempt.get("error") for attempt in attempts] == ["erased", "erased", None]
    assert attempts[2]["ended_ms"] == 1763703152123
