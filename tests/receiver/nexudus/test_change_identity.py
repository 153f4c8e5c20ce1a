"""Which change an event tells of."""

from typing import Any

import pytest

from receiver.nexudus import change_identity


def _of(action: str, record: dict[str, Any]) -> bytes | None:
    return change_identity.of(change_identity.field_of(action), record)


@pytest.mark.parametrize(
    ("written", "change"),
    [
        ("2026-05-04T10:00:00Z", b"2026-05-04T10:00:00"),
        ("2026-05-04T10:00:00.5515198Z", b"2026-05-04T10:00:00"),
        ("2026-05-04T10:00:00", b"2026-05-04T10:00:00"),
        ("2026-05-04T10:00:00.25", b"2026-05-04T10:00:00"),
        ("2026-05-04T12:00:00.1+02:00", b"2026-05-04T10:00:00"),
        ("yesterday", None),
        (None, None),
        (1_777_888_800, None),
    ],
)
def test_times_are_compared_by_the_second_however_they_are_written(written: Any, change: bytes | None) -> None:
    """Hooks write ticks and the API whole seconds."""
    assert _of("TeamUpdated", {"Id": 1, "UpdatedOn": written}) == change


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ("BookingUpdate", "UpdatedOn"),
        ("CoworkerContractActivate", "UpdatedOn"),
        ("CoworkerInvoicePaid", "PaidOn"),
        ("CoworkerInvoiceRefund", "RefundedOn"),
        ("BookingCreate", ""),
        ("BookingDelete", ""),
        ("CoworkerInvoiceReceivedPayment", None),
        ("CoworkerInvoiceFailedPayment", None),
        ("VisitorNotification", None),
    ],
)
def test_the_field_is_the_one_that_the_change_moves(action: str, field: str | None) -> None:
    """A payment moves PaidOn and not UpdatedOn; of some changes a record tells nothing, and some happen once."""
    assert change_identity.field_of(action) == field
