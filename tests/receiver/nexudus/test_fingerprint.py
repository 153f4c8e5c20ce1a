"""A retry is the same event although its body was built anew; everything else is another event."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from receiver.nexudus import canonical_record, fingerprint, samples

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


def _of(business_id: int, action: str, record: dict[str, Any]) -> bytes:
    return fingerprint.of(business_id, action, canonical_record.of(record))


def _booking(**changes: Any) -> dict[str, Any]:
    return samples.record("BookingCreate", now=NOW, number=1) | changes


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"MinutesToStart": 3}, id="clock"),
        pytest.param({"EstimatedCost": None, "EstimagedCost": 12.5, "AvailableCredit": 4}, id="worked-out"),
        pytest.param({"UpdatedOn": "2026-05-04T10:00:00Z"}, id="no-ticks"),
        pytest.param({"UpdatedOn": "2026-05-04T10:00:00.1Z", "CreatedOn": "2026-05-04T10:00:00.1234567Z"}, id="ticks"),
    ],
)
def test_a_body_built_anew_is_the_same_event(changes: dict[str, Any]) -> None:
    """Volatile fields and fractions of seconds do not count."""
    first = _booking(UpdatedOn="2026-05-04T10:00:00.5515198Z", CreatedOn="2026-05-04T10:00:00.77Z")

    assert _of(1, "BookingCreate", first | changes) == _of(1, "BookingCreate", first)


def test_the_order_of_the_fields_does_not_count() -> None:
    """A record is the same however it is spelled."""
    record = _booking()

    assert _of(1, "A", dict(reversed(record.items()))) == _of(1, "A", record)


@pytest.mark.parametrize(
    ("business_id", "action", "changes"),
    [
        pytest.param(2, "BookingCreate", {}, id="business"),
        pytest.param(1, "BookingUpdate", {}, id="action"),
        pytest.param(1, "BookingCreate", {"Id": 5}, id="entity"),
        pytest.param(1, "BookingCreate", {"UpdatedOn": "2026-05-04T10:00:01Z"}, id="second"),
        pytest.param(1, "BookingCreate", {"CoworkerInvoicePaid": True}, id="paid-with-the-same-UpdatedOn"),
        pytest.param(1, "BookingCreate", {"Notes": "1.25"}, id="a-number-in-a-text"),
        pytest.param(1, "BookingCreate", {"Nested": {"MinutesToStart": 3}}, id="a-volatile-name-deeper-down"),
    ],
)
def test_anything_else_is_another_event(business_id: int, action: str, changes: dict[str, Any]) -> None:
    """A field too many left out would lose an event."""
    record = _booking(UpdatedOn="2026-05-04T10:00:00Z", Notes="1.24")

    assert _of(business_id, action, record | changes) != _of(1, "BookingCreate", record)


def test_a_fingerprint_is_16_bytes_and_leaves_the_record_alone() -> None:
    """The record goes on to the routes."""
    record = _booking()
    before = dict(record)

    assert len(_of(1, "BookingCreate", record)) == 16
    assert record == before


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("BookingCreate", 86_400_000),
        ("AccessControlUpdate", 60_000),
        ("SendWelcomeEmail", 60_000),
        ("Robot", 86_400_000),
    ],
)
def test_what_repeats_itself_is_a_duplicate_for_a_minute(action: str, expected: int) -> None:
    """AccessControlUpdate fires again and again with an unchanged customer."""
    assert fingerprint.window_ms(action, 86_400_000) == expected
    assert fingerprint.window_ms(action, 5_000) == 5_000


@pytest.mark.parametrize(
    ("action", "record", "expected"),
    [
        ("BookingCreate", {"Id": 1418686279}, "Booking:1418686279"),
        ("AccessControlUpdate", {"Id": 7}, "Coworker:7"),
        ("RobotCreate", {"Id": 7}, "Robot:7"),
        ("BookingCreate", {}, None),
        ("BookingCreate", {"Id": None}, None),
        ("BookingCreate", {"Id": True}, None),
        ("BookingCreate", {"Id": "7"}, None),
        ("BookingCreate", {"Id": 1e30}, None),
    ],
)
def test_an_entity_is_a_kind_and_a_number(action: str, record: dict[str, Any], expected: str | None) -> None:
    """What ordering and "superseded" go by; a record without an Id has none."""
    assert fingerprint.entity(action, record) == expected


def test_two_samples_are_two_events() -> None:
    """Each sample has its own Id."""
    later = NOW + timedelta(milliseconds=400)
    one = samples.record("BookingCreate", now=NOW, number=1)

    assert _of(1, "A", one) == _of(1, "A", samples.record("BookingCreate", now=later, number=1))
    assert _of(1, "A", one) != _of(1, "A", samples.record("BookingCreate", now=NOW, number=2))


@pytest.mark.parametrize("record", [{}, {"Id": 1}, {"MinutesToStart": 3}, {"Id": 1, "MinutesToStart": 3}])
def test_few_names_are_a_record_too(record: dict[str, Any]) -> None:
    """None, one, only volatile ones; and each is another event than its neighbour."""
    assert _of(1, "A", record) == _of(1, "A", dict(record))
    assert _of(1, "A", record) != _of(1, "A", record | {"Name": 1})
    assert _of(1, "A", {"Name": 1}) != _of(1, "A", {"Nome": 1}), "values are compared under their names"
