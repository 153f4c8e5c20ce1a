"""What contracts and invoices go through at the simulated Nexudus: deeds of `life`. Pure.

Payments, refunds and renewals do not move UpdatedOn: who looks for them has to look elsewhere.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from receiver.simulator.account.scene import Scene, Told
from receiver.simulator.account.views import Living, stamp


def _contract_created(scene: Scene) -> Told:
    start = stamp(scene.order.at + timedelta(days=30))
    return [("CoworkerContractCreate", scene.create("CoworkerContract", Active=False, StartDate=start))]


def _activated(scene: Scene) -> Told:
    contract = scene.pick("CoworkerContract", lambda one: not one["Active"] and not one["Cancelled"], Active=False)
    scene.change(contract, Active=True, StartDate=scene.now, StartDateLocal=scene.today)
    return [("CoworkerContractUpdate", contract), ("CoworkerContractActivate", contract)]


def _activated_first(scene: Scene) -> Told:
    contract = scene.newcomer("CoworkerContract", Active=False)
    scene.change(contract, Active=True, StartDate=scene.now, StartDateLocal=scene.today)
    first = ("CoworkerContractActivateFirst", contract)
    return [("CoworkerContractUpdate", contract), ("CoworkerContractActivate", contract), first]


def _cancelled(scene: Scene) -> Told:
    contract = scene.pick("CoworkerContract", lambda one: one["Active"] and not one["Cancelled"])
    scene.change(contract, Cancelled=True, CancellationDate=scene.now, CancellationDateLocal=scene.today)
    return [("CoworkerContractUpdate", contract), ("CoworkerContractCancel", contract)]


def _renewed(scene: Scene) -> Told:
    contract = scene.pick("CoworkerContract", lambda one: one["Active"] and not one["Cancelled"])
    until = datetime.fromisoformat(contract.record["RenewalDate"]) + timedelta(days=30)
    return [("CoworkerContractRenew", scene.change(contract, touch=False, RenewalDate=stamp(until)))]


def _upgraded(scene: Scene) -> Told:
    """The old contract is cancelled, a new one begins, and the history of price plans tells of both."""
    told = list(_cancelled(scene))
    old = told[0][1].record
    new = scene.create("CoworkerContract", Active=True, StartDate=scene.now, CoworkerId=old["CoworkerId"])
    ids = {"OldContractUniqueId": old["UniqueId"], "NewContractUniqueId": new.record["UniqueId"]}
    scene.note("CoworkerPricePlanHistory", CoworkerId=old["CoworkerId"], IsUpgrade=True, **ids)
    names = ("CoworkerContractCreate", "CoworkerContractActivate", "CoworkerContractUpgradeDowngrade")
    return told + [(name, new) for name in names]


def _invoiced_first(scene: Scene) -> Told:
    customer = scene.newcomer("CoworkerPaymentMethod").record["CoworkerId"]
    invoice = scene.create("CoworkerInvoice", CoworkerId=customer)
    return [("CoworkerInvoiceCreate", invoice), ("CoworkerInvoiceCreateFirst", invoice)]


def _credited(scene: Scene) -> Told:
    invoice = scene.pick("CoworkerInvoice", lambda one: not one["CreditNote"]).record
    minus = {name: -invoice[name] for name in ("TotalAmount", "TransactionTotalAmount", "DueAmount")}
    note = scene.create("CoworkerInvoice", CreditNote=True, OriginalInvoiceGuid=invoice["UniqueId"], **minus)
    return [("CoworkerInvoiceCreditNote", note)]


def _refunded(scene: Scene) -> Told:
    invoice = scene.pick("CoworkerInvoice", lambda one: one["Paid"] and not one["Refunded"], Paid=True)
    scene.change(invoice, touch=False, Refunded=True, RefundedOn=scene.now, RefundedOnLocal=scene.today)
    return [("CoworkerInvoiceRefund", invoice)]


def _received(scene: Scene, *, all_of_it: bool = False) -> Told:
    """A payment is an entry of the ledger; what it pays knows of it, but not by its UpdatedOn."""
    invoice = scene.pick("CoworkerInvoice", lambda one: not one["Paid"] and one["DueAmount"] > 1)
    due = invoice.record["DueAmount"]
    amount = due if all_of_it else round(due / 2, 2)
    shown = {name: invoice.record[name] for name in ("CoworkerId", "CoworkerFullName")}
    entry = scene.note("CoworkerLedgerEntry", CoworkerInvoiceId=invoice.id, Credit=amount, Debit=0.0, **shown)
    rest = {"PaidAmount": round(invoice.record["PaidAmount"] + amount, 2), "DueAmount": round(due - amount, 2)}
    paid = {"Paid": True, "PaidOn": scene.now, "PaidOnLocal": scene.today} if all_of_it else {}
    scene.change(invoice, touch=False, **rest | paid)
    return [("CoworkerInvoiceLedgerEntryCreate", entry), ("CoworkerInvoiceReceivedPayment", invoice)]


def _paid(scene: Scene) -> Told:
    told = _received(scene, all_of_it=True)
    _history(scene, told[1][1], "SUCCESS: Paid in full", is_problem=False)
    return [*told, ("CoworkerInvoicePaid", told[1][1])]


def _failed(scene: Scene) -> Told:
    return _attempted(scene, "FAILED: The card was declined", is_problem=True)


def _awaited(scene: Scene) -> Told:
    return _attempted(scene, "AWAITING: Direct debit was sent to the bank", is_problem=False)


def _attempted(scene: Scene, text: str, *, is_problem: bool) -> Told:
    invoice = scene.pick("CoworkerInvoice", lambda one: not one["Paid"] and not one["CreditNote"])
    scene.change(invoice, touch=False, LastPaymentAttempt=scene.now, LastPaymentAttemptLocal=scene.today)
    _history(scene, invoice, text, is_problem=is_problem)
    return [(scene.order.action, invoice)]


def _history(scene: Scene, invoice: Living, text: str, *, is_problem: bool) -> None:
    named = {"CoworkerInvoiceId": invoice.id, "CoworkerInvoiceInvoiceNumber": invoice.record["InvoiceNumber"]}
    named |= {"CoworkerInvoiceCoworkerId": invoice.record["CoworkerId"], "CoworkerInvoicePaid": invoice.record["Paid"]}
    said = {"Name": "Payment Result", "Description": text, "IsProblem": is_problem}
    scene.note("CoworkerInvoiceHistory", **named | said)


def _booked_in_ledger(scene: Scene) -> Told:
    entry = scene.create(
        "CoworkerLedgerEntry", CoworkerInvoiceId=None, CoworkerInvoicePaid=None, Credit=0.0, Debit=12.5
    )
    return [("CoworkerInvoiceLedgerEntryCreate", entry)]


DEEDS: Mapping[str, Callable[[Scene], Told]] = MappingProxyType(
    {
        "CoworkerContractCreate": _contract_created,
        "CoworkerContractActivate": _activated,
        "CoworkerContractActivateFirst": _activated_first,
        "CoworkerContractCancel": _cancelled,
        "CoworkerContractRenew": _renewed,
        "CoworkerContractUpgradeDowngrade": _upgraded,
        "CoworkerInvoiceCreateFirst": _invoiced_first,
        "CoworkerInvoiceCreditNote": _credited,
        "CoworkerInvoiceRefund": _refunded,
        "CoworkerInvoiceReceivedPayment": _received,
        "CoworkerInvoicePaid": _paid,
        "CoworkerInvoiceFailedPayment": _failed,
        "CoworkerInvoiceAwaitingPayment": _awaited,
        "CoworkerInvoiceLedgerEntryCreate": _booked_in_ledger,
    }
)
"""By action."""
