"""The records of Nexudus as types, for handlers that take `event: Event[Booking]`.

    from workers import Event
    from workers.records import Booking

    def open_door(event: Event[Booking]) -> None:
        grant(event.data.CoworkerId, event.data.FromTime, event.data.ToTime)     # aware datetimes

Fields have Nexudus's own names. All but `Id` may be None. Fields that a type does not name are kept, as attributes and
in `model_extra`. Amounts are decimals. A field of another type is kept unchanged: its name, but not its value, is in
`unfit` (`"FromTime" in event.data.unfit`) and in the log. A delivery ends as dead only when its record has no `Id`, or
lacks a field that your own type requires.

The table shows which record each action carries, and how certain that is, because Nexudus documents it for none.
*seen*: public receivers read such a record from that hook. *named*: the name of the action says so, and the record is
assumed to be the one of the REST API. *guessed*: neither; look at one with `frontdesk show` before you rely on it.

    BlogPost              named    BlogPostCreate, BlogPostUpdate, BlogPostDelete
    Booking               seen     BookingCreate, BookingUpdate, BookingDelete
    Business              named    BusinessUpdate
    CalendarEvent         named    CalendarEventCreate, CalendarEventUpdate, CalendarEventDelete
    ChatUserMessage       guessed  GlobalChatMessageCreate
    Checkin               named    CheckinCreated, CheckinUpdated, CheckinDeleted
                          guessed  CoworkerCheckout, CoworkerCheckin, CoworkerCheckinFailed, FailedCheckin
    CommunityGroup        named    CommunityGroupCreate, CommunityGroupDelete, CommunityGroupUpdate
    CommunityMessage      named    CommunityBoardNewReply
    CommunityThread       named    CommunityBoardNewThread
    Coworker              seen     AccessControlUpdate
                          named    CoworkerUpdate, CoworkerCreate, CoworkerDelete
                          guessed  SendWelcomeEmail
    CoworkerContract      seen     CoworkerContractActivate, CoworkerContractCancel
                          named    CoworkerContractRenew, CoworkerContractUpgradeDowngrade,
                                   CoworkerContractActivateFirst, CoworkerContractUpdate, CoworkerContractCreate,
                                   CoworkerContractDelete
    CoworkerDelivery      named    DeliveryCreated
                          guessed  DeliveryAssigned
    CoworkerInvoice       seen     CoworkerInvoiceCreateFirst, CoworkerInvoiceCreate, CoworkerInvoiceDelete,
                                   CoworkerInvoiceUpdate, CoworkerInvoiceRefund, CoworkerInvoiceCreditNote,
                                   CoworkerInvoicePaid, CoworkerInvoiceFailedPayment, CoworkerInvoiceReceivedPayment,
                                   CoworkerInvoiceAwaitingPayment
    CoworkerLedgerEntry   named    CoworkerInvoiceLedgerEntryCreate, CoworkerInvoiceLedgerEntryDelete,
                                   CoworkerInvoiceLedgerEntryUpdate
    CoworkerMessage       named    CoworkerMessageCreate
    CoworkerPaymentMethod named    CoworkerPaymentMethodCreate, CoworkerPaymentMethodDelete,
                                   CoworkerPaymentMethodUpdate
    CoworkerProduct       named    CoworkerProductCreate, CoworkerProductUpdate, CoworkerProductDelete
    EventAttendee         named    CalendarEventAttendeeDelete, CalendarEventAttendeeCreate,
                                   CalendarEventAttendeeUpdate
    FloorPlan             named    FloorPlanCreate, FloorPlanDelete, FloorPlanUpdate
    FloorPlanDesk         named    FloorPlanDeskCreate, FloorPlanDeskDelete, FloorPlanDeskUpdate
    HelpDeskComment       seen     HelpDeskCommentCreated
    HelpDeskMessage       seen     HelDeskMessageCreated
    NewsLetterSubscriber  seen     NewsLetterSubscriberCreate, NewsLetterSubscriberSubscribed,
                                   NewsLetterSubscriberUnSubscribed, NewsLetterSubscriberRemovedFromGroup
    Product               named    ProductCreate, ProductDelete, ProductUpdate
    Proposal              named    ProposalCreated, ProposalUpdated, ProposalDeleted
    Tariff                named    TariffCreate, TariffDelete, TariffUpdate
    Team                  named    TeamCreated, TeamUpdated, TeamDeleted
    Visitor               seen     VisitorNotification
                          named    VisitorCheckedin, VisitorRegistered, VisitorDeleted
"""

from receiver.nexudus.records.bookings import Booking, Checkin
from receiver.nexudus.records.calendar_and_articles import BlogPost, CalendarEvent, EventAttendee, NewsLetterSubscriber
from receiver.nexudus.records.contracts import CoworkerContract, Proposal, Tariff
from receiver.nexudus.records.invoices import CoworkerInvoice, CoworkerLedgerEntry, CoworkerPaymentMethod
from receiver.nexudus.records.messages import (
    ChatUserMessage,
    CommunityGroup,
    CommunityMessage,
    CommunityThread,
    CoworkerMessage,
    HelpDeskComment,
    HelpDeskMessage,
)
from receiver.nexudus.records.people import Coworker, Team, Visitor
from receiver.nexudus.records.places import Business, FloorPlan, FloorPlanDesk
from receiver.nexudus.records.products import CoworkerDelivery, CoworkerProduct, Product
from receiver.nexudus.records.record import LocalTime, Record, Time

__all__ = [
    "BlogPost",
    "Booking",
    "Business",
    "CalendarEvent",
    "ChatUserMessage",
    "Checkin",
    "CommunityGroup",
    "CommunityMessage",
    "CommunityThread",
    "Coworker",
    "CoworkerContract",
    "CoworkerDelivery",
    "CoworkerInvoice",
    "CoworkerLedgerEntry",
    "CoworkerMessage",
    "CoworkerPaymentMethod",
    "CoworkerProduct",
    "EventAttendee",
    "FloorPlan",
    "FloorPlanDesk",
    "HelpDeskComment",
    "HelpDeskMessage",
    "LocalTime",
    "NewsLetterSubscriber",
    "Product",
    "Proposal",
    "Record",
    "Tariff",
    "Team",
    "Time",
    "Visitor",
]
