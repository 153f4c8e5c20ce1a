"""Writes events into a file: JSON Lines, or CSV that a spreadsheet can open without running anything."""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from receiver.core.csv_cells import csv_cell
from receiver.core.errors import UsageError
from receiver.core.sanitize import plain
from receiver.operations import json_views
from receiver.storage.query.stored_event import StoredEvent

FORMATS: Final = (".jsonl", ".csv")

_OURS: Final = ("id", "action", "business_id", "business", "received_at", "origin", "status", "entity", "deliveries")
_REST: Final = "other_fields"
_MOST_COLUMNS: Final = 300
_LOOKED_AT: Final = 1_000
_LOOKED_AT_BYTES: Final = 16 * 1_048_576


def check(file: Path) -> None:
    """See that a file can be written under that name. Raises UsageError."""
    if file.suffix.lower() not in FORMATS:
        raise UsageError(f"--export {plain(file)}: the name must end with {' or '.join(FORMATS)}, which is the format")
    if file.exists():
        raise UsageError(f"--export {plain(file)}: is there already; remove it, or give another name")


def write(file: Path, events: Iterable[StoredEvent], names: Mapping[int, str]) -> int:
    """Write events, and return how many. *names*: those of the locations.

    The file has its name when it is whole, and only its owner may read it.

    Raises UsageError when it cannot be written.
    """
    partial = file.with_name(f".{file.name}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            number = (_lines if file.suffix.lower() == ".jsonl" else _table)(stream, events, names)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(partial, file)  # not over a file that somebody else made meanwhile
    except OSError as error:
        raise UsageError(f"--export {plain(file)}: cannot be written: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
    return number


def _lines(stream: Any, events: Iterable[StoredEvent], names: Mapping[int, str]) -> int:
    number = 0
    for stored in events:
        line = orjson.dumps(json_views.full(stored, redact=False, names=names), default=str).decode()
        stream.write(line + "\n")
        number += 1
    return number


def _table(stream: Any, events: Iterable[StoredEvent], names: Mapping[int, str]) -> int:
    """Write CSV: a column for each field that the first events have; other fields of later ones stand in the last."""
    rest = iter(events)
    first = _first(rest)
    columns = list(dict.fromkeys(name for stored in first for name in _record(stored)))[:_MOST_COLUMNS]
    writer = csv.writer(stream)
    writer.writerow([*_OURS, *map(csv_cell, columns), _REST])
    number = 0
    for source in (first, rest):
        for stored in source:
            writer.writerow(_row(stored, columns, names))
            number += 1
    return number


def _first(events: Iterator[StoredEvent]) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    size = 0
    for stored in events:
        found.append(stored)
        size += len(stored.envelope.body)
        if len(found) >= _LOOKED_AT or size >= _LOOKED_AT_BYTES:
            break
    return found


def _row(stored: StoredEvent, columns: list[str], names: Mapping[int, str]) -> list[str]:
    shape = json_views.brief(stored, redact=False, names=names)
    record = _record(stored)
    deliveries = "; ".join(f"{one.route}: {one.status}" for one in stored.deliveries)
    known = set(columns)
    others = {name: value for name, value in record.items() if name not in known}
    ours = [shape[name] for name in _OURS[:-2]]
    values = [*ours, stored.envelope.entity, deliveries, *(record.get(name) for name in columns), others or None]
    return [csv_cell(value) for value in values]


def _record(stored: StoredEvent) -> Mapping[str, Any]:
    try:
        record = stored.envelope.record()
    except ValueError:
        return {"body": stored.envelope.body.decode("utf-8", "replace")}
    return record if isinstance(record, dict) else {"body": orjson.dumps(record).decode()}
