"""The handler to try first: it logs one structured line for each event, without the contents of the record."""

from typing import Literal

import structlog

from workers import Event

Level = Literal["debug", "info", "warning", "error"]


def log(event: Event, *, level: Level = "info") -> None:
    """Write one log line with the event's action, business, entity and ids; nothing else of its record."""
    logger = structlog.get_logger()
    write = getattr(logger, level)
    write(
        "event.handled",
        action=event.action,
        business=event.business_id,
        entity=_entity(event.data.get("Id")),
        event_id=event.id,
        attempt=event.attempt,
    )


def _entity(identifier: object) -> int | None:
    """Return the record's id if it is a number. Anything else may be a person's name."""
    return identifier if isinstance(identifier, int) and not isinstance(identifier, bool) else None
