"""From a request to kept events: verified, read, routed, or set aside; never refused for our faults."""

import asyncio
import hashlib
import hmac
import json
from typing import Any

import orjson
import pytest

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.ingest.delivery_plan import MatchingTable
from receiver.ingest.ingest import Arrival, Ingest, IngestResult
from receiver.ingest.request_evaluation import Policy, Request
from receiver.nexudus import actions, canonical_record, fingerprint, samples, signature
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.routing import file
from receiver.storage.model.entries import Entry, OnResult, PlannedDelivery, Receipt
from tests.receiver.web.doorkeeper import HandTable, MemoryKeeper

SECRETS = ((None, "any"), (1001, "of-1001"), (1002, "of-1002"))
SHADOWED = file.parse(
    'routes: [{action: "*", handler: log, name: watching, shadow: true}, {action: "*", handler: log}]',
    file="routes.yaml",
    known_actions=actions.NAMES,
)
BODY = b'[{"Id":5,"FullName":"Jose"}]'


def _signed(secret: str, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _accept(request: Request, *, table: HandTable | None = None, **policy: Any) -> tuple[list[Receipt], list[Entry]]:
    keeper = MemoryKeeper()
    ingest = Ingest(keeper, lambda: table, Policy(**policy), IngestMetrics(actions.NAMES))
    (accepted,) = _outcomes(ingest, request)
    if isinstance(accepted, Exception):
        raise accepted
    return accepted, keeper.entries


def _outcomes(ingest: Ingest, request: Request) -> list[IngestResult]:
    outcomes: list[IngestResult] = []
    ingest.take([Arrival(request, outcomes.append)])
    return outcomes


def test_an_event_is_tagged_and_routed() -> None:
    """Action, number, location, entity, table, deliveries, fingerprint, window."""
    receipts, (entry,) = _accept(Request(1001, "BookingCreate", BODY), table=HandTable())

    envelope = entry.envelope
    assert receipts == [Receipt(envelope.id, "accepted")]
    assert (envelope.action, envelope.action_code, envelope.business_id) == ("BookingCreate", 6, 1001)
    assert (envelope.body, envelope.entity, envelope.origin) == (BODY[1:-1], "Booking:5", "webhook")
    assert (envelope.verified_by, envelope.quarantine, envelope.routes) == (None, None, HandTable.hash)
    assert entry.wanted == (PlannedDelivery("announce", "default", 30_000), PlannedDelivery("mirror", "bulk", 60_000))
    parsed = canonical_record.of({"Id": 5, "FullName": "Jose"})
    assert entry.fingerprint == fingerprint.of(1001, "BookingCreate", parsed) + b"h"
    assert entry.window_ms == 86_400_000


@pytest.mark.parametrize("action", samples.names())
def test_a_body_is_parsed_once(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signature, fingerprint, routes and envelope share one reading of what Nexudus sends."""
    parsed = []

    def loads(text: bytes, **_: object) -> Any:
        parsed.append(text)
        return parse(text)

    parse = orjson.loads
    body = samples.body(action, now=samples.WRITTEN, number=1)
    monkeypatch.setattr(orjson, "loads", loads)
    monkeypatch.setattr(json, "loads", loads)
    _, (entry,) = _accept(Request(1001, action, body, _signed("any", body)), table=HandTable(), secrets=SECRETS)

    assert (parsed, entry.envelope.quarantine) == ([body], None)


def test_an_action_of_tomorrow_is_taken_as_a_name() -> None:
    """Without a number."""
    _, (entry,) = _accept(Request(1001, "RobotCreate", BODY))

    assert (entry.envelope.action, entry.envelope.action_code, entry.envelope.entity) == (
        "RobotCreate",
        None,
        "Robot:5",
    )


def test_without_a_table_events_are_kept_unrouted() -> None:
    """Wrong routes never stop the receiver."""
    _, (entry,) = _accept(Request(1001, "BookingCreate", BODY), table=None)

    assert (entry.envelope.routes, entry.wanted) == ("", ())


def test_what_repeats_itself_has_a_short_window() -> None:
    """AccessControlUpdate: a minute."""
    _, (entry,) = _accept(Request(1001, "AccessControlUpdate", BODY))

    assert entry.window_ms == 60_000


def test_records_of_one_body_are_events_of_their_own() -> None:
    """Ids ascend in their order."""
    receipts, entries = _accept(Request(1001, "BookingCreate", b'[{"Id":1},{"Id":2},{"Id":3}]'))

    assert [receipt.id for receipt in receipts] == sorted(entry.envelope.id for entry in entries)
    assert [entry.envelope.body for entry in entries] == [b'{"Id":1}', b'{"Id":2}', b'{"Id":3}']


@pytest.mark.parametrize(
    ("business_id", "signature", "verified_by"),
    [
        pytest.param(1001, _signed("any"), "raw", id="any"),
        pytest.param(1001, _signed("of-1001").upper(), "raw", id="own"),
        pytest.param(1001, _signed("of-1002"), None, id="of-another-location"),
        pytest.param(1002, _signed("of-1001"), None, id="of-another-location-too"),
        pytest.param(9, _signed("any"), "raw", id="any-for-a-new-location"),
        pytest.param(9, _signed("of-1001"), None, id="of-another-for-a-new-location"),
        pytest.param(1001, "", None, id="empty"),
        pytest.param(1001, None, None, id="missing"),
    ],
)
def test_a_secret_opens_its_own_location_only(business_id: int, signature: str | None, verified_by: str | None) -> None:
    """And what does not match is set aside whole, with what a later check needs."""
    request = Request(business_id, "BookingCreate", BODY, signature, "application/json")

    receipts, (entry,) = _accept(request, secrets=SECRETS, table=HandTable())

    if verified_by:
        assert (receipts[0].status, entry.envelope.verified_by) == ("accepted", verified_by)
        return
    assert receipts[0].status == "quarantined"
    assert (entry.envelope.body, entry.fingerprint, entry.wanted) == (BODY, None, ())
    expected = {"Content-Type": "application/json"}
    if signature is not None:
        expected["X-Nexudus-Hook-Signature"] = signature
    assert entry.envelope.headers == expected
    wrong = "does not match" if signature else "is missing"
    assert entry.envelope.quarantine == f"X-Nexudus-Hook-Signature {wrong}"


def test_a_location_without_a_secret_is_not_asked_for_one() -> None:
    """Secrets of other locations say nothing about it."""
    receipts, _ = _accept(Request(7, "BookingCreate", BODY), secrets=((1001, "s"),))

    assert receipts[0].status == "accepted"


@pytest.mark.parametrize("signature", [None, "AB" * 32])
def test_under_reject_a_bad_signature_is_refused(signature: str | None) -> None:
    """401, and nothing is kept."""
    with pytest.raises(RequestRefused, match="X-Nexudus-Hook-Signature") as caught:
        _accept(Request(1001, "BookingCreate", BODY, signature), secrets=SECRETS, on_bad_signature="reject")

    assert caught.value.status == 401


def test_under_reject_what_cannot_be_read_is_still_set_aside() -> None:
    """Only the signature is a reason to refuse."""
    request = Request(1001, "BookingCreate", b"{", _signed("any", b"{"))

    receipts, (entry,) = _accept(request, secrets=SECRETS, on_bad_signature="reject")

    assert receipts[0].status == "quarantined"
    assert entry.envelope.verified_by == "raw"
    assert (entry.envelope.quarantine or "").startswith("the body cannot be read: not JSON")


@pytest.mark.parametrize(("encoding", "status"), [("gzip", "quarantined"), ("Identity", "accepted"), ("", "accepted")])
def test_a_compressed_body_is_set_aside(encoding: str, status: str) -> None:
    """Nexudus sends plain JSON; the encoding is kept for a later check."""
    receipts, (entry,) = _accept(Request(1001, "BookingCreate", BODY, content_encoding=encoding))

    assert receipts[0].status == status
    if status == "quarantined":
        assert entry.envelope.headers == {"Content-Encoding": "gzip"}


def test_headers_kept_for_later_are_bounded() -> None:
    """A header may have tens of kilobytes."""
    _, (entry,) = _accept(Request(1001, "BookingCreate", b"{", "A" * 60_000), secrets=SECRETS)

    assert len(entry.envelope.headers["X-Nexudus-Hook-Signature"]) == 512


def test_a_fault_of_ours_sets_the_request_aside(capfd: pytest.CaptureFixture[str]) -> None:
    """It is kept, the log says where it happened, and neither tells of the payload."""
    receipts, (entry,) = _accept(Request(1001, "Broken", BODY), table=HandTable())

    assert receipts[0].status == "quarantined"
    assert entry.envelope.quarantine == "Frontdesk failed to read it (RuntimeError); see the log"
    assert entry.envelope.body == BODY
    assert "Jose" not in "".join(capfd.readouterr())


class _FaultyKeeper(MemoryKeeper):
    """Fails itself on one action."""

    def submit(self, entry: Entry, on_result: OnResult, context: Any = None) -> None:
        if entry.envelope.action == "Faulty":
            raise KeyError("ours")
        super().submit(entry, on_result, context)


def test_requests_of_one_turn_are_answered_each_for_itself() -> None:
    """In their order; whatever is wrong with one of them, or goes wrong with it, is that one's alone."""
    keeper = _FaultyKeeper()
    ingest = Ingest(keeper, lambda: None, Policy(secrets=SECRETS), IngestMetrics(actions.NAMES))
    requests = [
        Request(1001, "BookingCreate", BODY, _signed("any")),
        Request(1001, "BookingCreate", BODY, "0" * 64),
        Request(1001, "BookingUpdate", b"{", _signed("any", b"{")),
        Request(1001, "BookingDelete", b"[]", _signed("any", b"[]")),
        Request(1001, "Faulty", BODY, _signed("any")),
        Request(1001, "BookingUpdate", b'[{"Id":1},{"Id":2}]', _signed("any", b'[{"Id":1},{"Id":2}]')),
        Request(1001, "BookingCreate", BODY, _signed("any")),
    ]

    async def run() -> list[IngestResult]:
        loop = asyncio.get_running_loop()
        outcomes: list[asyncio.Future[IngestResult]] = [loop.create_future() for _ in requests]
        for request, outcome in zip(requests, outcomes, strict=True):
            ingest.accept(request, outcome.set_result)
        assert keeper.entries == [], "they are taken in together, after this turn"
        return await asyncio.wait_for(asyncio.gather(*outcomes), 10)

    outcomes = asyncio.run(run())

    told = [str(one) if isinstance(one, Exception) else [receipt.status for receipt in one] for one in outcomes]
    assert told == [
        *(["accepted"], ["quarantined"], ["quarantined"], [], "KeyError"),
        *(["accepted", "accepted"], ["duplicate"]),
    ]
    assert [entry.envelope.action for entry in keeper.entries] == [
        *("BookingCreate", "BookingCreate", "BookingUpdate", "BookingUpdate", "BookingUpdate"),
    ]


def test_a_where_that_fails_is_counted() -> None:
    """By the route that it belongs to."""
    metrics = IngestMetrics(actions.NAMES)
    table = HandTable()

    _outcomes(Ingest(MemoryKeeper(), lambda: table, Policy(), metrics), Request(1, "CoworkerInvoicePaid", BODY))

    assert b'frontdesk_routing_where_failed_total{route="dear"} 1.0' in metrics.exposition()


@pytest.mark.parametrize("body", [BODY, b'[{"Id":1},{"Id":2}]'])
def test_what_the_keeper_raises_goes_on(body: bytes) -> None:
    """The door answers 503."""
    with pytest.raises(StorageUnavailable, match="away"):
        _accept(Request(1001, "Unavailable", body))


def test_what_a_route_in_the_shadow_wants_is_noted() -> None:
    """Behind the deliveries, without a queue: it is kept and none is made."""
    keeper = MemoryKeeper()
    ingest = Ingest(keeper, lambda: SHADOWED, Policy(), IngestMetrics(actions.NAMES))

    _outcomes(ingest, Request(1001, "BookingCreate", BODY))

    assert keeper.entries[0].wanted == (PlannedDelivery("log", "default", 30_000), PlannedDelivery("watching"))


FOREIGN, ALIKE = '[{"Id":5,"FullName":"José"}]'.encode(), '[{"Id":6,"FullName":"Zoë?"}]'.encode()


def _ingest(**policy: Any) -> Ingest:
    return Ingest(MemoryKeeper(), lambda: None, Policy(**policy), IngestMetrics(actions.NAMES))


def _status(ingest: Ingest, body: bytes, header: str, business_id: int = 1001) -> str:
    (accepted,) = _outcomes(ingest, Request(business_id, "BookingCreate", body, header))
    if isinstance(accepted, RequestRefused):
        return str(accepted.status)
    assert isinstance(accepted, list)
    return accepted[0].status


def _dotnet(body: bytes, secret: str = "any") -> str:
    return signature.sign(body, secret)


def test_a_secret_that_was_seen_to_sign_raw_has_no_other_reading() -> None:
    """A captured signature of `Zo??` opens no other text then; each scope of secrets learns for itself."""
    ingest = _ingest(secrets=SECRETS)
    captured = _signed("any", b'[{"Id":6,"FullName":"Zo??"}]')

    assert _status(ingest, FOREIGN, _signed("any", FOREIGN)) == "accepted"
    assert _status(ingest, ALIKE, captured) == "quarantined"
    assert _status(ingest, ALIKE, captured, business_id=1002) == "quarantined", "the secret for any location"
    assert _status(ingest, ALIKE, _dotnet(ALIKE, "of-1001")) == "accepted", "it has shown nothing yet"
    assert ingest.verifier.learnt == {"any": "raw", "1001": "dotnet-ascii"}


def test_a_secret_known_as_dotnets_that_signs_raw_is_known_as_raw_from_then_on() -> None:
    """Whoever teaches the .NET reading by a captured signature costs us one request that is set aside."""
    ingest = _ingest(secrets=SECRETS)

    assert _status(ingest, FOREIGN, _dotnet(FOREIGN)) == "accepted"
    assert _status(ingest, ALIKE, _signed("any", ALIKE)) == "quarantined"
    assert _status(ingest, ALIKE, _signed("any", ALIKE)) == "accepted"
    assert _status(ingest, ALIKE.replace(b"6", b"7"), _dotnet(ALIKE.replace(b"6", b"7"))) == "quarantined"


def test_a_body_in_ascii_teaches_nothing() -> None:
    """Both readings of it are one, under whatever is set."""
    ingest = _ingest(secrets=SECRETS)

    assert _status(ingest, BODY, _signed("any")) == "accepted"
    assert ingest.verifier.learnt == {}
    for reading in ("raw", "dotnet-ascii"):
        assert _status(_ingest(secrets=SECRETS, reading=reading), BODY, _signed("any")) == "accepted"


@pytest.mark.parametrize(
    ("reading", "raw", "dotnet"), [("raw", "accepted", "401"), ("dotnet-ascii", "401", "accepted")]
)
def test_the_reading_that_is_set_is_the_only_one(reading: str, raw: str, dotnet: str) -> None:
    """However often the other one comes."""
    ingest = _ingest(secrets=SECRETS, reading=reading, on_bad_signature="reject")

    for body in (FOREIGN, ALIKE):
        assert _status(ingest, body, _signed("any", body)) == raw
    for body in (FOREIGN.replace(b"5", b"8"), ALIKE.replace(b"6", b"9")):
        assert _status(ingest, body, _dotnet(body)) == dotnet


def test_what_a_hook_is_planned_by_follows_the_routes() -> None:
    """A table that takes the place of another is used from the next event on, and the other way round."""
    keeper = MemoryKeeper()
    tables: list[MatchingTable | None] = [HandTable(), SHADOWED, None, HandTable()]
    ingest = Ingest(keeper, lambda: tables[0], Policy(), IngestMetrics(actions.NAMES))

    for number in range(4):
        _outcomes(ingest, Request(1001, "BookingCreate", b'{"Id":%d}' % number))
        tables.append(tables.pop(0))

    assert [[one.route for one in entry.wanted] for entry in keeper.entries] == [
        ["announce", "mirror"],
        ["log", "watching"],
        [],
        ["announce", "mirror"],
    ]
    assert [entry.envelope.routes for entry in keeper.entries] == [HandTable.hash, SHADOWED.hash, "", HandTable.hash]


def test_the_reading_that_matched_last_is_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """That saves a digest of every body that is not ASCII, once a secret has shown how it signs."""
    ingest = _ingest(secrets=((None, "any"),))
    digests: list[bytes] = []

    def digest(key: bytes, body: bytes) -> bytes:
        digests.append(body)
        return hmac.digest(key, body, "sha256")

    monkeypatch.setattr(signature, "_digest", digest)

    assert _status(ingest, FOREIGN, _dotnet(FOREIGN)) == "accepted"
    first = len(digests)
    digests.clear()
    assert _status(ingest, ALIKE, _dotnet(ALIKE)) == "accepted"

    assert (first, len(digests)) == (3, 2), "one of them is the signer's own"
