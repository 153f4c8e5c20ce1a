"""Where the API has records of each kind, and which location a record belongs to. Pure."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class RecordKind:
    """A kind of record. *path*: where it is below `/api/`. *business*: the field that names its location.

    *parent*: where no field does, the field that names a record whose location it has, and the kind of that.
    *is_whole*: `?id=[…]` gives whole records, so that one call fetches many. *is_audited*: the audit trail has it.
    """

    name: str
    path: str
    business: str = "BusinessId"
    parent: tuple[str, str] | None = None
    is_whole: bool = True

    @property
    def is_audited(self) -> bool:
        """Whether the audit trail tells of each change of such a record."""
        return self.name in _AUDITED


_AUDITED: Final = frozenset(
    {
        "Booking", "Business", "Checkin", "Coworker", "CoworkerContract", "CoworkerInvoice", "CoworkerLedgerEntry",
        "CoworkerPaymentMethod", "CoworkerProduct", "FloorPlanDesk", "Team", "Visitor",
    }
)  # fmt: skip


def _by_name(*kinds: RecordKind) -> MappingProxyType[str, RecordKind]:
    return MappingProxyType({kind.name: kind for kind in kinds})


KINDS: Final = _by_name(
    RecordKind("Coworker", "spaces/coworkers", "InvoicingBusinessId", is_whole=False),
    RecordKind("Booking", "spaces/bookings", "", ("ResourceId", "Resource")),
    RecordKind("CancelledBooking", "spaces/cancelledbookings", "", ("ResourceId", "Resource")),
    RecordKind("Resource", "spaces/resources"),
    RecordKind("CoworkerContract", "billing/coworkercontracts", "IssuedById"),
    RecordKind("CoworkerInvoice", "billing/coworkerinvoices"),
    RecordKind("CoworkerInvoiceHistory", "billing/coworkerinvoicehistories", "CoworkerInvoiceBusinessId"),
    RecordKind("CoworkerLedgerEntry", "billing/coworkerledgerentries"),
    RecordKind("CoworkerPaymentMethod", "billing/coworkerpaymentmethods"),
    RecordKind("CoworkerProduct", "billing/coworkerproducts"),
    RecordKind("CoworkerPricePlanHistory", "spaces/coworkerpriceplanhistories"),
    RecordKind("Tariff", "billing/tariffs"),
    RecordKind("Product", "billing/products"),
    RecordKind("Proposal", "billing/proposals", "IssuedById"),
    RecordKind("Checkin", "spaces/checkins"),
    RecordKind("Visitor", "spaces/visitors"),
    RecordKind("Team", "spaces/teams"),
    RecordKind("CoworkerDelivery", "spaces/coworkerdeliveries"),
    RecordKind("CoworkerMessage", "spaces/coworkermessages", "", ("CoworkerId", "Coworker")),
    RecordKind("HelpDeskMessage", "support/helpdeskmessages"),
    RecordKind("HelpDeskComment", "support/helpdeskcomments", "", ("HelpDeskMessageId", "HelpDeskMessage")),
    RecordKind("CalendarEvent", "content/calendarevents"),
    RecordKind("EventAttendee", "content/eventattendees"),
    RecordKind("BlogPost", "content/blogposts"),
    RecordKind("NewsLetterSubscriber", "content/newslettersubscribers"),
    RecordKind("CommunityGroup", "community/communitygroups"),
    RecordKind("CommunityThread", "community/communitythreads"),
    RecordKind("CommunityMessage", "community/communitymessages", "", ("CommunityThreadId", "CommunityThread")),
    RecordKind("FloorPlan", "sys/floorplans"),
    RecordKind("FloorPlanDesk", "sys/floorplandesks", "FloorPlanBusinessId", ("FloorPlanId", "FloorPlan")),
    RecordKind("Business", "sys/businesses", "Id"),
    RecordKind("AuditTrailEntry", "sys/audittrailentries"),
)
