"""The kinds of records of the simulated Nexudus: paths, actions, locations, and what a new one looks like. Pure.

Paths, location fields and audited kinds are those of the pages of developers.nexudus.com. Kinds that have a sample
begin as their sample; the others are laid out here as their page "Get one …" has them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any

import orjson

from receiver.nexudus import actions, samples

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. *business*: the field with its location, empty where another record says it or none does.

    *created*, *updated*, *deleted*: the actions that a hook may have for it. *audited*: the audit trail has it.
    """

    name: str
    path: str
    business: str = "BusinessId"
    audited: bool = False
    created: str = ""
    updated: str = ""
    deleted: str = ""


_ALL = (
    Kind("Business", "sys/businesses", "Id", True, "", "BusinessUpdate"),
    Kind("Resource", "spaces/resources"),
    Kind(
        "Coworker", "spaces/coworkers", "InvoicingBusinessId", True,
        "CoworkerCreate", "CoworkerUpdate", "CoworkerDelete",
    ),
    Kind("Booking", "spaces/bookings", "", True, "BookingCreate", "BookingUpdate", "BookingDelete"),
    Kind("CancelledBooking", "spaces/cancelledbookings", ""),
    Kind(
        "CoworkerContract", "billing/coworkercontracts", "IssuedById", True,
        "CoworkerContractCreate", "CoworkerContractUpdate", "CoworkerContractDelete",
    ),
    Kind(
        "CoworkerInvoice", "billing/coworkerinvoices", "BusinessId", True,
        "CoworkerInvoiceCreate", "CoworkerInvoiceUpdate", "CoworkerInvoiceDelete",
    ),
    Kind("CoworkerInvoiceHistory", "billing/coworkerinvoicehistories", "CoworkerInvoiceBusinessId"),
    Kind(
        "CoworkerLedgerEntry", "billing/coworkerledgerentries", "BusinessId", True, "CoworkerInvoiceLedgerEntryCreate",
        "CoworkerInvoiceLedgerEntryUpdate", "CoworkerInvoiceLedgerEntryDelete",
    ),
    Kind(
        "CoworkerPaymentMethod", "billing/coworkerpaymentmethods", "BusinessId", True,
        "CoworkerPaymentMethodCreate", "CoworkerPaymentMethodUpdate", "CoworkerPaymentMethodDelete",
    ),
    Kind(
        "CoworkerProduct", "billing/coworkerproducts", "BusinessId", True,
        "CoworkerProductCreate", "CoworkerProductUpdate", "CoworkerProductDelete",
    ),
    Kind("CoworkerPricePlanHistory", "spaces/coworkerpriceplanhistories", ""),
    Kind("Tariff", "billing/tariffs", "BusinessId", False, "TariffCreate", "TariffUpdate", "TariffDelete"),
    Kind("Product", "billing/products", "BusinessId", False, "ProductCreate", "ProductUpdate", "ProductDelete"),
    Kind("Proposal", "billing/proposals", "IssuedById", False, "ProposalCreated", "ProposalUpdated", "ProposalDeleted"),
    Kind("Checkin", "spaces/checkins", "BusinessId", True, "CheckinCreated", "CheckinUpdated", "CheckinDeleted"),
    Kind("Visitor", "spaces/visitors", "BusinessId", True, "VisitorRegistered", "", "VisitorDeleted"),
    Kind("Team", "spaces/teams", "BusinessId", True, "TeamCreated", "TeamUpdated", "TeamDeleted"),
    Kind("CoworkerDelivery", "spaces/coworkerdeliveries", "BusinessId", False, "DeliveryCreated"),
    Kind("CoworkerMessage", "spaces/coworkermessages", "", False, "CoworkerMessageCreate"),
    Kind("HelpDeskMessage", "support/helpdeskmessages", "BusinessId", False, "HelDeskMessageCreated"),
    Kind("HelpDeskComment", "support/helpdeskcomments", "", False, "HelpDeskCommentCreated"),
    Kind(
        "CalendarEvent", "content/calendarevents", "BusinessId", False,
        "CalendarEventCreate", "CalendarEventUpdate", "CalendarEventDelete",
    ),
    Kind(
        "EventAttendee", "content/eventattendees", "BusinessId", False,
        "CalendarEventAttendeeCreate", "CalendarEventAttendeeUpdate", "CalendarEventAttendeeDelete",
    ),
    Kind("BlogPost", "content/blogposts", "BusinessId", False, "BlogPostCreate", "BlogPostUpdate", "BlogPostDelete"),
    Kind("NewsLetterSubscriber", "content/newslettersubscribers", "BusinessId", False, "NewsLetterSubscriberCreate"),
    Kind(
        "CommunityGroup", "community/communitygroups", "BusinessId", False,
        "CommunityGroupCreate", "CommunityGroupUpdate", "CommunityGroupDelete",
    ),
    Kind("CommunityThread", "community/communitythreads", "BusinessId", False, "CommunityBoardNewThread"),
    Kind("CommunityMessage", "community/communitymessages", "", False, "CommunityBoardNewReply"),
    Kind("ChatUserMessage", "sys/chatusermessages", "", False, "GlobalChatMessageCreate"),
    Kind("FloorPlan", "sys/floorplans", "BusinessId", False, "FloorPlanCreate", "FloorPlanUpdate", "FloorPlanDelete"),
    Kind(
        "FloorPlanDesk", "sys/floorplandesks", "FloorPlanBusinessId", True,
        "FloorPlanDeskCreate", "FloorPlanDeskUpdate", "FloorPlanDeskDelete",
    ),
    Kind("AuditTrailEntry", "sys/audittrailentries"),
    Kind("LogEntry", "sys/logentries"),
)  # fmt: skip

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})
BY_PATH: Mapping[str, Kind] = MappingProxyType({kind.path: kind for kind in _ALL})

