"""What was set aside is checked again, and becomes events under the id it was answered with."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import redis

from receiver.cli.processes import console
from receiver.core import ids, settings
from receiver.core.events import EventStatus
from receiver.nexudus import canonical_record, fingerprint, signature
from receiver.nexudus.actions import CODES
from receiver.operations.release import Release, Released
from receiver.routing import file
from receiver.routing.table_reload import CurrentTable
from receiver.storage.accounting.audit import Audit
from receiver.storage.model.entries import Entry
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter, StoredEvent
from receiver.storage.redis import keys
from receiver.storage.shared import signature_readings
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import DAY_MS, entry, keep_all, quarantine_cost

BODY = b'[{"Id":7,"Name":"Ada"}]'
ROUTES = """
routes:
  - {name: announce, action: BookingCreate, handler: log}
  - {name: mirror, action: BookingCreate, where: data.Id == 7, handler: log}
"""


def release(
    client: redis.Redis,
    one: Entry,
    *,
    secrets: Sequence[tuple[int | None, str]] = (),
    force: bool = False,
    routes: str = ROUTES,
) -> Released:
    """Release one request."""
    table = file.parse(routes, file="routes.yaml", known_actions=CODES)
    return Release(client, table, secrets, dedup_window_ms=DAY_MS, force=force).run(stored(client, one))


def stored(client: redis.Redis, one: Entry) -> StoredEvent:
    """The request or event as it is kept."""
    return EventReader(client).get(one.envelope.id)


def set_aside(body: bytes = BODY, *, signed: str | None = None, reason: str = "it does not match") -> Entry:
    """A quarantined request; *signed*: with a signature by this secret."""
    one = entry(body, quarantine=reason, entity=None)
    headers = {signature.HEADER: signature.sign(body, signed)} if signed else {}
    return one._replace(envelope=one.envelope._replace(headers=headers))


def audit(client: redis.Redis) -> dict[str, int]:
    """The events of a full audit that is 0."""
    report = Audit(client).run(full=True)
    assert (report.unaccounted, report.offenders) == (0, ())
    return report.events


def test_one_record_becomes_an_event_under_the_same_id(client: redis.Redis) -> None:
    """Routed by the table of today, with its own bytes, verified, enqueued; nothing of quarantine is left."""
    one = set_aside(signed="right")
    keep_all(client, one)

    released = release(client, one, secrets=[(None, "wrong"), (1001, "right")])

    assert released == Released(one.envelope.id, (one.envelope.id,))
    found = stored(client, one)
    assert found.status == EventStatus.IN_FLIGHT
    assert [delivery.route for delivery in found.deliveries] == ["announce", "mirror"]
    assert (found.envelope.body, found.envelope.entity) == (b'{"Id":7,"Name":"Ada"}', "Booking:7")
    assert (found.envelope.verified_by, found.envelope.quarantine) == ("raw", None)
    assert found.envelope.received_ms == one.envelope.received_ms
    assert client.hgetall(keys.QUARANTINE) == {b"total": b"0"}
    assert audit(client) == {"accepted": 1, "unrouted": 0, "quarantined": 0, "routed": 1, "expired": 0}
    claims = claim_all(client)
    acknowledge(client, *claims)
    assert stored(client, one).status == EventStatus.SUCCEEDED
    assert [one.envelope.id for one in EventReader(client).newest(EventFilter(route="mirror"))] == [one.envelope.id]
    assert audit(client)["routed"] == 1


def test_what_no_route_wants_is_unrouted(client: redis.Redis) -> None:
    """It is no longer quarantined, and can be replayed."""
    one = set_aside()
    keep_all(client, one)

    release(client, one, routes="routes: [{action: BookingDelete, handler: log}]")

    assert stored(client, one).status == EventStatus.UNROUTED
    assert audit(client) == {"accepted": 1, "unrouted": 1, "quarantined": 0, "routed": 0, "expired": 0}


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (BODY, {}, "X-Nexudus-Hook-Signature is missing"),
        (BODY, {signature.HEADER: "00"}, "X-Nexudus-Hook-Signature does not match"),
    ],
)
def test_a_wrong_signature_stays_unless_forced(
    client: redis.Redis, body: bytes, headers: dict[str, str], reason: str
) -> None:
    """With the reason of today. Forced, it is an event that nothing verified."""
    one = set_aside(body)
    one = one._replace(envelope=one.envelope._replace(headers=headers))
    keep_all(client, one)

    stays = release(client, one, secrets=[(None, "right")])

    assert stays == Released(one.envelope.id, (), reason)
    assert stored(client, one).envelope.quarantine == reason
    assert audit(client)["quarantined"] == 1
    assert release(client, one, secrets=[(1002, "right")], force=True).events == (one.envelope.id,)
    assert stored(client, one).envelope.verified_by is None


@pytest.mark.parametrize("secrets", [(), [(1002, "right")]])
def test_a_bad_signature_stays_where_no_secret_can_check_it(
    client: redis.Redis, secrets: Sequence[tuple[int | None, str]]
) -> None:
    """Neither without secrets nor with another location's; what is kept of it does not change. Forced, it goes."""
    one = set_aside(signed="forged", reason=f"{signature.HEADER} does not match")
    keep_all(client, one)

    stays = release(client, one, secrets=secrets)

    assert (stays.events, stays.is_blind) == ((), True)
    assert "no shared secret of location 1001" in (stays.reason or "")
    assert "FRONTDESK_WEBHOOK_SECRETS" in (stays.reason or "")
    assert stored(client, one).envelope.quarantine == f"{signature.HEADER} does not match"
    assert release(client, one, secrets=[(1001, "right")]).is_blind is False
    assert release(client, one, secrets=secrets, force=True).events == (one.envelope.id,)


