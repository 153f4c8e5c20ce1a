"""Records of the simulated Nexudus as its API has them: searched by ranges, read whole, several at once, written."""

from datetime import UTC, datetime, timedelta

import pytest

from receiver.nexudus import samples
from receiver.simulator.account import life
from receiver.simulator.account.entity_views import EntityViews
from receiver.simulator.account.record_store import Records
from receiver.simulator.account.refusals import Invalid, Unknown
from receiver.simulator.account.scene import Order
from receiver.simulator.faults import Knobs

NOW = datetime(2026, 3, 1, 12, 0, 30, 500_000, tzinfo=UTC)
PLACES = {1001: "One", 1002: "Two", 1003: "Three"}


@pytest.fixture
def records() -> Records:
    """An account with three locations."""
    return Records(PLACES, NOW, Knobs())


@pytest.fixture
def entities(records: Records) -> EntityViews:
    """Its API."""
    return EntityViews(records, NOW)


def _found(entities: EntityViews, path: str, **filters: str) -> list[int]:
    return [living.id for living in entities.search(path, filters)]


def test_a_number_that_was_never_given_is_always_the_same_record(entities: EntityViews) -> None:
    """And a customer whom a sample names is that customer."""
    booking = samples.record("BookingCreate", now=NOW, number=3)

    customer = entities.get("spaces/coworkers", booking["CoworkerId"])

    assert entities.get("spaces/bookings", 1_400_000_003) == entities.get("spaces/bookings", 1_400_000_003)
    assert (customer["Id"], customer["FullName"]) == (booking["CoworkerId"], booking["CoworkerFullName"])


def test_what_is_written_is_found_again_and_happens(entities: EntityViews) -> None:
    """Created, replaced (what is not sent is cleared), deleted; or only pretended to be."""
    made, created = entities.create("spaces/coworkers", {"FullName": "Ada", "Id": 1, "InvoicingBusinessId": 1003}, NOW)
    number = made["Id"]

    assert [(one.action, one.business_id) for one in created] == [("CoworkerCreate", 1003)]
    assert entities.get("spaces/coworkers", number)["FullName"] == "Ada"
    later = NOW + timedelta(hours=1)
    _, updated = entities.update("spaces/coworkers", {"Id": number, "FullName": "Grace"}, later)
    replaced = entities.get("spaces/coworkers", number)
    assert (replaced["FullName"], replaced["Email"]) == ("Grace", None)
    assert (replaced["CreatedOn"], replaced["UpdatedOn"]) == ("2026-03-01T12:00:30Z", "2026-03-01T13:00:30Z")
    entities.delete("spaces/coworkers", number, later, lose=True)
    assert _found(entities, "spaces/coworkers", coworker_fullname="grace") == [number]
    _, deleted = entities.delete("spaces/coworkers", number, later)
    assert _found(entities, "spaces/coworkers", Coworker_FullName="grace") == []
    assert [one.action for one in (*updated, *deleted)] == ["CoworkerUpdate", "CoworkerDelete"]
    with pytest.raises(Unknown):
        entities.get("spaces/coworkers", number)


def test_what_is_deleted_is_gone_whatever_its_number(entities: EntityViews) -> None:
    """The people of the samples too, and samples."""
    for path, number in (("spaces/coworkers", 1_409_384_711), ("spaces/bookings", 8)):
        entities.delete(path, number, NOW)
        with pytest.raises(Unknown):
            entities.get(path, number)
        assert entities.batch(path, [number]) == []


def test_what_there_is_not_is_unknown(entities: EntityViews) -> None:
    """Other paths, numbers that none can have; and a record without its number is invalid."""
    for path, number in (("spaces/nonsense", 1), ("spaces/coworkers", 0), ("", 1), ("sys/audittrailentries", 1)):
        with pytest.raises(Unknown):
            entities.get(path, number)
    with pytest.raises(Unknown):
        entities.search("spaces/nonsense", {})
    with pytest.raises(Invalid, match="Id: is a required field"):
        entities.update("spaces/coworkers", {"FullName": "Ada"}, NOW)


