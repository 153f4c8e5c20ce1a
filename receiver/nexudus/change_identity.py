"""Which change of a record an event tells of: hooks bring, and back-fill makes, events of one change in other bytes.

Two events of one location and action are of the same change if they have the same Id and this field to the second. It
is stricter than `Rule.key` of `receiver.reconcile.rules`, by which back-fill finds the kept event of what it found: an
event that is taken for another is lost. `receiver.storage.model.change_claims` and `changes.lua` remember the changes.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

_SECOND: Final = len("2026-05-04T10:00:00")

_BY: Final = {
    "AccessControlUpdate": "AccessControlDebounceTime",
    "CoworkerCheckin": "FromTime",
    "CoworkerCheckout": "ToTime",
    "CoworkerContractRenew": "RenewalDate",
    "CoworkerInvoicePaid": "PaidOn",
    "CoworkerInvoiceRefund": "RefundedOn",
    "VisitorCheckedin": "ArrivalDate",
}
"""Actions whose change does not move UpdatedOn, or is not known to."""

_ONCE_BY_END: Final = ("Create", "Created", "Delete", "Deleted", "CreateFirst")
_ONCE: Final = frozenset(
    {"CommunityBoardNewThread", "CommunityBoardNewReply", "CoworkerInvoiceCreditNote", "VisitorRegistered"}
)

_UNTOLD: Final = frozenset(
    {
        "CoworkerInvoiceAwaitingPayment",  # an invoice may have several attempts and payments, and none of these
        "CoworkerInvoiceFailedPayment",  # moves a time of the record that the webhook sends
        "CoworkerInvoiceReceivedPayment",
        "CoworkerCheckinFailed",
        "FailedCheckin",
        "SendWelcomeEmail",
        "VisitorNotification",
    }
)


def field_of(action: str) -> str | None:
    """Return the field that tells the changes of one record apart; empty: there is only one; None: nothing tells."""
    if action in _UNTOLD:
        return None
    is_once = action in _ONCE or action.endswith(_ONCE_BY_END)
    return _BY.get(action, "" if is_once else "UpdatedOn")


def of(field: str | None, record: Mapping[str, Any]) -> bytes | None:
    """Return the change that a record tells of, by its *field*, as `field_of` has it; None: the record tells none."""
    if not field:
        return None if field is None else b""
    value = record.get(field)
    if type(value) is not str:
        return None
    if value.endswith("Z"):  # nearly always, and cutting is a tenth of the price of reading
        return value[:_SECOND].encode()
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (at.astimezone(UTC) if at.tzinfo else at).strftime("%Y-%m-%dT%H:%M:%S").encode()
