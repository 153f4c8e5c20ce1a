"""Filling gaps, against a Nexudus that answers over HTTP and a real store: what happened becomes events, each once."""

from typing import Any

import pytest

from receiver.core.errors import LockLost
from receiver.reconcile.route_selection import RouteSelection
from receiver.storage.accounting.audit import Audit
from receiver.storage.shared.audit_log import AuditLog
from tests.receiver.reconcile.outage import HOUR, MINUTE, Outage, table
from tests.support.entity_api import iso


def test_what_happened_in_a_gap_becomes_events_each_once(outage: Outage) -> None:
    """Creates and updates, of the right location and time only; filled again, nothing is made."""
    api, at = outage.api, outage.middle
    api.put("Resource", 5, at - 900 * HOUR)
    api.put("Resource", 6, at - 900 * HOUR, BusinessId=1002)
    api.put("Booking", 1, at, ResourceId=5)
    api.put("Booking", 2, at - 100 * HOUR, at + MINUTE, ResourceId=5)
    api.put("Booking", 3, at, at + 2 * MINUTE, ResourceId=5)
    api.put("Booking", 4, at, ResourceId=6)
    api.put("Booking", 5, outage.begin - HOUR, ResourceId=5)
    api.put("Booking", 6, outage.end + MINUTE, ResourceId=5)
    outage.gaps("BookingCreate", "BookingUpdate")

    report = outage.fill()

    assert outage.made() == [
        (1001, "BookingCreate", 1),
        (1001, "BookingCreate", 3),
        (1001, "BookingUpdate", 2),
        (1001, "BookingUpdate", 3),
    ]
    assert outage.states() == {"BookingCreate": "healed", "BookingUpdate": "healed"}
    assert {(one.action, one.found, one.made, one.known, one.gone) for one in report.gaps} == {
        ("BookingCreate", 2, 2, 0, 0),
        ("BookingUpdate", 2, 2, 0, 0),
    }
    again = outage.fill(outage.gaps("BookingCreate", "BookingUpdate"))
    assert len(outage.made()) == 4
    assert [(one.made, one.known) for one in again.gaps] == [(0, 2), (0, 2)]


def test_an_event_is_as_any_other(outage: Outage) -> None:
    """Routed, counted, with the whole record of the API, and its origin; the ledger of events is in order."""
    outage.api.put("Coworker", 7, outage.middle, InvoicingBusinessId=1001, Notes="whole", BusinessId=None)
    outage.gaps("CoworkerCreate")

    outage.fill()

    (event,) = outage.events()
    assert event.envelope.record() == outage.api.records["Coworker"][7]
    assert (event.envelope.entity, event.envelope.action_code, event.status) == ("Coworker:7", 3, "in_flight")
    assert [delivery.route for delivery in event.deliveries] == ["log"]
    assert event.envelope.received_ms >= outage.now
    assert Audit(outage.store).run(full=True).unaccounted == 0


@pytest.mark.parametrize("kept", ["create", "update"])
def test_what_a_hook_brought_is_not_made(outage: Outage, kept: str) -> None:
    """By kind, Id, action and UpdatedOn to the second: a hook's body has ticks, and other fields."""
    outage.api.put("Team", 1, outage.middle, outage.middle + HOUR)
    outage.gaps("TeamCreated", "TeamUpdated")
    body = {"Id": 1, "CreatedOn": iso(outage.middle), "UpdatedOn": iso(outage.middle + HOUR)[:-1] + ".1234567Z"}
    outage.hook("TeamCreated" if kept == "create" else "TeamUpdated", body)

    report = outage.fill()

    assert outage.made() == [(1001, "TeamUpdated" if kept == "create" else "TeamCreated", 1)]
    assert sorted((one.made, one.known) for one in report.gaps) == [(0, 1), (1, 0)]


def test_an_update_that_a_hook_brought_before_is_another_one(outage: Outage) -> None:
    """The record changed again since; the last state is one event."""
    outage.api.put("Team", 1, outage.begin - 90 * HOUR, outage.middle)
    outage.hook("TeamUpdated", {"Id": 1, "UpdatedOn": iso(outage.begin - HOUR)}, at_ms=outage.begin - HOUR)
    outage.gaps("TeamUpdated")

    outage.fill()

    assert outage.made() == [(1001, "TeamUpdated", 1)]


def test_a_record_that_changed_after_the_gap_came_by_its_hook(outage: Outage) -> None:
    """Its change in the gap is invisible; what is there was brought by the hook."""
    outage.api.put("Team", 1, outage.begin - 90 * HOUR, outage.end + MINUTE)
    outage.gaps("TeamUpdated")

    outage.fill()

    assert outage.made() == []
    assert outage.one().state == "healed"


