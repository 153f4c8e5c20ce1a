"""What back-fill does for each action. Pure. Contracts and invoices are in `billing_rules`.

The page docs/backfill.md is written from this table."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from receiver.nexudus.actions import CODES
from receiver.nexudus.record_times import moment
from receiver.reconcile.rules.billing_rules import BILLING
from receiver.reconcile.rules.create_update_delete import at, audited, became_true, by_ids, create, no, update
from receiver.reconcile.rules.rule import Ask, Inside, Row, Rule, Stage, Sure


def _checked_in(row: Row, inside: Inside) -> int | None:
    came, created = moment(row.get("FromTime")), moment(row.get("CreatedOn"))
    return came if came is not None and created is not None and inside(created) else None


_RULES = (
    *BILLING,
    no("None", "stands for no action"),
    update("CoworkerUpdate", "Coworker", more="; background jobs of Nexudus move it too"),
    create("CoworkerCreate", "Coworker"),
    create("BlogPostCreate", "BlogPost"),
    update("BlogPostUpdate", "BlogPost"),
    create(
        "BookingCreate", "Booking", words="CreatedOn is in the gap; what was cancelled since is only in BookingDelete"
    ),
    update("BookingUpdate", "Booking", more="; check-in and invoicing move it too"),
    Rule(
        "BookingDelete",
        Sure.EXACT,
        "a cancelled booking has CancelledOn in the gap; the event has its snapshot, under the Id of the booking",
        Ask("CancelledBooking", "CancelledOn"),
        at("CancelledOn"),
        stage=Stage.DELETE,
        number="OriginalBookingId",
    ),
    no("SendWelcomeEmail", "Nexudus keeps no record of a welcome e-mail"),
    create("CalendarEventCreate", "CalendarEvent"),
    update("CalendarEventUpdate", "CalendarEvent"),
    by_ids("CalendarEventAttendeeDelete", "EventAttendee"),
    create("CalendarEventAttendeeCreate", "EventAttendee"),
    update("CalendarEventAttendeeUpdate", "EventAttendee", more="; check-in and invoicing move it too"),
    no("GlobalChatMessageCreate", "the messages of the old chat name no location"),
    create("NewsLetterSubscriberCreate", "NewsLetterSubscriber"),
    Rule(
        "NewsLetterSubscriberSubscribed",
        Sure.WEAK,
        "Active is true and UpdatedOn is in the gap",
        Ask("NewsLetterSubscriber", "UpdatedOn"),
        at("UpdatedOn", "Active"),
        key="UpdatedOn",
    ),
    Rule(
        "NewsLetterSubscriberUnSubscribed",
        Sure.WEAK,
        "Active is false and UpdatedOn is in the gap",
        Ask("NewsLetterSubscriber", "UpdatedOn"),
        lambda row, _inside: moment(row.get("UpdatedOn")) if row.get("Active") is False else None,
        key="UpdatedOn",
    ),
    no("NewsLetterSubscriberRemovedFromGroup", "Nexudus keeps no history of a subscriber's groups"),
    Rule(
        "CoworkerCheckout",
        Sure.EXACT,
        "ToTime is in the gap",
        Ask("Checkin", "ToTime"),
        at("ToTime"),
        key="ToTime",
    ),
    Rule(
        "CoworkerCheckin",
        Sure.GOOD,
        "FromTime and CreatedOn are in the gap",
        Ask("Checkin", "FromTime"),
        _checked_in,
        stage=Stage.CREATE,
    ),
    no("CoworkerCheckinFailed", "Nexudus keeps no record of a check-in that failed"),
    Rule(
        "VisitorNotification",
        Sure.GOOD,
        "the audit trail has Notified becoming true in the gap; without the trail it cannot be known",
        audit="Notified",
        audit_fits=became_true,
    ),
    create("CommunityBoardNewThread", "CommunityThread"),
    create("CommunityBoardNewReply", "CommunityMessage"),
    Rule(
        "VisitorCheckedin",
        Sure.EXACT,
        "Arrived is true and ArrivalDate is in the gap",
        Ask("Visitor", "ArrivalDate", (("Visitor_Arrived", "true"),)),
        at("ArrivalDate", "Arrived"),
        key="ArrivalDate",
    ),
    create("VisitorRegistered", "Visitor"),
    by_ids("BlogPostDelete", "BlogPost"),
    by_ids("CalendarEventDelete", "CalendarEvent"),
    create("HelDeskMessageCreated", "HelpDeskMessage"),
    create("HelpDeskCommentCreated", "HelpDeskComment"),
    create("CheckinCreated", "Checkin"),
    update("CheckinUpdated", "Checkin"),
    audited("CheckinDeleted", "Checkin"),
    audited("CoworkerDelete", "Coworker"),
    create("CoworkerMessageCreate", "CoworkerMessage", Sure.GOOD),
    create("DeliveryCreated", "CoworkerDelivery"),
    Rule(
        "DeliveryAssigned",
        Sure.WEAK,
        "CoworkerId is set and UpdatedOn is in the gap",
        Ask("CoworkerDelivery", "UpdatedOn"),
        lambda row, _inside: moment(row.get("UpdatedOn")) if row.get("CoworkerId") else None,
        key="UpdatedOn",
    ),
    create("ProposalCreated", "Proposal"),
    update("ProposalUpdated", "Proposal"),
    by_ids("ProposalDeleted", "Proposal"),
    create("TeamCreated", "Team"),
    update("TeamUpdated", "Team"),
    audited("TeamDeleted", "Team"),
    Rule(
        "AccessControlUpdate",
        Sure.WEAK,
        "AccessControlDebounceTime is in the gap; what the field means is a guess",
        Ask("Coworker", "AccessControlDebounceTime"),
        at("AccessControlDebounceTime"),
        key="AccessControlDebounceTime",
    ),
    no("FailedCheckin", "Nexudus keeps no record of a check-in that failed"),
    audited("VisitorDeleted", "Visitor"),
    create("CoworkerProductCreate", "CoworkerProduct"),
    update("CoworkerProductUpdate", "CoworkerProduct", more="; invoicing moves it too"),
    audited("CoworkerProductDelete", "CoworkerProduct"),
    create("FloorPlanDeskCreate", "FloorPlanDesk"),
    audited("FloorPlanDeskDelete", "FloorPlanDesk"),
    update("FloorPlanDeskUpdate", "FloorPlanDesk"),
    create("TariffCreate", "Tariff"),
    by_ids("TariffDelete", "Tariff"),
    update("TariffUpdate", "Tariff"),
    create("FloorPlanCreate", "FloorPlan"),
    by_ids("FloorPlanDelete", "FloorPlan"),
    update("FloorPlanUpdate", "FloorPlan"),
    create("ProductCreate", "Product"),
    by_ids("ProductDelete", "Product"),
    update("ProductUpdate", "Product", more="; stock moves it too"),
    update("BusinessUpdate", "Business", Sure.WEAK, more="; background jobs of Nexudus move it too"),
    create("CommunityGroupCreate", "CommunityGroup"),
    by_ids("CommunityGroupDelete", "CommunityGroup"),
    update("CommunityGroupUpdate", "CommunityGroup"),
    create("CoworkerPaymentMethodCreate", "CoworkerPaymentMethod"),
    audited("CoworkerPaymentMethodDelete", "CoworkerPaymentMethod"),
    update("CoworkerPaymentMethodUpdate", "CoworkerPaymentMethod"),
)

RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {rule.action: rule for rule in sorted(_RULES, key=lambda rule: CODES[rule.action])}
)
"""The rule of each action, in the order of the numbers."""
