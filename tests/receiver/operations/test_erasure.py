"""Erasure finds everything about one person and nothing about another, and leaves the audit at 0."""

import bz2
import gzip
import json
import lzma
import random
import zlib
from pathlib import Path

import pytest
import redis

from receiver.core.events import DeliveryStatus, Envelope, EventStatus
from receiver.nexudus.actions import CODES
from receiver.operations import body_decoding
from receiver.operations.erasure import CoworkerSubject, EmailSubject, Erased, Erasure, Subject, erase_spooled
from receiver.operations.release import Release
from receiver.operations.replay import Replay
from receiver.routing import file
from receiver.storage.accounting.audit import Audit
from receiver.storage.accounting.retention import Retention
from receiver.storage.model import keep_script, spool_row
from receiver.storage.model.entries import Entry
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.redis import keys, scripts
from receiver.storage.spool import slots
from receiver.storage.spool.rewriting import Rewritten
from receiver.storage.spool.sqlite_file import SpoolFile
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import DAY_MS, entry, keep_all, quarantine_cost

ADA = b'{"Id":7,"FullName":"Ada Lovelace","Email":"Ada@Example.com"}'


def envelope(body: bytes, action: str = "BookingCreate") -> Envelope:
    """An envelope with this body."""
    return entry(body).envelope._replace(action=action)


