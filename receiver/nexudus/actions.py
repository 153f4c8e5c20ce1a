"""eWebhookAction: what can happen at Nexudus, by number and name, with the kind of record that the hook then carries.

The numbers are those of the API pages "Create WebHook" and "Get one WebHook" of learn.nexudus.com. An action is a name
everywhere else in Frontdesk, never an enumeration: one that Nexudus adds tomorrow passes through without a number.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

_TABLE = (
    (1, "None", ""),
    (2, "CoworkerUpdate", "Coworker"),
    (3, "CoworkerCreate", "Coworker"),
    (4, "BlogPostCreate", "BlogPost"),
    (5, "BlogPostUpdate", "BlogPost"),
    (6, "BookingCreate", "Booking"),
    (7, "BookingUpdate", "Booking"),
    (8, "BookingDelete", "Booking"),
    (9, "SendWelcomeEmail", "Coworker"),
    (10, "CoworkerContractActivate", "CoworkerContract"),
    (11, "CoworkerContractCancel", "CoworkerContract"),
    (12, "CoworkerContractRenew", "CoworkerContract"),
    (13, "CoworkerContractUpgradeDowngrade", "CoworkerContract"),
    (14, "CoworkerContractActivateFirst", "CoworkerContract"),
    (15, "CoworkerInvoiceCreateFirst", "CoworkerInvoice"),
    (16, "CoworkerInvoiceCreate", "CoworkerInvoice"),
    (17, "CoworkerInvoiceDelete", "CoworkerInvoice"),
    (18, "CoworkerInvoiceUpdate", "CoworkerInvoice"),
    (19, "CoworkerInvoiceRefund", "CoworkerInvoice"),
    (20, "CoworkerInvoiceCreditNote", "CoworkerInvoice"),
    (21, "CoworkerInvoicePaid", "CoworkerInvoice"),
    (22, "CoworkerInvoiceFailedPayment", "CoworkerInvoice"),
    (23, "CoworkerInvoiceReceivedPayment", "CoworkerInvoice"),
    (24, "CoworkerInvoiceAwaitingPayment", "CoworkerInvoice"),
    (25, "CalendarEventCreate", "CalendarEvent"),
    (26, "CalendarEventUpdate", "CalendarEvent"),
    (27, "CalendarEventAttendeeDelete", "EventAttendee"),
    (28, "CalendarEventAttendeeCreate", "EventAttendee"),
    (29, "CalendarEventAttendeeUpdate", "EventAttendee"),
    (30, "GlobalChatMessageCreate", "ChatUserMessage"),
    (31, "NewsLetterSubscriberCreate", "NewsLetterSubscriber"),
    (32, "NewsLetterSubscriberSubscribed", "NewsLetterSubscriber"),
    (33, "NewsLetterSubscriberUnSubscribed", "NewsLetterSubscriber"),
    (34, "NewsLetterSubscriberRemovedFromGroup", "NewsLetterSubscriber"),
    (35, "CoworkerCheckout", "Checkin"),
    (36, "CoworkerCheckin", "Checkin"),
    (37, "CoworkerCheckinFailed", "Checkin"),
    (38, "VisitorNotification", "Visitor"),
    (39, "CommunityBoardNewThread", "CommunityThread"),
    (40, "CommunityBoardNewReply", "CommunityMessage"),
    (41, "VisitorCheckedin", "Visitor"),
    (42, "VisitorRegistered", "Visitor"),
    (43, "BlogPostDelete", "BlogPost"),
    (44, "CalendarEventDelete", "CalendarEvent"),
    (45, "HelDeskMessageCreated", "HelpDeskMessage"),
    (46, "HelpDeskCommentCreated", "HelpDeskComment"),
    (47, "CheckinCreated", "Checkin"),
    (48, "CheckinUpdated", "Checkin"),
    (49, "CheckinDeleted", "Checkin"),
    (50, "CoworkerDelete", "Coworker"),
    (51, "CoworkerMessageCreate", "CoworkerMessage"),
    (52, "DeliveryCreated", "CoworkerDelivery"),
    (53, "DeliveryAssigned", "CoworkerDelivery"),
    (54, "ProposalCreated", "Proposal"),
    (55, "ProposalUpdated", "Proposal"),
    (56, "ProposalDeleted", "Proposal"),
    (57, "TeamCreated", "Team"),
    (58, "TeamUpdated", "Team"),
    (59, "TeamDeleted", "Team"),
    (60, "CoworkerContractUpdate", "CoworkerContract"),
    (61, "AccessControlUpdate", "Coworker"),
    (62, "CoworkerContractCreate", "CoworkerContract"),
    (63, "FailedCheckin", "Checkin"),
    (64, "VisitorDeleted", "Visitor"),
    (65, "CoworkerInvoiceLedgerEntryCreate", "CoworkerLedgerEntry"),
    (66, "CoworkerInvoiceLedgerEntryDelete", "CoworkerLedgerEntry"),
    (67, "CoworkerInvoiceLedgerEntryUpdate", "CoworkerLedgerEntry"),
    (68, "CoworkerProductCreate", "CoworkerProduct"),
    (69, "CoworkerProductUpdate", "CoworkerProduct"),
    (70, "CoworkerProductDelete", "CoworkerProduct"),
    (71, "FloorPlanDeskCreate", "FloorPlanDesk"),
    (72, "FloorPlanDeskDelete", "FloorPlanDesk"),
    (73, "FloorPlanDeskUpdate", "FloorPlanDesk"),
    (74, "TariffCreate", "Tariff"),
    (75, "TariffDelete", "Tariff"),
    (76, "TariffUpdate", "Tariff"),
    (77, "CoworkerContractDelete", "CoworkerContract"),
    (78, "FloorPlanCreate", "FloorPlan"),
    (79, "FloorPlanDelete", "FloorPlan"),
    (80, "FloorPlanUpdate", "FloorPlan"),
    (81, "ProductCreate", "Product"),
    (82, "ProductDelete", "Product"),
    (83, "ProductUpdate", "Product"),
    (84, "BusinessUpdate", "Business"),
    (85, "CommunityGroupCreate", "CommunityGroup"),
    (86, "CommunityGroupDelete", "CommunityGroup"),
    (87, "CommunityGroupUpdate", "CommunityGroup"),
    (88, "CoworkerPaymentMethodCreate", "CoworkerPaymentMethod"),
    (89, "CoworkerPaymentMethodDelete", "CoworkerPaymentMethod"),
    (90, "CoworkerPaymentMethodUpdate", "CoworkerPaymentMethod"),
)
"""Number, name, entity. Entities are named as in the REST API; no page says which record a hook carries, see
`certainty`. `HelDesk` is Nexudus's own spelling."""