UNSEEDED = frozenset(
    {"AuditTrailEntry", "LogEntry", "CancelledBooking", "CoworkerInvoiceHistory", "CoworkerPricePlanHistory"}
)
"""Kinds that only say what happened: a location begins without any."""

LINKED = (
    "Resource", "Coworker", "Tariff", "Product", "FloorPlan", "CalendarEvent", "CommunityGroup", "CommunityThread",
    "HelpDeskMessage", "CoworkerInvoice",
)  # fmt: skip
"""Kinds that others name: `ResourceId` of a Booking is a Resource of the same location."""

_TAIL: Fields = {
    "Id": 0, "UniqueId": "", "CreatedOn": "", "UpdatedOn": "", "UpdatedBy": "front.desk@example.com", "IsNew": False,
    "SystemId": None, "ToStringText": "", "LocalizationDetails": None, "CustomFields": None,
}  # fmt: skip
_LAID_OUT: Mapping[str, Fields] = {
    "Resource": {
        "BusinessId": 0, "BusinessName": "", "Name": "Salle Eiffel – 2ème étage", "ResourceTypeId": 1414956021,
        "ResourceTypeName": "Meeting room", "Allocation": 6, "Visible": True, "Archived": False,
        "HideInCalendar": False,
    },
    "AuditTrailEntry": {
        "BusinessId": 0, "EntityShortName": "", "Description": "", "PropertyName": None, "AuditType": 0,
        "OldValue": None, "NewValue": None, "ActionBy": "front.desk@example.com", "EntityId": 0,
    },
    "LogEntry": {
        "BusinessId": 0, "LogEntryType": 0, "Description": "", "ActionBy": "front.desk@example.com", "EntityName": "",
        "EntityId": 0, "Obsolete": False,
    },
    "CoworkerInvoiceHistory": {
        "CoworkerInvoiceId": 0, "CoworkerInvoiceCoworkerId": 0, "CoworkerInvoiceBusinessId": 0,
        "CoworkerInvoiceCoworkerFullName": "", "CoworkerInvoiceTotalAmount": "236.25",
        "CoworkerInvoiceInvoiceNumber": "", "CoworkerInvoiceBillToName": "", "CoworkerInvoicePaid": False,
        "CoworkerInvoiceRefunded": False, "Name": "",
        "Description": "", "IsProblem": False, "Notify": False,
    },
    "CoworkerPricePlanHistory": {
        "CoworkerId": 0, "OldTariffName": "Flex 10", "NewTariffName": "Flex 20", "OldTariffUniqueId": None,
        "NewTariffUniqueId": None, "OldContractUniqueId": "", "NewContractUniqueId": "", "IsUpgrade": True,
        "Notes": None, "OldValue": 189.0, "NewValue": 349.0, "OldQuantity": 1, "NewQuantity": 1,
    },
}  # fmt: skip
_MORE: Mapping[str, Fields] = {
    "Coworker": {"Notes": None, "AccessControlDebounceTime": None, "LastRenewal": None},
    "CoworkerInvoice": {"PaidOnLocal": None, "RefundedOnLocal": None, "LastPaymentAttemptLocal": None},
    "Visitor": {"ArrivalDateLocal": None},
    "Resource": {}, "CoworkerContract": {"CancellationDateLocal": None},
}  # fmt: skip
"""What the API has and the samples have not."""

