"""From a body to its records: each as Python values, and as the very bytes that Nexudus sent.

Nexudus posts a JSON array that holds one record. A bare object, an empty array and several records are taken too.
The bytes of a record are cut out of the body, never written anew: `0.09000` stays `0.09000`.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson

MAX_RECORDS = 1_000
"""Records in one body; Nexudus sends one."""

MAX_DEPTH = 64
"""Levels of nesting in one body; Nexudus's records are flat, with a list of small objects here and there."""

_SPACE = b" \t\r\n"
_CONTROLS = (b"\n", b"\r", b"\t")
_SPACE_BEFORE_COLON = re.compile(rb'"[ \t\r\n]+:')
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_SPACE_OR_COMMA = re.compile(r"[ \t\r\n,]*")
# Only the ends of the elements are asked for: numbers need not become numbers again.
_BOUNDARIES = json.JSONDecoder(parse_int=len, parse_float=len)


@dataclass(frozen=True, slots=True)
class Record:
    """One record: *raw* is its own bytes, *data* their meaning."""

    raw: bytes
    data: dict[str, Any]


def split(body: bytes) -> tuple[Record, ...]:
    """Return the records of a body. Raises ValueError with a reason, free of payload text, for what cannot be read."""
    text = body.removeprefix(b"\xef\xbb\xbf").strip(_SPACE)
    value = _parse(text)
    if isinstance(value, dict):
        return (Record(text, value),)
    if not isinstance(value, list):
        raise ValueError("neither an array nor an object")  # noqa: TRY004 - callers expect one kind of error
    if len(value) == 1 and isinstance(value[0], dict):
        return (Record(text[1:-1].strip(_SPACE), value[0]),)
    return _several(text, value)


def _parse(text: bytes) -> Any:
    if not text:
        raise ValueError("an empty body")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(_TOO_DEEP if "depth limit" in error.msg else f"not JSON: {error}") from None
    # Counting brackets is cheap and settles it for every real body; only what could be too deep is measured.
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _depth_exceeds(value, MAX_DEPTH):
        raise ValueError(_TOO_DEEP)
    if _may_repeat_keys(text, value):
        json.loads(text, object_pairs_hook=_refuse_repeated, parse_int=len, parse_float=len)
    return value


def _may_repeat_keys(text: bytes, value: Any) -> bool:
    """False means that every key is there once: what a filter sees is then what any other reader of the bytes sees.

    Each key ends with `":`, if there is no space between, so there are at least as many of these as keys. Only texts
    that hold `":` in a string, or such a space, are read a second time.
    """
    if any(sign in text for sign in _CONTROLS) and _SPACE_BEFORE_COLON.search(text):
        return True
    if b'" :' in text or b'"  ' in text:
        return True
    return text.count(b'":') != _count_keys(value, is_flat=text.count(b"{") == 1)


def _count_keys(value: Any, *, is_flat: bool) -> int:
    if is_flat and isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        return len(value) + (0 if is_flat else sum(_count_keys(inner, is_flat=False) for inner in value.values()))
    return sum(_count_keys(inner, is_flat=False) for inner in value) if isinstance(value, list) else 0


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


def _several(text: bytes, values: list[Any]) -> tuple[Record, ...]:
    if len(values) > MAX_RECORDS:
        raise ValueError(f"more than {MAX_RECORDS} records in one body")
    if not all(isinstance(value, dict) for value in values):
        raise ValueError("an array that holds something other than objects")
    characters = text.decode("utf-8")
    records, position = [], 1
    for value in values:
        start = _end_of_gap(characters, position)
        _, position = _BOUNDARIES.raw_decode(characters, start)
        records.append(Record(characters[start:position].encode("utf-8"), value))
    return tuple(records)


def _end_of_gap(characters: str, position: int) -> int:
    gap = _SPACE_OR_COMMA.match(characters, position)
    return gap.end() if gap else position
