"""What changed from one event of an entity to the next, field by field. Pure."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

from receiver.nexudus.canonical_record import VOLATILE
from receiver.operations.masking import masked
from receiver.storage.query.stored_event import StoredEvent

MOST_FIELDS: Final = 100
LONGEST: Final = 200

ABSENT: Final = ""
"""Shown for a field that is not there."""


class FieldChange(NamedTuple):
    """One field whose value changed, with both values as JSON, cut; an empty text: the field was not there."""

    name: str
    old: str
    new: str


def changes(before: StoredEvent, after: StoredEvent, *, redact: bool) -> list[FieldChange]:
    """Return the fields that differ. What is worked out at the moment of sending, such as MinutesToStart, is left out.

    *redact*: values are masked as in a record; names that a record has by itself, too.
    """
    old, new = _record(before), _record(after)
    found: list[FieldChange] = []
    for number, name in enumerate({**old, **new}, 1):
        if name in VOLATILE or old.get(name, _NONE) == new.get(name, _NONE):
            continue
        if len(found) == MOST_FIELDS:
            break
        shown = f"<key {number}>" if redact and name not in masked({name: None}) else name
        found.append(FieldChange(shown, _value(old, name, redact=redact), _value(new, name, redact=redact)))
    return found


_NONE: Final = object()


def _record(stored: StoredEvent) -> dict[str, Any]:
    try:
        found = stored.envelope.record()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _value(record: dict[str, Any], name: str, *, redact: bool) -> str:
    if name not in record:
        return ABSENT
    (value,) = masked({name: record[name]}).values() if redact else (record[name],)
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def story(events: Iterable[StoredEvent], *, redact: bool) -> list[tuple[StoredEvent, list[FieldChange] | None]]:
    """Return events, newest first, each with what changed since the one before it; None: nothing before it is known."""
    found = list(events)
    told: list[tuple[StoredEvent, list[FieldChange] | None]] = []
    for at, stored in enumerate(found):
        before = next((one for one in found[at + 1 :] if one.loss is None), None)
        is_known = before is not None and stored.loss is None
        told.append((stored, changes(before, stored, redact=redact) if before and is_known else None))
    return told
