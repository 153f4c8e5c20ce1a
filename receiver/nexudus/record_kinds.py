"""Where the API has records of each kind, and which location a record belongs to. Pure."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
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


def _by_name(*kinds: Kind) -> MappingProxyType[str, Kind]:
    return MappingProxyType({kind.name: kind for kind in kinds})


KINDS: Final = _by_name(
    Kind("Coworker", "spaces/coworkers", "InvoicingBusinessId", is_whole=False),
    Kind("Booking", "spaces/bookings", "", ("ResourceId", "Resource")),
    Kind("CancelledBooking", "spaces/cancelledbookings", "", ("ResourceId", "Resource")),
    Kind("Resource", "spaces/resources"),
    Kind("CoworkerContract", "billing/coworkercontracts", "IssuedById"),
    Kind("CoworkerInvoice", "billing/coworkerinvoices"),
    Kind("CoworkerInvoiceHistory", "billing/coworkerinvoicehistories", "CoworkerInvoiceBusinessId"),
    Kind("CoworkerLedgerEntry", "billing/coworkerledgerentries"),
    Kind("CoworkerPaymentMethod", "billing/coworkerpaymentmethods"),
    Kind("CoworkerProduct", "billing/coworkerproducts"),
    Kind("CoworkerPricePlanHistory", "spaces/coworkerpriceplanhistories"),
    Kind("Tariff", "billing/tariffs"),
    Kind("Product", "billing/products"),
    Kind("Proposal", "billing/proposals", "IssuedById"),
    Kind("Checkin", "spaces/checkins"),
    Kind("Visitor", "spaces/visitors"),
    Kind("Team", "spaces/teams"),
    Kind("CoworkerDelivery", "spaces/coworkerdeliveries"),
    Kind("CoworkerMessage", "spaces/coworkermessages", "", ("CoworkerId", "Coworker")),
    Kind("HelpDeskMessage", "support/helpdeskmessages"),
    Kind("HelpDeskComment", "support/helpdeskcomments", "", ("HelpDeskMessageId", "HelpDeskMessage")),
    Kind("CalendarEvent", "content/calendarevents"),
    Kind("EventAttendee", "content/eventattendees"),
    Kind("BlogPost", "content/blogposts"),
    Kind("NewsLetterSubscriber", "content/newslettersubscribers"),
    Kind("CommunityGroup", "community/communitygroups"),
    Kind("CommunityThread", "community/communitythreads"),
    Kind("CommunityMessage", "community/communitymessages", "", ("CommunityThreadId", "CommunityThread")),
    Kind("FloorPlan", "sys/floorplans"),
    Kind("FloorPlanDesk", "sys/floorplandesks", "FloorPlanBusinessId", ("FloorPlanId", "FloorPlan")),
    Kind("Business", "sys/businesses", "Id"),
    Kind("AuditTrailEntry", "sys/audittrailentries"),
)
