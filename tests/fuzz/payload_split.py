"""A body is split into the records that it holds, to the byte, or refused for a reason that does not quote it."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from receiver.nexudus import payload, samples

_REASONS = (
    r"not JSON: [ -~]{1,80}: line \d+ column \d+ \(char \d+\)",
    "an empty body",
    f"nested deeper than {payload.MAX_DEPTH} levels",
    "neither an array nor an object",
    f"more than {payload.MAX_RECORDS} records in one body",
    "an array that holds something other than objects",
    "an object has the same key twice",
)


class _Unreadable(Exception):
    """Python's own parser would not take it, or takes what JSON does not allow."""


def one(data: bytes) -> None:
    """Any bytes, as they are."""
    records, reason = _split(data)
    if records is None:
        assert any(re.fullmatch(known, reason) for known in _REASONS), reason
        assert not _is_fine(data), f"refused, and nothing is wrong with it: {reason}"
        return
    value = _read(data)
    values = [value] if isinstance(value, dict) else value
    assert [_floats(record.data) for record in records] == [_floats(each) for each in values]
    body = data.removeprefix(b"\xef\xbb\xbf")
    at = 0
    for record in records:
        assert json.loads(record.raw, parse_int=float) == _floats(record.data)
        at = body.index(record.raw, at) + len(record.raw)


def _split(data: bytes) -> tuple[tuple[payload.BodyRecord, ...] | None, str]:
    try:
        return payload.split(data), ""
    except ValueError as reason:
        return None, str(reason)


def _is_fine(data: bytes) -> bool:
    try:
        value = _read(data)
    except (_Unreadable, RecursionError):
        return False
    if isinstance(value, dict):
        return _depth(value) <= payload.MAX_DEPTH
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return False
    return len(value) <= payload.MAX_RECORDS and _depth(value) <= payload.MAX_DEPTH


def _read(data: bytes) -> Any:
    def refuse(_: object) -> Any:
        raise _Unreadable

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise _Unreadable
        return dict(pairs)

    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
        value = json.loads(text, parse_constant=refuse, object_pairs_hook=once, parse_int=float)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")  # nothing infinite, no lone surrogate
    except (ValueError, UnicodeError) as error:
        raise _Unreadable from error
    return value


def _floats(value: Any) -> Any:
    """Numbers as floats: how many digits are kept is not what is compared here."""
    if isinstance(value, dict):
        return {key: _floats(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_floats(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
    return depth


def seeds() -> list[bytes]:
    """What Nexudus sends, for a few actions, and the odd shapes that are taken too."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    bodies = [
        samples.body(action, now=now, number=1)
        for action in ("BookingCreate", "CoworkerInvoicePaid", "AccessControlUpdate")
    ]
    return [*bodies, b"[]", b'[{"a":1},{"a":{"b":[{}]}}]', b'\xef\xbb\xbf{"a" : 0.09000}', b'{"a":1,"\\u0061":2}']