CODES: Mapping[str, int] = MappingProxyType({name: code for code, name, _ in _TABLE})
"""Name to number of the 90 known actions, in the order of the numbers; `None` (1) included."""

NAMES = tuple(name for _, name, entity in _TABLE if entity)
"""The 89 actions that events can have: all but `None`."""

_SEEN = frozenset({*range(6, 9), 10, 11, *range(15, 25), *range(31, 35), 38, 45, 46, 61})
_GUESSED = frozenset({9, 30, 35, 36, 37, 53, 63})

Certainty = Literal["seen", "named", "guessed"]

_KINDS = {name: entity for _, name, entity in _TABLE if entity}
_VERB = re.compile(r"(?<=[a-z])(Created?|Updated?|Deleted?|Activated?|Cancel(?:led)?|Registered|Assigned|Paid)$")


def code_of(name: str) -> int | None:
    """Return the number of an action, or None for a name that the table does not know."""
    return CODES.get(name)


def certainty(action: str) -> Certainty:
    """Return how certain it is that the hook of an action carries the record that `entity_kind` names.

    Nexudus documents it for no action. *seen*: public receivers read such a record from that hook. *named*: the
    action's name says so, and we assume the record that the REST API returns. *guessed*: neither, or an unknown action.
    """
    code = CODES.get(action)
    if code in _SEEN:
        return "seen"
    return "guessed" if code is None or code in _GUESSED else "named"


def entity_kind(action: str) -> str:
    """Return the kind of record that an action is about: "BookingCreate" gives "Booking".

    For an action that the table does not know, this is its name without the verb at its end.
    """
    return _KINDS.get(action) or _VERB.sub("", action)
