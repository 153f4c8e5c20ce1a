"""How an event looks to programs: objects with published keys, printed by the commands and answered by the console."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from receiver.core import timestamps
from receiver.operations.masking import masked, masked_error, masked_reason
from receiver.storage.query.stored_event import StoredDelivery, StoredEvent

_NONE: Final[Mapping[int, str]] = MappingProxyType({})


def brief(stored: StoredEvent, *, redact: bool, names: Mapping[int, str] = _NONE) -> dict[str, Any]:
    """The object that `events`, `tail` and `replay` print for an event. *names*: those of the locations.

    *redact*: without the messages of errors, and without what reasons quote.
    """
    envelope = stored.envelope
    shape: dict[str, Any] = {
        "id": envelope.id,
        "action": envelope.action,
        "action_code": envelope.action_code,
        "business_id": envelope.business_id,
        "business": names.get(envelope.business_id),
        "received_at": timestamps.show(envelope.received_ms),
        "origin": envelope.origin,
        "status": str(stored.status),
        "deliveries": [_delivery(delivery, redact=redact) for delivery in stored.deliveries],
    }
    if stored.shadow:
        shape["shadow"] = list(stored.shadow)
    if reason := stored.unreadable or envelope.quarantine:
        shape["reason"] = masked_reason(reason) if redact else reason
    if envelope.edited_from:
        shape["edited_from"] = envelope.edited_from
    if envelope.erased_ms:
        shape["erased_at"] = timestamps.show(envelope.erased_ms)
    return shape


def full(
    stored: StoredEvent, *, redact: bool, names: Mapping[int, str] = _NONE, redact_errors: bool | None = None
) -> dict[str, Any]:
    """The object that `show` prints: with the record, how it was verified, and every attempt.

    *redact*: without what record and errors say about people. *redact_errors*: another answer for the errors.
    """
    hide = redact if redact_errors is None else redact_errors
    envelope = stored.envelope
    shape = brief(stored, redact=hide, names=names)
    shape |= {"verified_by": envelope.verified_by, "entity": envelope.entity, "routes": envelope.routes}
    try:
        data = envelope.record()
        shape["data"] = masked(data) if redact else data
    except ValueError:
        body = envelope.body.decode("utf-8", "backslashreplace")
        shape["data"] = None
        shape["body"] = f"{len(envelope.body)} bytes" if redact else body
    shape["attempts"] = [
        _attempt(delivery, attempt, redact=hide) for delivery in stored.deliveries for attempt in delivery.attempts
    ]
    return shape


def _delivery(delivery: StoredDelivery, *, redact: bool) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "route": delivery.route,
        "status": str(delivery.status),
        "attempts": len(delivery.attempts),
        "next_attempt_at": timestamps.show(delivery.next_attempt_ms),
        "error": masked_error(delivery.error) if redact else delivery.error,
        "origin": delivery.origin,
        "waits_for": delivery.state or None,
    }


def _attempt(delivery: StoredDelivery, attempt: Mapping[str, Any], *, redact: bool) -> dict[str, Any]:
    error = attempt.get("error")
    started, ended = attempt.get("started_ms"), attempt.get("ended_ms")
    return {
        "delivery": delivery.id,
        "route": delivery.route,
        "number": attempt.get("number"),
        "outcome": attempt.get("outcome"),
        "started_at": timestamps.show(started),
        "ended_at": timestamps.show(ended),
        "duration_ms": ended - started if started is not None and ended is not None else None,
        "error": masked_error(error) if redact else error,
        "worker": attempt.get("worker"),
    }
