"""Samples have the shape of what Nexudus really sends."""

import re
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from receiver.nexudus import actions, payload, samples

NOW = datetime(2027, 1, 31, 12, 7, 3, 500_000, tzinfo=UTC)

TAIL = ["Id", "UpdatedOn", "CreatedOn", "UniqueId", "UpdatedBy", "IsNew", "SystemId", "ToStringText"]
TAIL += ["LocalizationDetails", "CustomFields"]

_FIELDS = """
    ResourceId ResourceName ResourceHideInCalendar ResourceResourceTypeId ResourceResourceTypeName FloorPlanDeskId
    FloorPlanDeskName CoworkerId CoworkerCoworkerType CoworkerFullName CoworkerBillingName CoworkerCompanyName
    CoworkerTeamNames ExtraServiceId ExtraServiceName FromTime ToTime Notes InternalNotes ChargeNow InvoiceNow
    DoNotUseBookingCredit PurchaseOrder DiscountCode Tentative Online TeamsAtTheTimeOfBooking TariffAtTheTimeOfBooking
    RepeatSeriesUniqueId RepeatBooking Repeats WhichBookingsToUpdate RepeatEvery RepeatUntil RepeatOnMondays
    RepeatOnTuesdays RepeatOnWednesdays RepeatOnThursdays RepeatOnFridays RepeatOnSaturdays RepeatOnSundays
    OverridePrice Invoiced InvoiceDate CoworkerInvoiceId CoworkerInvoiceNumber CoworkerInvoicePaid
    CoworkerExtraServiceIds CoworkerExtraServicePrice CoworkerExtraServiceCurrencyCode CoworkerExtraServiceChargePeriod
    CoworkerExtraServiceTotalUses IncludeZoomInvite CheckedInAt CancelIfNotPaid CancelIfNotCheckedIn MinutesToStart
    OverrideResourceLimits DisableConfirmation SkipGoogleCalendarUpdate EstimatedCost EstimatedCostWithProducts
    EstimagedCost EstimatedProductCost ChargedExtraServices BookingProducts BookingVisitors EstimatedExtraService
    Invoice AvailableCredit IsEvent IsTour DiscountAmount
"""

BOOKING = _FIELDS.split()
"""Every field of the booking body that was captured in 2022, in its order; the common tail follows."""


def test_the_booking_has_every_field_of_the_captured_one() -> None:
    """In the captured order; `BookingNumber`, which newer bodies carry, is there too."""
    fields = list(samples.record("BookingCreate", now=NOW, number=1))

    assert [field for field in fields if field in BOOKING] == BOOKING
    assert fields[-len(TAIL) :] == TAIL
    assert "BookingNumber" in fields


@pytest.mark.parametrize("action", samples.names())
def test_every_action_has_a_sample(action: str) -> None:
    """One array of one flat record, with its own Id, times of now, no white space, and invented people."""
    body = samples.body(action, now=NOW, number=41)
    (record,) = payload.split(body)

    assert list(record.data)[-len(TAIL) :] == TAIL
    assert record.data["Id"] == 1_400_000_041
    assert record.data["UpdatedOn"].startswith("2027-01-31T12:07:03")
    assert record.data == samples.record(action, now=NOW, number=41)
    assert not re.search(rb'"\s*:\s|,\s+"', body)
    assert all(address.endswith(b"example.com") for address in re.findall(rb"[\w.]+@[\w.]+", body))


def test_there_is_a_sample_for_each_action_and_no_other() -> None:
    """89 of them; an unknown one is refused by name."""
    assert samples.names() == actions.NAMES
    for unknown in ("None", "Booking", "../actions"):
        with pytest.raises(ValueError, match="no sample for the action"):
            samples.body(unknown, now=NOW, number=1)


def test_samples_hold_what_breaks_naive_receivers() -> None:
    """Accents, emoji, escapes, trailing zeros, nulls, and 0 to 7 digits behind the second."""
    bodies = [samples.body(action, now=NOW, number=0) for action in samples.names()]
    every = b"".join(bodies)
    digits = {len(found) for found in re.findall(rb'T\d\d:\d\d:\d\d(?:\.(\d+))?Z"', every)}

    assert digits == set(range(8))
    assert b":0.09000" in samples.body("BookingCreate", now=NOW, number=0)
    assert b"\\u2014" in every
    assert all(text.encode() in every for text in ("ë", "é", "ö", "🥶", ":null", '\\"'))


def test_fields_that_depend_on_the_clock_do() -> None:
    """The same booking a minute later: MinutesToStart differs by one, appointments stay on the quarter of an hour."""
    one = samples.record("BookingCreate", now=NOW, number=1)
    two = samples.record("BookingCreate", now=NOW + timedelta(minutes=1), number=1)

    assert one["FromTime"] == two["FromTime"]
    assert re.search(r":(00|15|30|45):00Z$", one["FromTime"])
    assert one["MinutesToStart"] - two["MinutesToStart"] == 1
    assert 0 < one["MinutesToStart"] < 150


def test_samples_differ_by_their_number_alone() -> None:
    """Same action, number and time: the same bytes; the people take turns."""
    bodies = {samples.body("VisitorRegistered", now=NOW, number=number) for number in range(50)}

    assert len(bodies) == 50
    assert samples.body("VisitorRegistered", now=NOW, number=3) in bodies
    assert len({orjson.loads(body)[0]["CoworkerFullName"] for body in bodies}) == 7