def test_a_doubt_about_the_signature_outlives_another_reason(client: redis.Redis) -> None:
    """Forced, but not to be read, or a duplicate: the next release still asks who signed it."""
    reason = f"{signature.HEADER} does not match"
    junk, twin, event = set_aside(b"{", reason=reason), set_aside(reason=reason), set_aside()
    keep_all(client, junk, twin, event)
    release(client, event)

    for one in (junk, twin):
        assert release(client, one, secrets=[(None, "right")], force=True).events == ()
        assert release(client, one).is_blind

    assert (stored(client, twin).envelope.quarantine or "").endswith(f", and a duplicate of {event.envelope.id}")


def test_what_the_receiver_has_verified_stays_verified(client: redis.Redis) -> None:
    """It was set aside because it could not be read; its secret may have been changed since."""
    one = set_aside()
    one = one._replace(envelope=one.envelope._replace(verified_by="raw"))
    keep_all(client, one)

    assert release(client, one, secrets=[(None, "changed")]).events == (one.envelope.id,)
    assert stored(client, one).envelope.verified_by == "raw"


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"\xff", {}, "the body cannot be read"),
        (b"[" * 100_000, {}, "the body cannot be read"),
        (b"[1]", {}, "the body cannot be read"),
        (b"[]", {}, "the body holds no record"),
        (BODY, {"Content-Encoding": "gzip"}, "the body is compressed"),
    ],
)
def test_what_cannot_be_read_stays_even_if_forced(
    client: redis.Redis, body: bytes, headers: dict[str, str], reason: str
) -> None:
    """Byte for byte; and the bytes that quarantine holds are counted with the new reason."""
    one = set_aside(body, reason="who knows")
    one = one._replace(envelope=one.envelope._replace(headers=headers))
    keep_all(client, one)

    released = release(client, one, force=True)

    assert released.events == ()
    assert (released.reason or "").startswith(reason)
    found = stored(client, one)
    assert (found.status, found.envelope.body, found.envelope.quarantine) == ("quarantined", body, released.reason)
    size = quarantine_cost(client.strlen(keys.envelope(one.envelope.id)))
    assert client.hgetall(keys.QUARANTINE) == {b"total": size, b"1001/BookingCreate": size}


def test_several_records_get_ids_that_follow_from_the_requests(client: redis.Redis) -> None:
    """More than fit into one call; a release that was cut off before its end makes the same events again."""
    body = b"[" + b",".join(b'{"Id":%d}' % number for number in range(300)) + b"]"
    one = set_aside(body)
    keep_all(client, one)
    names = [keys.envelope(one.envelope.id), keys.state(one.envelope.id)]
    before = [(name, client.dump(name) or b"") for name in names]

    first = release(client, one)

    assert len(set(first.events)) == 300
    assert first.events[0] == one.envelope.id
    assert {len(event_id) for event_id in first.events} == {ids.LENGTH}
    assert {ids.milliseconds_of(event_id) for event_id in first.events} == {ids.milliseconds_of(one.envelope.id)}
    assert stored(client, one).envelope.body == b'{"Id":0}'
    assert audit(client)["routed"] == 300
    # As if it had been killed before its last step:
    for name, dumped in before:
        client.restore(name, 0, dumped, replace=True)
    assert release(client, one).events == first.events


