"""What happens at the simulated Nexudus: each action changes records as they say, and entails what belongs to it."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from receiver.nexudus import actions
from receiver.simulator.account import kinds, life, views
from receiver.simulator.account.record_store import Records
from receiver.simulator.account.refusals import Unknown
from receiver.simulator.account.scene import Happening, Order
from receiver.simulator.faults import Knobs

NOW = datetime(2026, 3, 1, 12, 0, 30, 500_000, tzinfo=UTC)
NIGHT = NOW - timedelta(hours=8)


@pytest.fixture
def records() -> Records:
    """An account with three locations."""
    return Records({1001: "One", 1002: "Two", 1003: "Three"}, NOW, Knobs())


def _happen(records: Records, action: str, business_id: int = 1002, number: int | None = None) -> list[Happening]:
    return life.happen(records, Order(action, business_id, NIGHT, number))


@pytest.mark.parametrize("action", actions.NAMES)
def test_every_action_happens_at_its_location(records: Records, action: str) -> None:
    """With a record of the right kind, which says so where records of its kind say it."""
    happened = _happen(records, action)

    assert {one.business_id for one in happened} == {1002}
    (one,) = [one for one in happened if one.action == action]
    assert one.kind == actions.entity_kind(action)
    field = kinds.KINDS[one.kind].business
    assert not field or one.record[field] == 1002


@pytest.mark.parametrize("kind", [kind for kind in kinds.KINDS.values() if kind.created])
def test_what_is_created_is_created_then(records: Records, kind: kinds.Kind) -> None:
    """Its two times are equal to the tick, as a hook carries them; the API cuts them to the second."""
    (one, *_) = _happen(records, kind.created)

    living = records.find(kind.name, one.record["Id"])
    assert one.record["CreatedOn"] == one.record["UpdatedOn"] == "2026-03-01T04:00:30.5000007Z"
    assert views.whole(living)["CreatedOn"] == "2026-03-01T04:00:30Z"
    assert one.record["UniqueId"] != next(iter(records.at(kind.name, 1001).values())).record["UniqueId"]


@pytest.mark.parametrize("kind", [kind for kind in kinds.KINDS.values() if kind.updated])
def test_an_update_moves_one_time_only(records: Records, kind: kinds.Kind) -> None:
    """It happens to a record that was there before, and changes something."""
    before = {living.id: living.record for living in records.of(kind.name).values()}

    (one,) = _happen(records, kind.updated)

    was = before[one.record["Id"]]
    assert (one.record["CreatedOn"], one.record["UpdatedOn"]) == (was["CreatedOn"], views.stamp(NIGHT))
    assert {name for name, value in one.record.items() if was[name] != value} > {"UpdatedOn"}


@pytest.mark.parametrize("kind", [kind for kind in kinds.KINDS.values() if kind.deleted])
def test_a_delete_leaves_an_entry_of_the_audited_kinds_alone(records: Records, kind: kinds.Kind) -> None:
    """Type 3, with the number of what is gone."""
    (one,) = _happen(records, kind.deleted)

    with pytest.raises(Unknown):
        records.find(kind.name, one.record["Id"])
    entries = [living.record for living in records.of("AuditTrailEntry").values()]
    left = [(entry["EntityShortName"], entry["EntityId"], entry["AuditType"]) for entry in entries]
    assert left == ([(kind.name, one.record["Id"], 3)] if kind.audited else [])


def test_a_cancelled_booking_leaves_a_snapshot(records: Records) -> None:
    """With the number of the booking as a text."""
    (one,) = _happen(records, "BookingDelete")

    (snapshot,) = records.at("CancelledBooking", 1002).values()
    assert snapshot.record["OriginalBookingId"] == str(one.record["Id"])
    assert snapshot.record["CancelledOn"] == views.stamp(NIGHT)
    assert snapshot.record["ResourceId"] == one.record["ResourceId"]
    assert snapshot.id != one.record["Id"]


@pytest.mark.parametrize(
    ("action", "entailed"),
    [
        ("CoworkerContractActivate", {"CoworkerContractUpdate"}),
        ("CoworkerContractCancel", {"CoworkerContractUpdate"}),
        ("CoworkerContractRenew", set()),
        ("CoworkerInvoiceCreateFirst", {"CoworkerInvoiceCreate"}),
        ("CoworkerInvoicePaid", {"CoworkerInvoiceReceivedPayment", "CoworkerInvoiceLedgerEntryCreate"}),
        ("CoworkerInvoiceReceivedPayment", {"CoworkerInvoiceLedgerEntryCreate"}),
        ("CoworkerInvoiceRefund", set()),
        ("CoworkerCheckin", {"CheckinCreated"}),
        ("CoworkerCheckout", {"CheckinUpdated"}),
        ("VisitorCheckedin", set()),
    ],
)
def test_an_event_brings_what_belongs_to_it(records: Records, action: str, entailed: set[str]) -> None:
    """And nothing else: what the records then say is what happened."""
    assert {one.action for one in _happen(records, action)} == entailed | {action}


def test_an_upgrade_ends_one_contract_and_begins_another(records: Records) -> None:
    """The history of price plans names both."""
    happened = _happen(records, "CoworkerContractUpgradeDowngrade")

    (history,) = records.of("CoworkerPricePlanHistory").values()
    of = {one.action: one.record for one in happened}
    assert history.record["OldContractUniqueId"] == of["CoworkerContractCancel"]["UniqueId"]
    assert history.record["NewContractUniqueId"] == of["CoworkerContractUpgradeDowngrade"]["UniqueId"]
    assert history.record["CreatedOn"] == views.stamp(NIGHT)


@pytest.mark.parametrize("action", ["CoworkerInvoicePaid", "CoworkerInvoiceRefund", "CoworkerContractRenew"])
def test_money_does_not_move_the_time_of_the_update(records: Records, action: str) -> None:
    """The audit trail tells of it all the same."""
    one = _happen(records, action)[-1]

    assert one.record["UpdatedOn"] < views.stamp(NIGHT)
    told = {living.record["PropertyName"] for living in records.of("AuditTrailEntry").values()}
    assert told & {"Paid", "Refunded", "RenewalDate"}


@pytest.mark.parametrize(
    ("action", "text", "is_problem"),
    [
        ("CoworkerInvoiceFailedPayment", "FAILED:", True),
        ("CoworkerInvoiceAwaitingPayment", "AWAITING:", False),
    ],
)
def test_payments_leave_their_history(records: Records, action: str, text: str, is_problem: bool) -> None:
    """Under the name that Nexudus gives to results of payments."""
    (one,) = _happen(records, action)

    (entry,) = records.of("CoworkerInvoiceHistory").values()
    said = entry.record
    assert (said["Name"], said["Description"].startswith(text), said["IsProblem"]) == (
        "Payment Result",
        True,
        is_problem,
    )
    assert (said["CoworkerInvoiceId"], said["CoworkerInvoiceBusinessId"]) == (one.record["Id"], 1002)


def test_what_a_record_names_is_of_its_location(records: Records) -> None:
    """Its resource, its customer, its message."""
    (booking,) = _happen(records, "BookingCreate", 1003)
    (comment,) = _happen(records, "HelpDeskCommentCreated", 1003)

    resource = records.find("Resource", booking.record["ResourceId"])
    assert (resource.business_id, resource.record["Name"]) == (1003, booking.record["ResourceName"])
    customer = records.find("Coworker", booking.record["CoworkerId"])
    assert (customer.business_id, customer.record["FullName"]) == (1003, booking.record["CoworkerFullName"])
    assert records.find("HelpDeskMessage", comment.record["HelpDeskMessageId"]).business_id == 1003


def test_the_order_chooses_the_record_its_time_and_its_fields(records: Records) -> None:
    """One that is not there is unknown."""
    number = next(iter(records.at("Booking", 1001)))

    (one,) = life.happen(records, Order("BookingUpdate", 1001, NIGHT, number, {"Notes": "Later"}))

    assert (one.record["Id"], one.record["Notes"], one.at) == (number, "Later", NIGHT)
    with pytest.raises(Unknown):
        _happen(records, "BookingUpdate", number=5)


def test_what_has_to_be_there_was_there_all_along(records: Records) -> None:
    """No window of today shows it as new."""
    for living in list(records.at("Team", 1002).values()):
        records.vanish(living)

    (one,) = _happen(records, "TeamUpdated")

    assert one.record["CreatedOn"] < views.stamp(NIGHT - timedelta(days=30))


def test_a_kind_does_not_grow_without_bound() -> None:
    """The one left alone for longest is forgotten, without a trace."""
    records = Records({1001: "One"}, NOW, Knobs(most_records=100))

    made = [_happen(records, "TeamCreated", 1001)[0].record["Id"] for _ in range(150)]

    assert list(records.of("Team")) == made[50:]
    assert len(records.of("AuditTrailEntry")) == 100


def test_a_body_spells_numbers_as_nexudus_does(records: Records) -> None:
    """And counts the minutes to the start from the moment of the event; it is the record."""
    (one,) = _happen(records, "BookingCreate")
    body = kinds.body("Booking", one.record, one.at)

    (read,) = orjson.loads(body)
    assert b'"DiscountAmount":0.09000,' in body
    assert read["MinutesToStart"] == pytest.approx(119, abs=16)
    assert {name for name, value in read.items() if one.record[name] != value} <= {"MinutesToStart"}