def test_deletes_come_from_the_audit_trail_and_from_cancelled_bookings(outage: Outage) -> None:
    """With the Id, the record that was kept last, and the snapshot that Nexudus keeps of a booking."""
    outage.hook("VisitorRegistered", {"Id": 3, "FullName": "Kept"}, at_ms=outage.begin - HOUR)
    outage.api.audit("Visitor", 3, outage.middle)
    outage.api.audit("Visitor", 4, outage.middle + MINUTE)
    outage.api.audit("VisitorX", 5, outage.middle)
    outage.api.audit("Visitor", 6, outage.middle, what=2)
    outage.api.put("Resource", 5, 0)
    cancelled: dict[str, Any] = {"OriginalBookingId": "77", "CancelledOn": iso(outage.middle), "ResourceId": 5}
    outage.api.put("CancelledBooking", 9, outage.begin - HOUR, **cancelled)
    outage.gaps("VisitorDeleted", "BookingDelete")

    outage.fill()

    events = {(one.envelope.action, one.envelope.record()["Id"]): one.envelope for one in outage.events()}
    assert sorted(events) == [("BookingDelete", 77), ("VisitorDeleted", 3), ("VisitorDeleted", 4)]
    assert events["VisitorDeleted", 3].record() == {"Id": 3, "LastKept": {"Id": 3, "FullName": "Kept"}}
    assert events["VisitorDeleted", 4].record() == {"Id": 4}
    assert events["BookingDelete", 77].entity == "Booking:77"


def test_payments_are_told_by_their_own_fields_and_histories(outage: Outage) -> None:
    """A payment does not move UpdatedOn; without the audit trail the records have to do."""
    api, at = outage.api, outage.middle
    api.answers["AuditTrailEntry"] = 403
    old = outage.begin - 900 * HOUR
    api.put("CoworkerInvoice", 1, old, Paid=True, PaidOn=iso(at), CreditNote=False)
    api.put("CoworkerInvoice", 2, old, Paid=False, PaidOn=None, CreditNote=False)
    api.put("CoworkerInvoice", 3, at, Paid=False, PaidOn=None, CreditNote=True)
    about: dict[str, Any] = {"CoworkerInvoiceBusinessId": 1001, "Name": "Payment Result", "CoworkerInvoiceId": 2}
    api.put("CoworkerInvoiceHistory", 11, at, Description="FAILED: no money", **about)
    api.put("CoworkerInvoiceHistory", 12, at + MINUTE, Description="AWAITING: bank", **about)
    api.put("CoworkerLedgerEntry", 21, at, Credit=10.5, CoworkerInvoiceId=1)
    outage.gaps(
        "CoworkerInvoicePaid",
        "CoworkerInvoiceCreditNote",
        "CoworkerInvoiceCreate",
        "CoworkerInvoiceFailedPayment",
        "CoworkerInvoiceAwaitingPayment",
        "CoworkerInvoiceReceivedPayment",
    )

    outage.fill()
    first = sorted(outage.made())
    outage.fill(outage.gaps("CoworkerInvoicePaid", "CoworkerInvoiceFailedPayment"))

    assert (
        first
        == sorted(outage.made())
        == [
            (1001, "CoworkerInvoiceAwaitingPayment", 2),
            (1001, "CoworkerInvoiceCreditNote", 3),
            (1001, "CoworkerInvoiceFailedPayment", 2),
            (1001, "CoworkerInvoicePaid", 1),
            (1001, "CoworkerInvoiceReceivedPayment", 1),
        ]
    )
    assert set(outage.states().values()) == {"healed"}


def test_the_audit_trail_makes_good_exact(outage: Outage) -> None:
    """Each entry is an occurrence of its own; what a hook brought at that time is one of them."""
    for at_ms in (outage.middle, outage.middle + HOUR):
        outage.api.audit("CoworkerInvoice", 1, at_ms, what=2, PropertyName="Paid", NewValue="True")
    outage.api.audit("CoworkerInvoice", 1, outage.middle, what=2, PropertyName="Paid", NewValue="False")
    outage.api.put("CoworkerInvoice", 1, outage.begin - 900 * HOUR, Paid=True, PaidOn=None)
    outage.hook("CoworkerInvoicePaid", {"Id": 1}, at_ms=outage.middle + 5_000)
    outage.gaps("CoworkerInvoicePaid")

    (gap,) = outage.fill().gaps

    assert outage.made() == [(1001, "CoworkerInvoicePaid", 1)]
    assert (gap.found, gap.made, gap.known) == (2, 1, 1)


