"""What Nexudus tells only half: records changed at once, hooks that came late, histories that want their invoice."""

from typing import Any

import pytest

from tests.receiver.reconcile.outage import HOUR, MINUTE, Outage
from tests.support.entity_api import iso

SECOND = 1_000


def test_a_change_within_seconds_of_the_creation_is_told_by_the_audit_trail(outage: Outage) -> None:
    """The hook brought what was created; of three records that were touched at once, one was changed."""
    for number, seconds in ((1, 1), (2, 3), (3, 3)):
        created = outage.middle + number * MINUTE
        outage.api.put("Team", number, created, created + seconds * SECOND)
        outage.hook("TeamCreated", {"Id": number, "CreatedOn": iso(created)}, at_ms=created)
    outage.api.audit("Team", 2, outage.middle + 2 * MINUTE + 3 * SECOND, what=2, PropertyName="Name")
    outage.api.audit("Team", 3, outage.middle + 4 * MINUTE, what=2, PropertyName="Paid")
    outage.gaps("TeamCreated", "TeamUpdated")

    outage.fill()
    outage.fill(outage.gaps("TeamUpdated"))

    assert outage.made() == [(1001, "TeamUpdated", 2)]
    assert set(outage.states().values()) == {"healed"}


@pytest.mark.parametrize(
    ("kind", "seconds", "is_created", "unknown"),
    [
        ("BlogPost", 3, False, True),
        ("BlogPost", 1, False, False),
        ("BlogPost", 3, True, False),
        ("Team", 3, False, True),
    ],
)
def test_where_no_trail_tells_it_is_named(
    outage: Outage, kind: str, seconds: int, is_created: bool, unknown: bool
) -> None:
    """Not for the second that is usual, and not where the creation is made now, with the record of today."""
    outage.api.answers["AuditTrailEntry"] = 403
    outage.api.put(kind, 1, outage.middle, outage.middle + seconds * SECOND)
    created, updated = {"BlogPost": ("BlogPostCreate", "BlogPostUpdate"), "Team": ("TeamCreated", "TeamUpdated")}[kind]
    if not is_created:
        outage.hook(created, {"Id": 1}, at_ms=outage.middle)
    outage.gaps(*((created, updated) if is_created else (updated,)))

    outage.fill()

    assert outage.made() == ([(1001, created, 1)] if is_created else [])
    (gap,) = (one for one in outage.ledger.gaps() if one.action == updated)
    sentence = (
        f"1 records of {kind} were touched within 5 s of their creation; nothing tells whether that was an update"
    )
    assert (gap.state, gap.cannot) == (("cannot", sentence) if unknown else ("healed", ""))


def test_a_trail_that_fails_leaves_the_gap_to_be_filled(outage: Outage) -> None:
    """What was created is made; whether it was changed is asked again."""
    outage.api.put("Team", 1, outage.middle, outage.middle + 3 * SECOND)
    outage.api.answers["AuditTrailEntry"] = 503
    outage.gaps("TeamCreated", "TeamUpdated")

    outage.fill()

    assert outage.made() == [(1001, "TeamCreated", 1)]
    assert outage.states() == {"TeamCreated": "healed", "TeamUpdated": "healing"}


def test_an_event_of_before_the_gap_is_not_taken_for_one_in_it(outage: Outage) -> None:
    """A renewal shortly before the gap came late by its hook; the one in the gap came by none."""
    old = outage.begin - 900 * HOUR
    outage.api.put("CoworkerContract", 1, old, IssuedById=1001)
    for at_ms in (outage.begin - 2 * MINUTE, outage.begin + 2 * MINUTE):
        values: dict[str, Any] = {"PropertyName": "RenewalDate", "OldValue": iso(old), "NewValue": iso(at_ms)}
        outage.api.audit("CoworkerContract", 1, at_ms, what=2, **values)
    outage.hook("CoworkerContractRenew", {"Id": 1}, at_ms=outage.begin + MINUTE)
    outage.gaps("CoworkerContractRenew")

    outage.fill()

    assert outage.made() == [(1001, "CoworkerContractRenew", 1)]
    assert (outage.one().found, outage.one().made, outage.one().known) == (1, 1, 0)


def _histories(outage: Outage) -> None:
    for number in (2, 3):
        attempted = iso(outage.middle - HOUR * number)[:-1]
        outage.api.put("CoworkerInvoice", number, outage.begin - 900 * HOUR, LastPaymentAttemptLocal=attempted)
        about: dict[str, Any] = {
            "Name": "Payment Result",
            "CoworkerInvoiceId": number,
            "CoworkerInvoiceBusinessId": 1001,
        }
        text = "FAILED: no money" if number == 2 else "AWAITING: bank"
        outage.api.put("CoworkerInvoiceHistory", 10 + number, outage.middle, Description=text, **about)
    outage.api.needs["CoworkerInvoiceHistory"] = "CoworkerInvoiceHistory_CoworkerInvoice"
    outage.gaps("CoworkerInvoiceFailedPayment", "CoworkerInvoiceAwaitingPayment")


def test_histories_that_want_their_invoice_are_asked_for_one_by_one(outage: Outage) -> None:
    """One refused search, one for the invoices with an attempt, and those of each invoice."""
    _histories(outage)

    outage.fill()

    assert sorted(outage.made()) == [
        (1001, "CoworkerInvoiceAwaitingPayment", 3),
        (1001, "CoworkerInvoiceFailedPayment", 2),
    ]
    assert set(outage.states().values()) == {"healed"}
    assert outage.api.searches("CoworkerInvoice") <= 3


def test_a_search_by_invoice_that_is_ignored_makes_nothing(outage: Outage) -> None:
    """The history of another invoice would be a payment that this one never had."""
    _histories(outage)
    outage.api.ignored.add("coworkerinvoicehistory_coworkerinvoice")

    outage.fill()

    assert (outage.made(), set(outage.states().values())) == ([], {"cannot"})
    assert "ignores the filter CoworkerInvoiceHistory_CoworkerInvoice" in outage.ledger.gaps()[0].cannot
