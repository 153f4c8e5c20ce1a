"""What back-fill does for each of the 90 actions. Pure. The page docs/backfill.md is written from this table."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from receiver.nexudus.record_kinds import KINDS
from receiver.reconcile.rules import NEVER_UPDATED_MS, Ask, Inside, Row, Rule, Stage, Sure
from receiver.reconcile.times import moment


def _created(row: Row, _inside: Inside) -> int | None:
    return moment(row.get("CreatedOn"))


def _updated(row: Row, _inside: Inside) -> int | None:
    created, updated = moment(row.get("CreatedOn")), moment(row.get("UpdatedOn"))
    return updated if created is not None and updated is not None and updated > created + NEVER_UPDATED_MS else None


def _updated_at_once(row: Row, _inside: Inside) -> int | None:
    created, updated = moment(row.get("CreatedOn")), moment(row.get("UpdatedOn"))
    is_doubtful = created is not None and updated is not None and 0 < updated - created <= NEVER_UPDATED_MS
    return updated if is_doubtful else None


def _at(field: str, *flags: str) -> Callable[[Row, Inside], int | None]:
    """Happened at *field*, if all of *flags* are true."""
    return lambda row, _inside: moment(row.get(field)) if all(row.get(flag) is True for flag in flags) else None


def create(action: str, kind: str, sure: Sure = Sure.EXACT, words: str = "CreatedOn is in the gap") -> Rule:
    """Return the rule of a record that is new."""
    return Rule(action, sure, words, Ask(kind, "CreatedOn"), _created, stage=Stage.CREATE)


def update(action: str, kind: str, sure: Sure = Sure.GOOD, more: str = "") -> Rule:
    """Return the rule of a record that changed."""
    trail = ", or up to 5 s and the audit trail has the change" if KINDS[kind].is_audited else ""
    words = f"UpdatedOn is in the gap and over 5 s later than CreatedOn{trail}{more}"
    return Rule(action, sure, words, Ask(kind, "UpdatedOn"), _updated, _updated_at_once, key="UpdatedOn")


def audited(action: str, kind: str) -> Rule:
    """Return the rule of a record that was deleted, and that the audit trail knows."""
    filters = (("AuditTrailEntry_EntityShortName", kind), ("AuditTrailEntry_AuditType", "3"))
    words = "the audit trail has an entry of the delete; the event has the Id, and the record that was kept last"
    ask = Ask("AuditTrailEntry", "CreatedOn", filters)
    return Rule(action, Sure.EXACT, words, ask, _created, stage=Stage.DELETE, body="EntityId", body_kind=kind)


def by_ids(action: str, kind: str) -> Rule:
    """Return the rule of a record that was deleted, and that only a comparison of Ids can miss."""
    words = "no list and no audit trail tells of it; with `reconcile: {deletes: daily}` the Ids are compared each day"
    return Rule(action, Sure.GOOD, words, Ask(kind, "CreatedOn"), stage=Stage.DELETE, by_ids=True)


def no(action: str, words: str) -> Rule:
    """Return the rule of what nothing at Nexudus tells."""
    return Rule(action, Sure.NO, words)


def _invoice(row: Row, *, is_credit_note: bool) -> int | None:
    return moment(row.get("CreatedOn")) if (row.get("CreditNote") is True) is is_credit_note else None


def _activated(row: Row, _inside: Inside) -> int | None:
    created, starts = moment(row.get("CreatedOn")), moment(row.get("StartDate"))
    if row.get("Active") is not True or created is None:
        return None
    return max(created, starts or 0)


def _history(failed: bool) -> Callable[[Row, Inside], int | None]:
    def happened(row: Row, _inside: Inside) -> int | None:
        text = str(row.get("Description") or "")
        is_failed = text.startswith("FAILED:") or (text.startswith("AWAITING:") and "Exception" in text)
        is_awaiting = text.startswith("AWAITING:") and not is_failed
        return moment(row.get("CreatedOn")) if (is_failed if failed else is_awaiting) else None

    return happened


def _received_payment(row: Row, _inside: Inside) -> int | None:
    credit = row.get("Credit")
    is_payment = isinstance(credit, int | float) and credit > 0 and bool(row.get("CoworkerInvoiceId"))
    return moment(row.get("CreatedOn")) if is_payment else None


def _checked_in(row: Row, inside: Inside) -> int | None:
    came, created = moment(row.get("FromTime")), moment(row.get("CreatedOn"))
    return came if came is not None and created is not None and inside(created) else None


def _became_true(row: Row) -> bool:
    return str(row.get("NewValue")).strip().lower() in ("true", "1")


def _moved_forward(row: Row) -> bool:
    before, after = moment(row.get("OldValue")), moment(row.get("NewValue"))
    return after is not None and (before is None or after > before)


def _with(rule: Rule, **fields: Any) -> Rule:
    values = {name: getattr(rule, name) for name in Rule.__slots__}
    return Rule(**values | fields)


_INVOICE_HISTORY = Ask("CoworkerInvoiceHistory", "CreatedOn", (("CoworkerInvoiceHistory_Name", "Payment Result"),))
_CONTRACTS = Ask("CoworkerContract", "UpdatedOn")
_ACTIVATE = Rule(
    "CoworkerContractActivate",
    Sure.GOOD,
    "the audit trail has Active becoming true in the gap; or, as for a contract that was created active: Active is "
    "true and the later of StartDate and CreatedOn is in the gap",
    _CONTRACTS,
    _activated,
    key="StartDate",
    audit="Active",
    audit_fits=_became_true,
    has_both=True,
)

_RULES = (
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
        _at("CancelledOn"),
        stage=Stage.DELETE,
        number="OriginalBookingId",
    ),
    no("SendWelcomeEmail", "Nexudus keeps no record of a welcome e-mail"),
    _ACTIVATE,
    Rule(
        "CoworkerContractCancel",
        Sure.GOOD,
        "the audit trail has Cancelled becoming true in the gap; without the trail: Cancelled is true and "
        "CancellationDate is in the gap",
        Ask("CoworkerContract", "CancellationDate"),
        _at("CancellationDate", "Cancelled"),
        key="CancellationDate",
        audit="Cancelled",
        audit_fits=_became_true,
    ),
    Rule(
        "CoworkerContractRenew",
        Sure.GOOD,
        "the audit trail has RenewalDate moving forward in the gap; without the trail it cannot be known",
        audit="RenewalDate",
        audit_fits=_moved_forward,
        key="RenewalDate",
    ),
    Rule(
        "CoworkerContractUpgradeDowngrade",
        Sure.GOOD,
        "the history of price plans has an entry in the gap; the event has the new contract",
        Ask("CoworkerPricePlanHistory", "CreatedOn"),
        _created,
        body="ContractId",
        body_kind="CoworkerContract",
    ),
    _with(
        _ACTIVATE,
        action="CoworkerContractActivateFirst",
        sure=Sure.WEAK,
        words="as CoworkerContractActivate, and the customer has no older contract",
        first_by="CoworkerContract_Coworker",
    ),
    Rule(
        "CoworkerInvoiceCreateFirst",
        Sure.WEAK,
        "as CoworkerInvoiceCreate, and the customer has no older invoice",
        Ask("CoworkerInvoice", "CreatedOn"),
        lambda row, _inside: _invoice(row, is_credit_note=False),
        stage=Stage.CREATE,
        first_by="CoworkerInvoice_Coworker",
    ),
    Rule(
        "CoworkerInvoiceCreate",
        Sure.EXACT,
        "CreatedOn is in the gap and CreditNote is not true; drafts count",
        Ask("CoworkerInvoice", "CreatedOn"),
        lambda row, _inside: _invoice(row, is_credit_note=False),
        stage=Stage.CREATE,
    ),
    audited("CoworkerInvoiceDelete", "CoworkerInvoice"),
    update("CoworkerInvoiceUpdate", "CoworkerInvoice", more="; payments do not move it"),
    Rule(
        "CoworkerInvoiceRefund",
        Sure.GOOD,
        "the audit trail has Refunded becoming true in the gap; without the trail: Refunded is true and RefundedOn is "
        "in the gap",
        Ask("CoworkerInvoice", "UpdatedOn"),
        _at("RefundedOn", "Refunded"),
        key="RefundedOn",
        audit="Refunded",
        audit_fits=_became_true,
    ),
    Rule(
        "CoworkerInvoiceCreditNote",
        Sure.EXACT,
        "CreatedOn is in the gap and CreditNote is true; the event has the credit note",
        Ask("CoworkerInvoice", "CreatedOn"),
        lambda row, _inside: _invoice(row, is_credit_note=True),
        stage=Stage.CREATE,
    ),
    Rule(
        "CoworkerInvoicePaid",
        Sure.GOOD,
        "the audit trail has Paid becoming true in the gap; without the trail: Paid is true and PaidOn is in the gap",
        Ask("CoworkerInvoice", "PaidOn", (("CoworkerInvoice_Paid", "true"),)),
        _at("PaidOn", "Paid"),
        key="PaidOn",
        audit="Paid",
        audit_fits=_became_true,
    ),
    Rule(
        "CoworkerInvoiceFailedPayment",
        Sure.GOOD,
        "the invoice's history has a payment result in the gap: FAILED:, or AWAITING: with an exception",
        _INVOICE_HISTORY,
        _history(failed=True),
        body="CoworkerInvoiceId",
        body_kind="CoworkerInvoice",
    ),
    Rule(
        "CoworkerInvoiceReceivedPayment",
        Sure.GOOD,
        "the customer's ledger has a credit for the invoice in the gap",
        Ask("CoworkerLedgerEntry", "CreatedOn"),
        _received_payment,
        body="CoworkerInvoiceId",
        body_kind="CoworkerInvoice",
    ),
    Rule(
        "CoworkerInvoiceAwaitingPayment",
        Sure.GOOD,
        "the invoice's history has a payment result in the gap: AWAITING:, without an exception",
        _INVOICE_HISTORY,
        _history(failed=False),
        body="CoworkerInvoiceId",
        body_kind="CoworkerInvoice",
    ),
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
        _at("UpdatedOn", "Active"),
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
        _at("ToTime"),
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
        audit_fits=_became_true,
    ),
    create("CommunityBoardNewThread", "CommunityThread"),
    create("CommunityBoardNewReply", "CommunityMessage"),
    Rule(
        "VisitorCheckedin",
        Sure.EXACT,
        "Arrived is true and ArrivalDate is in the gap",
        Ask("Visitor", "ArrivalDate", (("Visitor_Arrived", "true"),)),
        _at("ArrivalDate", "Arrived"),
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
    update("CoworkerContractUpdate", "CoworkerContract"),
    Rule(
        "AccessControlUpdate",
        Sure.WEAK,
        "AccessControlDebounceTime is in the gap; what the field means is a guess",
        Ask("Coworker", "AccessControlDebounceTime"),
        _at("AccessControlDebounceTime"),
        key="AccessControlDebounceTime",
    ),
    create("CoworkerContractCreate", "CoworkerContract"),
    no("FailedCheckin", "Nexudus keeps no record of a check-in that failed"),
    audited("VisitorDeleted", "Visitor"),
    create("CoworkerInvoiceLedgerEntryCreate", "CoworkerLedgerEntry"),
    audited("CoworkerInvoiceLedgerEntryDelete", "CoworkerLedgerEntry"),
    update("CoworkerInvoiceLedgerEntryUpdate", "CoworkerLedgerEntry"),
    create("CoworkerProductCreate", "CoworkerProduct"),
    update("CoworkerProductUpdate", "CoworkerProduct", more="; invoicing moves it too"),
    audited("CoworkerProductDelete", "CoworkerProduct"),
    create("FloorPlanDeskCreate", "FloorPlanDesk"),
    audited("FloorPlanDeskDelete", "FloorPlanDesk"),
    update("FloorPlanDeskUpdate", "FloorPlanDesk"),
    create("TariffCreate", "Tariff"),
    by_ids("TariffDelete", "Tariff"),
    update("TariffUpdate", "Tariff"),
    audited("CoworkerContractDelete", "CoworkerContract"),
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

RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.action: rule for rule in _RULES})
"""The rule of each action, in the order of the numbers."""
