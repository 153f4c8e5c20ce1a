"""How events look to people on the command line: rows of a table."""

from rich.text import Text

from receiver.cli.ui.output import plain
from receiver.core import timestamps
from receiver.core.events import EventStatus
from receiver.storage.query.stored_event import StoredDelivery, StoredEvent

HEADINGS = ("received", "id", "action", "business", "status", "deliveries")

_COLOURS = {
    EventStatus.SUCCEEDED: "green",
    EventStatus.DEAD: "bold red",
    EventStatus.QUARANTINED: "bold yellow",
    EventStatus.UNROUTED: "yellow",
    EventStatus.IN_FLIGHT: "cyan",
}


def row(stored: StoredEvent) -> tuple[object, ...]:
    """One line of the table of events."""
    envelope = stored.envelope
    received = (timestamps.show(envelope.received_ms) or "")[5:19].replace("T", " ")
    status = Text(str(stored.status), style=_COLOURS.get(stored.status, ""))
    said = [_in_words(delivery) for delivery in stored.deliveries] + [f"{route}: shadow" for route in stored.shadow]
    deliveries = ", ".join(said) or stored.unreadable or envelope.quarantine or ""
    return (received, envelope.id, envelope.action, envelope.business_id, status, plain(deliveries))


def _in_words(delivery: StoredDelivery) -> str:
    error = f" ({delivery.error})" if delivery.error and delivery.status != "succeeded" else ""
    return f"{delivery.route}: {delivery.state or delivery.status}{error}"
