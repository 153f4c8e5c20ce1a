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
    names = [name for name in {**old, **new} if name not in VOLATILE and old.get(name, _NONE) != new.get(name, _NONE)]
    if redact:
        shown = _shown_names(masked({**old, **new}), {**old, **new})
        old_values, new_values = masked(old), masked(new)
        return [
            FieldChange(shown[name], _value(old_values, shown[name]), _value(new_values, shown[name]))
            for name in names[:MOST_FIELDS]
        ]
    return [FieldChange(name, _value(old, name), _value(new, name)) for name in names[:MOST_FIELDS]]


_NONE: Final = object()


def _shown_names(shown: Any, record: dict[str, Any]) -> dict[str, str]:
    """Return under which name a masked record shows each field: its order is that of the record."""
    return dict(zip(record, shown, strict=True))


def _record(stored: StoredEvent) -> dict[str, Any]:
    try:
        found = stored.envelope.record()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _value(record: Any, name: str) -> str:
    if name not in record:
        return ABSENT
    text = orjson.dumps(record[name], default=str).decode()
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
