"""Realistic bodies for every action, in the shape that Nexudus sends: used by `send`, `try`, the simulator and tests.

`samples/` has one file for each kind of record, with one field a line; the people in them are invented. Two samples of
a kind differ only in `Id`, `UniqueId`, their times, which are moved to now, and the person, who is one of a few.
Numbers keep their spelling (`0.09000`), which parsing and writing JSON would lose."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import orjson

from receiver.nexudus import actions

WRITTEN = datetime(2026, 3, 2, 9, 15, 44, tzinfo=UTC)
"""When the records in the files were sent, according to their own times."""

_QUARTER = 900
_FIRST_ID = 1_400_000_000
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')
_TIME = re.compile(r"(202[5-7]-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?")
_ID = re.compile(r'"Id":\d+')
_UNIQUE_ID = re.compile(r'"UniqueId":"[^"]*"')
_MINUTES = re.compile(r'"MinutesToStart":-?\d+')
_FROM = re.compile(r'"FromTime":"([^"]+)"')


class _Person(NamedTuple):
    name: str
    email: str
    coworker_id: str


_PEOPLE = (
    _Person("Zoë Lindqvist", "zoe.lindqvist@example.com", "1409384711"),
    _Person("José Álvarez", "jose.alvarez@example.com", "1409384712"),
    _Person("Aoife Ní Bhriain", "aoife.nibhriain@example.com", "1409384713"),
    _Person("Νίκος Παπαδάκης", "nikos.papadakis@example.com", "1409384714"),
    _Person("Łukasz Żółtowski", "lukasz.zoltowski@example.com", "1409384715"),
    _Person("Amara Okafor", "amara.okafor@example.com", "1409384716"),
    _Person("Thảo Nguyễn", "thao.nguyen@example.com", "1409384717"),
)
"""Invented people. The first is the one in the files."""


def names() -> tuple[str, ...]:
    """Return the actions that have a sample: all 89, in the order of their numbers."""
    return actions.NAMES


def record(action: str, *, now: datetime, number: int) -> dict[str, Any]:
    """Return a record for *action* as Python values; see `body`."""
    value: dict[str, Any] = orjson.loads(body(action, now=now, number=number))[0]
    return value


def body(action: str, *, now: datetime, number: int) -> bytes:
    """Return a body for *action* as Nexudus would send it at *now*: an array of one record, without white space.

    Samples with different *number* have different `Id`s. Raises ValueError for an action without a sample.
    """
    kind = actions.entity_kind(action)
    if action not in actions.NAMES:
        raise ValueError(f"no sample for the action {action!r}; it is not one of eWebhookAction")
    text = _cast(_text(kind), _PEOPLE[number % len(_PEOPLE)])
    text = _ID.sub(f'"Id":{_FIRST_ID + number}', text, count=1)
    text = _UNIQUE_ID.sub(f'"UniqueId":"{uuid.uuid5(uuid.NAMESPACE_OID, str(number))}"', text, count=1)
    return _move(text, now.astimezone(UTC)).encode("utf-8")


@cache
def _text(kind: str) -> str:
    written = resources.files("receiver.nexudus").joinpath("samples", f"{kind}.json").read_text(encoding="utf-8")
    return _TOKEN.sub(lambda token: token[1] or "", written)


def _cast(text: str, person: _Person) -> str:
    for theirs, ours in zip(_PEOPLE[0], person, strict=True):
        text = text.replace(theirs, ours)
    return text


def _move(text: str, now: datetime) -> str:
    """Move every time by as much as *now* is later than the file; appointments stay on quarter hours."""
    shift = int((now - WRITTEN).total_seconds())

    def moved(time: re.Match[str]) -> str:
        was = datetime.fromisoformat(time[1])
        is_appointment = not time[2] and was.second == 0 and was.minute % 15 == 0
        seconds = shift - shift % _QUARTER if is_appointment else shift
        return (was + timedelta(seconds=seconds)).isoformat() + (time[2] or "")

    text = _TIME.sub(moved, text)
    start = _FROM.search(text)
    if start is None:
        return text
    minutes = (datetime.fromisoformat(start[1]) - now) // timedelta(minutes=1)
    return _MINUTES.sub(f'"MinutesToStart":{minutes}', text)
