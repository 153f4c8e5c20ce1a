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
_QUOTE = ord('"')
_FEW_BACKSLASHES = 64
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
    if _quotes(text) != 2 * _texts(value):
        json.loads(text, object_pairs_hook=_refuse_repeated, parse_int=len, parse_float=len)
    return value


def _texts(value: Any, depth: int = 1) -> int:
    """Count the keys and strings of a value. Raises ValueError when it is nested too deep."""
    if type(value) is not dict and type(value) is not list:
        return int(type(value) is str)
    if depth > MAX_DEPTH:
        raise ValueError(_TOO_DEEP)
    values, count = (list(value.values()), len(value)) if type(value) is dict else (value, 0)
    kinds = list(map(type, values))  # and counting in it: several times as fast as looking at each value
    for kind in (dict, list):
        at = -1
        for _ in range(kinds.count(kind)):
            at = kinds.index(kind, at + 1)
            count += _texts(values[at], depth + 1)
    return count + kinds.count(str)


def _quotes(text: bytes) -> int | None:
    """Count the quotes around keys and strings; None when there are too many backslashes to be worth it.

    Twice as many as keys and strings means that no key is there twice, for one that is leaves its quotes behind: what a
    filter sees is then what any other reader of the bytes sees. Only the few other texts are read a second time.
    """
    count = text.count(b'"')
    at = text.find(b"\\")
    for _ in range(_FEW_BACKSLASHES):
        if at < 0:
            return count
        count -= text[at + 1] == _QUOTE  # what is behind a backslash is part of the string
        at = text.find(b"\\", at + 2)
    return None


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("an object has the same key twice")


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
