"""What both ways of running handlers share: how an attempt is reported once it has ended, and how long is too long."""

from collections.abc import Callable
from typing import Any

from receiver.core.events import Outcome
from receiver.process import logs
from workers.run.delivery_loader import Prepared
from workers.run.execution import Ended

Settle = Callable[[Prepared, Ended, int, int], None]
"""What is called once for each attempt: the delivery, how it ended, Unix ms at its beginning and at its end."""

STUCK_AFTER_S = 1.0
"""How long after its timeout a handler may still take to come back before it counts as stuck."""

_log = logs.get()


def timed_out(prepared: Prepared) -> Ended:
    """Return the end of an attempt whose time is up."""
    seconds = prepared.route.timeout_ms / 1_000
    return Ended(Outcome.TIMED_OUT, f"timed out after {seconds:g} s")


def tell(prepared: Prepared, ended: Ended, took_ms: int) -> None:
    """Log the attempt: one line."""
    _log.info("delivery.attempted", **account(prepared, ended, took_ms))


def account(prepared: Prepared, ended: Ended, took_ms: int) -> dict[str, Any]:
    """Return what an attempt's line says. Of an error only its class: what a handler says may quote the record."""
    event = prepared.event
    said = {
        "event_id": event.id,
        "delivery_id": prepared.claim.delivery_id,
        "action": event.action,
        "business_id": event.business_id,
        "route": prepared.route.name,
        "attempt": event.attempt,
        "outcome": str(ended.outcome),
        "ms": took_ms,
    }
    return said | {"error": ended.error.partition(":")[0]} if ended.error else said