_CANCELLED: Fields = {"OriginalBookingId": "", "CancelledOn": "", "CancellationReason": 1}
_LONG = frozenset({"Notes", "CustomFields", "LocalizationDetails", "FullText", "LongDescription", "Body"})
_HIDDEN = {"AuditTrailEntry": frozenset({"EntityId", "OldValue"})}
_NUMBER = re.compile(rb'"(\w+)":(-?\d+\.\d*0)(?=[,}])')
_WORDS = ("Notes", "InternalNotes", "Description", "Name", "Subject", "Title", "FullName", "ToStringText")


def template(kind: str, now: datetime, number: int) -> Fields:
    """Return the fields of a new record whose times lie around *now*; *number* chooses the person in it."""
    if kind in _LAID_OUT:
        return _LAID_OUT[kind] | _TAIL
    if kind == "CancelledBooking":
        return template("Booking", now, number) | _CANCELLED
    return samples.record(_sampled(kind), now=now, number=number) | _MORE.get(kind, {})


@cache
def fields(kind: str) -> Mapping[str, Any]:
    """Return what a record of the kind looks like, for what depends on names and types alone."""
    return MappingProxyType(template(kind, samples.WRITTEN, 0))


@cache
def partial(kind: str) -> frozenset[str]:
    """Return the fields that rows of a search lack: arrays, long texts, and what the page of the kind names."""
    arrays = {name for name, value in fields(kind).items() if isinstance(value, list)}
    return frozenset(arrays) | _LONG | _HIDDEN.get(kind, frozenset())


@cache
def words(kind: str) -> str:
    """Return the field that an update without further wishes changes."""
    return next(name for name in _WORDS if name in fields(kind))


@cache
def spelled(kind: str) -> Mapping[str, tuple[float, bytes]]:
    """Return how Nexudus spells the decimals of a kind (`0.09000`), which a writer of JSON would not."""
    if kind in _LAID_OUT or kind == "CancelledBooking":
        return {}
    text = samples.body(_sampled(kind), now=samples.WRITTEN, number=0)
    return {name.decode(): (float(number), number) for name, number in _NUMBER.findall(text)}


def body(kind: str, record: Fields, now: datetime) -> bytes:
    """Return what a hook carries of *record* at *now*: an array of one, without white space, as it would be spelled."""
    shown = dict(record)
    for name, (number, text) in spelled(kind).items():
        if shown.get(name) == number:
            shown[name] = orjson.Fragment(text)
    start = shown.get("FromTime")
    if "MinutesToStart" in shown and isinstance(start, str):
        shown["MinutesToStart"] = int((datetime.fromisoformat(start) - now).total_seconds() // 60)
    return orjson.dumps([shown])


def stranger(number: int) -> Fields:
    """Return what makes a customer somebody else than the people whom the samples speak of."""
    name = f"Customer {number % 1_000_000}"
    return {"FullName": name, "Email": f"customer.{number}@example.com", "ToStringText": name}


@cache
def _sampled(kind: str) -> str:
    return next(name for name in actions.NAMES if actions.entity_kind(name) == kind)