def test_a_contract_becomes_active_once(outage: Outage) -> None:
    """By the audit trail, or by being created so; where both tell it, it is one event."""
    old = outage.begin - 900 * HOUR
    outage.api.put("CoworkerContract", 1, outage.middle, IssuedById=1001, Active=True, StartDate=iso(outage.middle))
    outage.api.put("CoworkerContract", 2, old, outage.middle, IssuedById=1001, Active=True, StartDate=iso(old))
    outage.api.put("CoworkerContract", 3, old, outage.middle, IssuedById=1001, Active=True, StartDate=iso(old))
    for number in (1, 2):
        change: dict[str, Any] = {"PropertyName": "Active", "NewValue": "true", "BusinessId": 1001}
        outage.api.audit("CoworkerContract", number, outage.middle + MINUTE, what=2, **change)
    outage.gaps("CoworkerContractActivate")

    outage.fill()

    assert outage.made() == [(1001, "CoworkerContractActivate", 1), (1001, "CoworkerContractActivate", 2)]


def test_one_record_is_created_updated_and_deleted_in_this_order(outage: Outage) -> None:
    """Over kinds by time; the newer state supersedes the older one, whatever brought it."""
    outage.api.put("Team", 2, outage.middle, outage.middle + 2 * MINUTE)
    outage.api.put("Tariff", 1, outage.middle + MINUTE)
    outage.api.audit("Team", 2, outage.middle + 3 * MINUTE)
    outage.gaps("TeamDeleted", "TeamUpdated", "TeamCreated", "TariffCreate")

    outage.fill()

    assert [(action, number) for _, action, number in outage.made()] == [
        ("TeamCreated", 2),
        ("TariffCreate", 1),
        ("TeamUpdated", 2),
        ("TeamDeleted", 2),
    ]


def test_a_hook_that_comes_while_a_record_is_read_is_the_newer_event(outage: Outage) -> None:
    """The id of a back-filled event is of the moment before its record was read."""
    outage.api.put("Team", 1, outage.middle)
    outage.gaps("TeamCreated")
    later: list[str] = []
    outage.api.before_record = lambda _kind, _number: later.append(
        outage.hook("TeamUpdated", {"Id": 1}, at_ms=outage.now + MINUTE)
    )
    outage.fill()

    (event,) = outage.events()
    assert len(later) == 1
    assert event.envelope.id < later[0]


@pytest.mark.parametrize("as_html", [False, True])
def test_a_record_that_vanished_is_gone(outage: Outage, as_html: bool) -> None:
    """Whether Nexudus answers 404 or 500 with a page of HTML; the gap is healed: nothing of it is left."""
    outage.api.gone_as_html = as_html
    outage.api.put("Team", 1, outage.middle)
    outage.api.before_record = lambda kind, number: outage.api.records[kind].clear()
    outage.gaps("TeamCreated")

    (gap,) = outage.fill().gaps

    assert (gap.found, gap.made, gap.gone, gap.state) == (1, 0, 1, "healed")


def test_of_a_batch_some_may_be_gone(outage: Outage) -> None:
    """The others are made."""
    for number in (1, 2, 3):
        outage.api.put("Team", number, outage.middle)
    outage.gaps("TeamCreated")

    def vanish(params: dict[str, str]) -> None:
        outage.api.records["Team"].pop(2, None) if "id" in params else None

    outage.api.before_search = vanish
    (gap,) = outage.fill().gaps

    assert (gap.found, gap.made, gap.gone, gap.state) == (3, 2, 1, "healed")
    assert [number for _, _, number in outage.made()] == [1, 3]


def test_many_records_cost_one_call_in_fifty(outage: Outage) -> None:
    """Whatever the number of locations: one search, two pages of it, then batches."""
    for number in range(1, 301):
        outage.api.put("Team", number, outage.middle + number * 1_000, BusinessId=1000 + number % 60)
    outage.gaps("TeamCreated", "TeamUpdated", businesses=range(1000, 1060))

    report = outage.fill()

    assert len(outage.made()) == 300
    assert report.calls <= 2 + 2 + 300 / 50, "two pages, two guards, six batches"
    assert sum(gap.made for gap in report.gaps) == 300


def test_above_the_limit_a_person_is_asked(outage: Outage) -> None:
    """Nothing is made until then; what the person asks for has no limit."""
    for number in range(1, 4):
        outage.api.put("Team", number, outage.middle)
    outage.gaps("TeamCreated")

    (waiting,) = outage.fill(limit=2).gaps
    assert (waiting.state, waiting.found, waiting.made, outage.made()) == ("confirm", 3, 0, [])
    assert waiting.cannot == "more than 2 events at once (reconcile.limit); `frontdesk backfill` makes them"
    (healed,) = outage.fill().gaps

    assert (healed.cannot, healed.known) == ("", 0)
    assert (healed.state, healed.made, len(outage.made())) == ("healed", 3, 3)