def test_a_duplicate_stays_and_says_of_what(client: redis.Redis) -> None:
    """The same event that arrived twice is one event, also when both were set aside."""
    twins = [set_aside(), set_aside()]
    keep_all(client, *twins)

    results = [release(client, one) for one in twins]

    assert results[0].events == (twins[0].envelope.id,)
    assert results[1] == Released(twins[1].envelope.id, (), f"a duplicate of {twins[0].envelope.id}")
    assert audit(client) == {"accepted": 2, "unrouted": 0, "quarantined": 1, "routed": 1, "expired": 0}


def test_a_released_event_is_known_when_it_arrives_again(client: redis.Redis) -> None:
    """It claims its fingerprint now."""
    one = set_aside()
    keep_all(client, one)
    release(client, one)
    again = entry(b'{"Id":7,"Name":"Ada"}')._replace(
        fingerprint=fingerprint.of(1001, "BookingCreate", canonical_record.of({"Id": 7, "Name": "Ada"})),
    )

    (receipt,) = keep_all(client, again)

    assert receipt is not None
    assert (receipt.status, receipt.id) == ("duplicate", one.envelope.id)


def test_what_is_not_quarantined_is_left_alone(client: redis.Redis) -> None:
    """Also when it was released between the look and the act."""
    one, event = set_aside(), entry()
    keep_all(client, one, event)
    seen = stored(client, one)
    release(client, one)
    table = file.parse(ROUTES, file="routes.yaml", known_actions=CODES)

    assert release(client, event).reason == "it is not quarantined"
    assert Release(client, table, (), dedup_window_ms=DAY_MS).run(seen).reason == "it is not quarantined any more"
    assert audit(client)["accepted"] == 2


@pytest.mark.parametrize("secrets", ["", "1002=right"])
def test_the_console_releases_by_the_same_rule(client: redis.Redis, secrets: str, tmp_path: Path) -> None:
    """A console without the location's secret leaves a forgery where it is, one by one or all at once."""
    one = set_aside(signed="forged", reason=f"{signature.HEADER} does not match")
    keep_all(client, one)
    table = file.parse(ROUTES, file="routes.yaml", known_actions=CODES)
    current = settings.from_environ({"FRONTDESK_WEBHOOK_SECRETS": secrets})
    desk = console._desk(
        current, client, CurrentTable(tmp_path / "routes.yaml", known_actions=CODES, data_dir=tmp_path)
    )
    tool = desk.make_release(table)

    assert not tool.would_pass(stored(client, one))
    assert "no shared secret of location 1001" in (tool.run(stored(client, one)).reason or "")
    assert stored(client, one).status == EventStatus.QUARANTINED


def test_a_release_judges_by_the_reading_that_receivers_have_learnt(client: redis.Redis) -> None:
    """What one of them refused as .NET's does not pass elsewhere; a raw signature is proof, and what is set holds."""
    body = '[{"Id":7,"Name":"José"}]'.encode()
    one = set_aside(body, signed="right", reason=f"{signature.HEADER} does not match")
    keep_all(client, one)

    assert signature_readings.share(client, {"any": "dotnet-ascii"}) == {"any": "dotnet-ascii"}
    assert signature_readings.share(client, {"any": "raw"}) == {"any": "raw"}
    assert signature_readings.share(client, {"any": "dotnet-ascii", "1002": "raw"}) == {"any": "raw", "1002": "raw"}
    client.hset(keys.READINGS, mapping={"1003": b"\xff"})

    assert "only 'raw' holds" in (release(client, one, secrets=[(None, "right")]).reason or "")
    table = file.parse(ROUTES, file="routes.yaml", known_actions=CODES)
    tool = Release(client, table, [(None, "right")], dedup_window_ms=DAY_MS, reading="dotnet-ascii")
    assert tool.run(stored(client, one)).events == (one.envelope.id,)
