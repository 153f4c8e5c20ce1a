"""From a body to its records: each as Python values, and as the very bytes that Nexudus sent.

Nexudus posts a JSON array that holds one record. A bare object, an empty array and several records are taken too.
The bytes of a record are cut out of the body, never written anew: `0.09000` stays `0.09000`.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from receiver.nexudus import canonical_record
from receiver.nexudus.canonical_record import CanonicalRecord

MAX_RECORDS = 1_000
"""Records in one body; Nexudus sends one."""

MAX_DEPTH = 64
"""Levels of nesting in one body; Nexudus's records are flat, with a list of small objects here and there."""

_SPACE = b" \t\r\n"
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_NO_MARKS = bytes(set(range(256)) - set(b'"[{\\'))
_SPACE_OR_COMMA = re.compile(r"[ \t\r\n,]*")
# Only the ends of the elements are asked for: numbers need not become numbers again.
_BOUNDARIES = json.JSONDecoder(parse_int=len, parse_float=len)


class BodyRecord(NamedTuple):
    """One record: *raw* is its own bytes, *data* their meaning, *canonical* what a fingerprint is made of."""

    raw: bytes
    data: dict[str, Any]
    canonical: CanonicalRecord


def split(body: bytes) -> tuple[BodyRecord, ...]:
    """Return the records of a body. Raises ValueError with a reason, free of payload text, for what cannot be read."""
    text = body.removeprefix(b"\xef\xbb\xbf").strip(_SPACE)
    marks = text.translate(None, _NO_MARKS)  # short, so that counting them one by one costs little
    value = _parse(text, marks)
    found = [value] if type(value) is dict else value
    if type(found) is not list:
        raise ValueError("neither an array nor an object")
    if len(found) > MAX_RECORDS:
        raise ValueError(f"more than {MAX_RECORDS} records in one body")
    for one in found:
        if type(one) is not dict:
            raise ValueError("an array that holds something other than objects")
    kept = [canonical_record.of(one) for one in found]
    _refuse_repeated_keys(text, marks, kept)
    if len(found) == 1:
        raw = text if found is not value else text[1:-1].strip(_SPACE)
        return (BodyRecord(raw, found[0], kept[0]),)
    return tuple(map(BodyRecord, _cut(text, len(found)), found, kept))


def _parse(text: bytes, marks: bytes) -> Any:
    if not text:
        raise ValueError("an empty body")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(_TOO_DEEP if "depth limit" in error.msg else f"not JSON: {error}") from None
    # Counting brackets is cheap and settles it for every real body; only what could be too deep is measured.
    if marks.count(b"[") + marks.count(b"{") > MAX_DEPTH and _depth_exceeds(value, MAX_DEPTH):
        raise ValueError(_TOO_DEEP)
    return value


def _refuse_repeated_keys(text: bytes, marks: bytes, kept: Iterable[CanonicalRecord]) -> None:
    """See that every key is there once: what a filter sees is then what any other reader of the bytes sees.

    A key that is there twice leaves its quotes in the text and nothing in the values. No value can hide them, for none
    has fewer quotes in the text than in its JSON, if none is written as an escape. Other texts are read a second time.
    """
    quotes = sum([one.quotes for one in kept])
    if marks.count(b'"') == quotes and not (b"\\" in marks and b"\\u0022" in text):
        return
    json.loads(text, object_pairs_hook=_refuse_repeated, parse_int=len, parse_float=len)


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("an object has the same key twice")


def _depth_exceeds(value: Any, limit: int) -> bool:
    level: list[Any] = [value]
    for _ in range(limit):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _cut(text: bytes, count: int) -> Iterator[bytes]:
    """Cut the elements out of an array, as they are written."""
    characters, position = text.decode("utf-8"), 1
    for _ in range(count):
        start = _end_of_gap(characters, position)
        _, position = _BOUNDARIES.raw_decode(characters, start)
        yield characters[start:position].encode("utf-8")


def _end_of_gap(characters: str, position: int) -> int:
    gap = _SPACE_OR_COMMA.match(characters, position)
    return gap.end() if gap else position