@pytest.mark.parametrize(
    ("path", "sent", "wrong"),
    [
        ("spaces/coworkers", {"FullName": 7}, "FullName: has a wrong type"),
        ("spaces/coworkers", {"Active": 1}, "Active: has a wrong type"),
        ("spaces/bookings", {"ResourceId": True}, "ResourceId: has a wrong type"),
        ("sys/audittrailentries", {}, "Id: cannot be written"),
    ],
)
def test_what_does_not_fit_is_refused(entities: EntityViews, path: str, sent: dict[str, object], wrong: str) -> None:
    """By its type; and some records only Nexudus makes."""
    with pytest.raises(Invalid, match=wrong):
        entities.create(path, sent, NOW)


def test_each_location_begins_with_records_of_the_months_before(entities: EntityViews) -> None:
    """Rows are partial; a filter that is not known is ignored."""
    everyone = _found(entities, "spaces/coworkers")

    assert len(everyone) == 9
    assert _found(entities, "spaces/coworkers", Coworker_ShoeSize="43", UpdatedSince="x") == everyone
    assert len(_found(entities, "spaces/coworkers", Coworker_InvoicingBusiness="1002")) == 3
    assert len(_found(entities, "spaces/bookings", Booking_Resource_Business="1003")) == 3
    assert _found(entities, "spaces/coworkers", from_Coworker_CreatedOn="2026-02-27T00:00") == []
    assert [living.record["Name"] for living in entities.search("sys/businesses", {})] == list(PLACES.values())


def test_ranges_are_inclusive_in_utc_by_the_minute_or_second(entities: EntityViews, records: Records) -> None:
    """Whatever the case of their names; a bound of a minute is its first second."""
    (made,) = life.happen(records, Order("BookingCreate", 1001, NOW))
    number = made.record["Id"]

    for bounds, is_in in {
        ("2026-03-01T12:00", "2026-03-01T12:01"): True,
        ("2026-03-01T12:00:30", "2026-03-01T12:00:30"): True,
        ("2026-03-01T12:00:30Z", "2026-03-01T12:00:30Z"): True,
        ("2026-03-01T14:00:30+02:00", "2026-03-01T14:00:30+02:00"): True,
        ("2026-03-01T12:00", "2026-03-01T12:00"): False,
        ("2026-03-01T12:00:31", "2026-03-01T12:01"): False,
        ("nonsense", "9999-12-31T23:59:59-14:00"): True,
    }.items():
        found = _found(entities, "spaces/bookings", from_booking_updatedOn=bounds[0], TO_Booking_UpdatedOn=bounds[1])
        assert (number in found) is is_in, bounds


def test_several_at_once_are_whole_but_for_customers(entities: EntityViews, records: Records) -> None:
    """And what is not there is left out."""
    (team,) = life.happen(records, Order("TeamCreated", 1001, NOW))
    (customer,) = life.happen(records, Order("CoworkerCreate", 1001, NOW))

    (whole,) = entities.batch("spaces/teams", [team.record["Id"], 5])
    (partial,) = entities.batch("spaces/coworkers", [customer.record["Id"]])

    assert "TeamMembers" in whole
    assert "Businesses" not in partial
    assert whole == entities.get("spaces/teams", team.record["Id"])


def test_the_audit_trail_hides_what_it_is_about_in_its_rows(entities: EntityViews, records: Records) -> None:
    """EntityId and OldValue take a second call."""
    (visit,) = life.happen(records, Order("VisitorNotification", 1002, NOW))
    filters = {"AuditTrailEntry_EntityShortName": "Visitor", "AuditTrailEntry_AuditType": "2"}

    (entry,) = entities.search("sys/audittrailentries", filters | {"AuditTrailEntry_PropertyName": "Notified"})

    (whole,) = entities.batch("sys/audittrailentries", [entry.id])
    assert (whole["EntityId"], whole["OldValue"], whole["NewValue"]) == (visit.record["Id"], "False", "True")
    assert whole["BusinessId"] == 1002


def test_a_search_is_fresh_after_each_change(entities: EntityViews, records: Records) -> None:
    """Though pages of one search are cut from one list. Without an order, what was touched last comes last."""
    before = _found(entities, "spaces/teams")
    life.happen(records, Order("TeamUpdated", 1001, NOW, number=before[0]))

    assert _found(entities, "spaces/teams") == [*before[1:], before[0]]
    assert _found(entities, "spaces/teams", orderBy="Id") == sorted(before)
