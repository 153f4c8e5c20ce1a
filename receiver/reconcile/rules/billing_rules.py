"""The rules of contracts and invoices, which have histories of their own. Pure."""

from collections.abc import Callable
from typing import Any, Final

from receiver.nexudus.record_times import moment
from receiver.reconcile.rules.create_update_delete import at, audited, became_true, create, created, update
from receiver.reconcile.rules.rule import Ask, Inside, Row, Rule, Stage, Sure


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
    audit_fits=became_true,
    has_both=True,
)

BILLING: Final = (
    _ACTIVATE,
    Rule(
        "CoworkerContractCancel",
        Sure.GOOD,
        "the audit trail has Cancelled becoming true in the gap; without the trail: Cancelled is true and "
        "CancellationDate is in the gap",
        Ask("CoworkerContract", "CancellationDate"),
        at("CancellationDate", "Cancelled"),
        key="CancellationDate",
        audit="Cancelled",
        audit_fits=became_true,
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
        created,
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
        at("RefundedOn", "Refunded"),
        key="RefundedOn",
        audit="Refunded",
        audit_fits=became_true,
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
        at("PaidOn", "Paid"),
        key="PaidOn",
        audit="Paid",
        audit_fits=became_true,
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
    update("CoworkerContractUpdate", "CoworkerContract"),
    create("CoworkerContractCreate", "CoworkerContract"),
    create("CoworkerInvoiceLedgerEntryCreate", "CoworkerLedgerEntry"),
    audited("CoworkerInvoiceLedgerEntryDelete", "CoworkerLedgerEntry"),
    update("CoworkerInvoiceLedgerEntryUpdate", "CoworkerLedgerEntry"),
    audited("CoworkerContractDelete", "CoworkerContract"),
)