@pytest.mark.parametrize(
    ("subject", "action", "body", "found"),
    [
        (CoworkerSubject(7), "CoworkerUpdate", b'{"Id":7}', True),
        (CoworkerSubject(7), "CoworkerUpdate", b'[{"Id":7}]', True),
        (CoworkerSubject(7), "CoworkerUpdate", b'{"Id":70,"Other":7}', False),
        (CoworkerSubject(7), "BookingCreate", b'{"Id":7}', False),
        (CoworkerSubject(7), "BookingCreate", b'{"Id":1,"CoworkerId":7}', True),
        (CoworkerSubject(7), "BookingCreate", b'{"Id":1,"CoworkerId":"7"}', True),
        (CoworkerSubject(7), "BookingCreate", b'{"Id":1,"CoworkerId":77}', False),
        (CoworkerSubject(7), "TeamUpdate", b'{"Id":1,"CoworkerIds":[6,7]}', True),
        (CoworkerSubject(7), "TeamUpdate", b'{"Id":1,"CoworkerIds":"6, 7"}', True),
        (CoworkerSubject(7), "TeamUpdate", b'{"Id":1,"CoworkerIds":"6,17"}', False),
        (CoworkerSubject(7), "EventUpdate", b'{"Id":1,"Guests":[{"Who":{"CoworkerId":7}}]}', True),
        (CoworkerSubject(7), "CoworkerUpdate", b'[{"Id": 7, oops', True),
        (CoworkerSubject(7), "CoworkerUpdate", b'[{"Id": 77, oops', False),
        (CoworkerSubject(7), "BookingCreate", b'[{"Id": 7, oops', False),
        (CoworkerSubject(7), "BookingCreate", b'[{"CoworkerId" : 7, oops', True),
        (CoworkerSubject(7), "BookingCreate", b"", False),
        (EmailSubject("ada@example.com"), "BookingCreate", ADA, True),
        (EmailSubject(" ADA@example.COM "), "BookingCreate", b'{"Deep":[{"Text":"write to ada@EXAMPLE.com."}]}', True),
        (EmailSubject("ada@example.com"), "BookingCreate", b'{"Email":"ada\\u0040example.com"}', True),
        (EmailSubject("ada@example.com"), "BookingCreate", b'{"Email":"nada@example.com"}', False),
        (EmailSubject("ada@example.com"), "BookingCreate", b'{"Email":"x.ada@example.com"}', False),
        (EmailSubject("ada@example.com"), "BookingCreate", b'{"Email":"ada@example.com.au"}', False),
        (EmailSubject("ada@example.com"), "BookingCreate", b'{"Email":"ada@example.community"}', False),
        (EmailSubject("a.a@example.com"), "BookingCreate", b'{"Email":"aba@example.com"}', False),
        (EmailSubject("ada@example.com"), "BookingCreate", b"\xff ada@example.com \xff", True),
        (EmailSubject("ada@example.com"), "BookingCreate", b'{"ada@example.com":1}', True),
        (EmailSubject("ada@example.com"), "BookingCreate", b'"ada@example.com"', True),
        (EmailSubject("ada@example.com"), "BookingCreate", b"[" * 2_000 + b'"ada@example.com"' + b"]" * 2_000, True),
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

    found = tool.find(EmailSubject("ada@example.com"))
    erased = tool.erase(found)

    assert sorted(erased.events) == sorted(one.envelope.id for one in about)
    assert (erased.cancelled, tool.unsearched) == (3, 0)
    assert tool.find(EmailSubject("ada@example.com")) == []
    assert b"ada@example" not in b"".join(client.dump(key) or b"" for key in client.scan_iter("fd:a:*"))
    report = Audit(client).run(full=True)
    assert (report.unaccounted, report.offenders) == (0, ())
    assert report.deliveries == {
        "created": 5, "succeeded": 0, "dead": 1, "discarded": 3, "in_flight": 1, "expired": 0,
    }  # fmt: skip
    tombstone = EventReader(client).get(about[1].envelope.id)
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

    tool.erase(tool.find(EmailSubject("ada@example.com")))

    size = quarantine_cost(client.strlen(keys.envelope(one.envelope.id)))
    assert client.hgetall(keys.QUARANTINE) == {b"total": size, b"1001/BookingCreate": size}
    assert EventReader(client).get(one.envelope.id).envelope.quarantine == "erased"
    Retention(client, 0, 0).turn(100)
    assert client.hgetall(keys.QUARANTINE) == {b"total": b"0"}
    assert Audit(client).run(full=True).unaccounted == 0


def test_what_was_erased_is_neither_replayed_nor_released(client: redis.Redis) -> None:
    """A handler would get an empty record."""
    events = [entry(ADA), entry(ADA, action="BookingUpdate", quarantine="?")]
    keep_all(client, *events)
    tool = Erasure(client)
    tool.erase(tool.find(EmailSubject("ada@example.com")))
    table = file.parse("routes: [{action: '*', handler: log}]", file="routes.yaml", known_actions=CODES)
    event, request = (EventReader(client).get(one.envelope.id) for one in events)

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

    assert tool.find(EmailSubject("ada@example.com")) == []
    assert tool.unsearched == 2


HERS = '[{"Email":"Ada@Example.com"}, oops'
DEFLATE = zlib.compressobj(wbits=-15)
RAW_DEFLATE = DEFLATE.compress(HERS.encode()) + DEFLATE.flush()
ENCODED = [
    *(HERS.encode(name) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")),
    b"\xfe\xff" + HERS.encode("utf-16-be"),
    b"\x00\x00\xfe\xff" + HERS.encode("utf-32-be"),
    HERS.encode("utf-8-sig"),
    *(pack(HERS.encode()) for pack in (gzip.compress, zlib.compress, bz2.compress, lzma.compress)),
    *(zlib.compress(HERS.encode("utf-16"), level) for level in (0, 1, 6, 9)),
    gzip.compress(b"nothing, ") + gzip.compress(HERS.encode()),
    gzip.compress(gzip.compress(HERS.encode())),
    gzip.compress(ADA),
    b"email=ada%40example.com&name=Ada",
    b"<Email>ada&#64;example.com</Email>",
    b'{"Email":"ad\\u0061\\u0040example.com"',
    b"x^2 ada@example.com",
]


@pytest.mark.parametrize("body", ENCODED, ids=range(len(ENCODED)))
def test_a_person_is_found_however_their_body_is_written(client: redis.Redis, tmp_path: Path, body: bytes) -> None:
    """In quarantine lies what anybody sent, also without a header that says how; in a spool it waits for there."""
    one, other = entry(body, quarantine="no JSON"), entry(gzip.compress(b"somebody else"), quarantine="no JSON")
    keep_all(client, one, other)
    _spool(tmp_path, one, other)
    tool = Erasure(client)

    assert tool.find(EmailSubject("ada@example.com")) == [one.envelope.id]
    assert tool.unsearched == 0
    assert erase_spooled(tmp_path, EmailSubject("ada@example.com")) == Rewritten((one.envelope.id,), ())


def test_a_customer_is_found_in_a_packed_record(client: redis.Redis) -> None:
    """By the same fields as in a plain one."""
    packed = entry(gzip.compress('{"Id":1,"CoworkerId":7}'.encode("utf-16")), quarantine="no JSON")
    other = entry(gzip.compress('{"Id":1,"CoworkerId":77}'.encode("utf-16")), quarantine="no JSON")
    keep_all(client, packed, other)

    assert Erasure(client).find(CoworkerSubject(7)) == [packed.envelope.id]


def test_the_header_tells_what_the_body_does_not(client: redis.Redis) -> None:
    """A raw deflate stream begins with nothing in particular."""
    one = entry(RAW_DEFLATE, quarantine="no JSON")
    keep_all(client, one._replace(envelope=one.envelope._replace(headers={"content-encoding": "Deflate"})))

    assert Erasure(client).find(EmailSubject("ada@example.com")) == [one.envelope.id]


HIDDEN = [
    (gzip.compress(HERS.encode())[:30], ""),
    (zlib.compress(b"x" * body_decoding.LARGEST + HERS.encode(), 1), ""),
    (gzip.compress(b"hello")[:-1] + b"?", ""),
    (b"\x28\xb5\x2f\xfd\x24\x10" + random.Random(1).randbytes(60), ""),
    (b"PK\x03\x04" + random.Random(1).randbytes(60), ""),
    (random.Random(2).randbytes(60), ""),
    (random.Random(2).randbytes(60), "br"),
    (random.Random(2).randbytes(60), "deflate"),
]


@pytest.mark.parametrize(("body", "encoding"), HIDDEN, ids=range(len(HIDDEN)))
def test_what_cannot_be_read_is_counted(client: redis.Redis, tmp_path: Path, body: bytes, encoding: str) -> None:
    """Damaged, endless, packed by what is not known here, or no text at all; in the store as in a spool."""
    one = entry(body, quarantine="no JSON")
    one = one._replace(envelope=one.envelope._replace(headers={"Content-Encoding": encoding} if encoding else {}))
    keep_all(client, one)
    _spool(tmp_path, one)
    tool = Erasure(client)

    assert tool.find(EmailSubject("ada@example.com")) == []
    assert tool.unsearched == 1
    assert erase_spooled(tmp_path, EmailSubject("ada@example.com")) == Rewritten((), (), unsearched=1)


def _spool(data_dir: Path, *entries: Entry) -> None:
    folder = slots.folder_of(data_dir)
    slots.prepare(folder)
    slot = slots.Slot.take(folder, 0)
    assert slot is not None
    spool = SpoolFile.open(slot.path)
    spool.append([spool_row.row_of(one) for one in entries])
    spool.close()
    slot.release()


def test_an_event_with_thousands_of_deliveries_is_erased_in_short_calls(client: redis.Redis) -> None:
    """The record goes with the last of them, so that one who was cut off before it finds the event again."""
    routes = [f"r{number}" for number in range(2_345)]
    one = entry(b'{"Email":"ada@example.com"}', routes=routes)
    keep_all(client, one)
    while keep_script.left(
        client.register_script(scripts.source("keep"))(args=keep_script.continuation(one.envelope.id))
    ):
        pass
    assert len(EventReader(client).get(one.envelope.id).deliveries) == 2_345
    assert client.register_script(scripts.source("erase"))(args=[one.envelope.id, b"", 1, 345]) == [345, 346]
    client.config_resetstat()
    tool = Erasure(client)

    erased = tool.erase(tool.find(EmailSubject("ada@example.com")))

    assert erased == Erased((one.envelope.id,), 2_000)
    calls = client.info("commandstats")
    assert int(calls["cmdstat_evalsha"]["calls"]) >= 1 + 5
    assert int(calls["cmdstat_set"]["calls"]) == 1, "the record is put away once"
    ended = {delivery.status for delivery in EventReader(client).get(one.envelope.id).deliveries}
    assert ended == {DeliveryStatus.DISCARDED}
    report = Audit(client).run(full=True)
    assert (report.unaccounted, report.deliveries["discarded"], report.deliveries["in_flight"]) == (0, 2_345, 0)


def test_an_event_that_is_gone_meanwhile_is_left_out(client: redis.Redis) -> None:
    """And nothing comes into being under its id."""
    one = entry(ADA)
    keep_all(client, one)
    acknowledge(client, *claim_all(client))
    Retention(client, 0, 0).turn(100)

    assert Erasure(client).erase([one.envelope.id]).events == ()
    assert list(EventReader(client).newest(EventFilter())) == []


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