def test_a_dry_run_counts_and_makes_nothing(outage: Outage) -> None:
    """It says what it cost, and what making them takes."""
    for number in range(1, 61):
        outage.api.put("Team", number, outage.middle)
    outage.gaps("TeamCreated")

    report = outage.fill(is_dry=True)

    assert [(one.found, one.made) for one in report.gaps] == [(60, 60)]
    assert (report.calls, report.calls_left, outage.made(), outage.one().state) == (3, 2, [], "healing")


def test_routes_say_whether_they_take_what_is_found(outage: Outage) -> None:
    """never: nothing; confirm: when a person asks, also of what was made for others already."""
    outage.table = table(
        "{name: a, action: TeamCreated, handler: log}",
        "{name: b, action: TeamCreated, handler: log, backfill: confirm}",
        "{name: c, action: [TeamCreated, TeamUpdated], handler: log, backfill: never}",
    )
    outage.api.put("Team", 1, outage.middle)
    outage.gaps("TeamCreated", "TeamUpdated", "TariffCreate")

    outage.fill()
    first = [[delivery.route for delivery in one.deliveries] for one in outage.events()]
    states = outage.states()
    waits = {one.action: one.cannot for one in outage.ledger.gaps()}["TeamCreated"]
    report = outage.fill(selection=RouteSelection(outage.table, is_asked=True))

    assert first == [["a"]]
    assert states == {"TeamCreated": "confirm", "TeamUpdated": "cannot", "TariffCreate": "cannot"}
    assert [[delivery.route for delivery in one.deliveries] for one in outage.events()] == [["a", "b"]]
    assert report.completed == 1
    assert waits == "a route waits for a person (backfill: confirm); `frontdesk backfill` serves it"
    reasons = {one.action: one.cannot for one in outage.ledger.gaps()}
    assert reasons["TariffCreate"] == "no route wants TariffCreate of location 1001 any more"
    assert "never" in reasons["TeamUpdated"]


def test_a_first_load_feeds_one_route(outage: Outage) -> None:
    """A kept event gets a delivery more; what nobody has kept becomes an event for that route only; each once."""
    outage.table = table(
        "{name: a, action: CoworkerCreate, handler: log}",
        "{name: warehouse, action: CoworkerCreate, handler: log, where: data.Id < 3}",
    )
    for number in (1, 2, 3):
        outage.api.put("Coworker", number, outage.middle, InvoicingBusinessId=1001)
    (gap,) = outage.gaps("CoworkerCreate")
    new, outage.table = outage.table, table("{name: a, action: CoworkerCreate, handler: log}")
    outage.hook("CoworkerCreate", {"Id": 1}, at_ms=outage.middle)
    outage.table = new
    load = RouteSelection(outage.table, is_asked=True, routes=frozenset({"warehouse"}))

    for _ in range(2):
        outage.fill([gap], selection=load)

    (hooked,) = outage.events("webhook")
    assert [delivery.route for delivery in hooked.deliveries] == ["a", "warehouse"]
    (made,) = outage.events()
    assert (made.envelope.record()["Id"], [delivery.route for delivery in made.deliveries]) == (2, ["warehouse"])


def test_cut_off_anywhere_it_makes_nothing_twice(outage: Outage) -> None:
    """Whatever the step at which the process dies: the next one goes on, and the counts are those of all together."""
    for number in range(1, 6):
        outage.api.put("Team", number, outage.middle)
    outage.gaps("TeamCreated")
    for steps in range(8):
        left = [steps]

        def check(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise LockLost("killed")

        try:
            outage.fill(check=check)
        except LockLost:
            continue
        break

    assert sorted(number for _, _, number in outage.made()) == [1, 2, 3, 4, 5]
    assert (outage.one().state, outage.one().found, outage.one().made) == ("healed", 5, 5)


def test_each_gap_that_is_done_is_in_the_audit_log(outage: Outage) -> None:
    """With its counts, and without anybody's data."""
    outage.api.put("Team", 1, outage.middle, Name="Secret")
    outage.gaps("TeamCreated", "SendWelcomeEmail")

    outage.fill()

    acts = {act.what: act.detail for act in AuditLog(outage.store).newest()}
    assert sorted(acts) == ["gap.cannot", "gap.healed"]
    assert (acts["gap.healed"]["action"], acts["gap.healed"]["made"]) == ("TeamCreated", 1)
    assert "Secret" not in str(acts)
