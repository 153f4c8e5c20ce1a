"""The types of the keys of routes.yaml, and the values that only it has: actions, locations, filters, handlers, limits.

Each has one sentence for a value that does not fit.
"""

import re
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from receiver.core import durations
from receiver.core.suggest import hint
from receiver.routing import enrichment, route
from receiver.routing.cel.expressions import ExpressionRefused
from receiver.routing.document.plain_values import (
    MAX_COUNT,
    Unfit,
    count,
    duration,
    fits,
    kind_of,
    mapping,
    one_or_list,
    only_list,
    only_text,
    switch,
    time_zone,
)
from receiver.routing.filters import Filter
from receiver.routing.flow_rules import ENTITY, Key, Limit, PlannedTime

NAME = r"[a-z0-9-]{1,40}"
QUEUE = r"[a-z0-9_-]{1,40}"
DAY_MS = 86_400_000
MAX_RETRIES = 100
MAX_LIMIT = 10_000
"""The largest number of starts in one period of a limit; the store remembers each start for the period."""

MAX_CONCURRENCY = 10_000

_DURATION = {"anyOf": [{"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d)?\s*$"}, {"type": "number"}]}
_LOCATION = {"type": "integer", "minimum": 1}
_HANDLER = re.compile(r"[A-Za-z0-9_.-]{1,100}|[A-Za-z_][\w.]{0,100}:[A-Za-z_][\w.]{0,100}", re.ASCII)
_LIMIT = re.compile(r"(\d{1,9})\s*/\s*([smh])", re.ASCII)
_PATTERN = re.compile(r"[A-Za-z0-9*]{1,64}")


def _business(value: object) -> int:
    if type(value) is not int or not 0 < value < 2**31:
        raise Unfit(f"{value!r} is not the number of a Nexudus location")
    return value


def _businesses(value: object) -> object:
    """Return a list of locations; an empty one for the word `all`."""
    if value == "all":
        return ()
    if isinstance(value, str):
        raise Unfit(f"{value[:60]!r} is neither a list of locations nor the word all")
    return one_or_list(value)


def _action(value: object, info: ValidationInfo) -> str:
    pattern = only_text(value)
    known: Collection[str] = (info.context or {}).get("known_actions", ())
    if pattern == route.NEVER:
        raise Unfit("None is Nexudus's name for no action; no event has it")
    if not _PATTERN.fullmatch(pattern):
        raise Unfit(f"{pattern[:60]!r} is not an action; write a name, or a wildcard with * for any characters")
    if pattern == "*" or any(route.matches((pattern,), name) for name in known):
        return pattern
    names = set(known) - {route.NEVER}
    what = "no action of Nexudus matches" if "*" in pattern else "unknown action"
    raise Unfit(f"{what} {pattern!r}{hint(pattern.rstrip('*') or pattern, names)}")


def _one_action(value: object, info: ValidationInfo) -> str:
    name = _action(value, info)
    if "*" in name:
        raise Unfit(f"{name!r} matches several actions; a test has one")
    return name


def _record_or_path(value: object) -> object:
    if isinstance(value, dict):
        return mapping(value)
    if isinstance(value, str) and value:
        return value
    raise Unfit(f"must be a record, like {{Id: 1}}, or the path of a file with one, not {kind_of(value)}")


def _where(value: object, info: ValidationInfo) -> Filter:
    enrich = info.data.get("enrich")
    if enrich is None:
        return Filter("true")  # what is wrong there is reported; its names are not known
    return _expression("filter", value, enrich)


def _expression(what: Literal["filter", "key", "time"], value: object, records: Collection[str] = ()) -> Filter:
    try:
        return Filter(only_text(value), yields=what, records=records)
    except ExpressionRefused as error:
        raise Unfit(f"the {what} {error}" if str(error).startswith(("is ", "has ")) else str(error)) from None


def _record_id(value: object) -> Filter:
    return _expression("key", value)


def named_records(value: object) -> object:
    """A mapping of names to the records that they stand for."""
    if not isinstance(value, dict):
        raise Unfit(
            f"must be a mapping, like {{member: {{kind: Coworker, id: data.CoworkerId}}}}, not {kind_of(value)}"
        )
    if len(value) > enrichment.MOST:
        raise Unfit(f"names {len(value)} records, and may name {enrichment.MOST}")
    for name in value:
        if not isinstance(name, str) or not re.fullmatch(enrichment.NAME, name):
            raise Unfit(f"{str(name)[:60]!r} cannot name a record; a name is 1 to 40 characters of a-z, 0-9 and _")
        if why_not := enrichment.why_no_name(name):
            raise Unfit(why_not)
    return value


def _handler(value: object) -> str:
    written = only_text(value)
    if not _HANDLER.fullmatch(written):
        raise Unfit(f"{written[:60]!r} is neither the name of a handler nor module:function")
    return written


def _key(value: object) -> Key:
    return Key() if value == ENTITY else Key(_expression("key", value))


def _at(value: object) -> PlannedTime:
    return PlannedTime(_expression("time", value))


def _limit(value: object) -> Limit:
    match = _LIMIT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Unfit(
            f"{str(value)[:60]!r} is not a limit; write a number for each second, minute or hour: 10/s, 100/m, 5000/h"
        )
    count, unit = int(match[1]), match[2]
    if count == 0:
        raise Unfit("a limit of 0 would let nothing through; to hold a route, use frontdesk pause")
    if count > MAX_LIMIT:
        raise Unfit(f"{count} is more than {MAX_LIMIT}; say it for a shorter time")
    return Limit(count, durations.parse(f"1{unit}"), f"{count}/{unit}")


def _concurrency(value: object) -> int:
    if type(value) is not int or value < 0:
        raise Unfit(f"must be a whole number, not {kind_of(value) if type(value) is not int else value}")
    if value == 0:
        raise Unfit("a concurrency of 0 would let nothing through; to hold a route, use frontdesk pause")
    if value > MAX_CONCURRENCY:
        raise Unfit(f"{value} is more than {MAX_CONCURRENCY}")
    return value


Timeout = Annotated[int, BeforeValidator(duration(1, DAY_MS)), WithJsonSchema(_DURATION)]
RetryDelay = Annotated[int, BeforeValidator(duration(0, 30 * DAY_MS)), WithJsonSchema(_DURATION)]
Retry = Annotated[tuple[RetryDelay, ...], Field(max_length=MAX_RETRIES), BeforeValidator(only_list)]
Name = Annotated[
    str,
    BeforeValidator(fits(NAME, "a name is 1 to 40 characters of a-z, 0-9 and -")),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME}$"}),
]
Queue = Annotated[
    str,
    BeforeValidator(fits(QUEUE, "a queue is 1 to 40 characters of a-z, 0-9, _ and -")),
    WithJsonSchema({"type": "string", "pattern": f"^{QUEUE}$"}),
]
Business = Annotated[int, BeforeValidator(_business), WithJsonSchema(_LOCATION)]
Action = Annotated[str, BeforeValidator(_action)]
Actions = Annotated[tuple[Action, ...], BeforeValidator(one_or_list)]
Locations = Annotated[tuple[Business, ...], BeforeValidator(one_or_list)]
AllOrLocations = Annotated[
    tuple[Business, ...],
    BeforeValidator(_businesses),
    WithJsonSchema({"anyOf": [{"const": "all"}, {"type": "array", "items": _LOCATION, "minItems": 1}]}),
]
TimeZone = Annotated[str, BeforeValidator(time_zone), WithJsonSchema({"type": "string"})]
Currency = Annotated[str, BeforeValidator(fits("[A-Z]{3}", "a currency is three capital letters, like EUR"))]
Switch = Annotated[bool, BeforeValidator(switch)]
RecordId = Annotated[Filter, BeforeValidator(_record_id), WithJsonSchema({"type": "string"})]
RecordKind = Annotated[
    str,
    BeforeValidator(
        fits("[A-Z][A-Za-z]{1,60}|[a-z]{2,30}/[a-z]{2,40}", "write the kind of a record, Coworker or spaces/coworkers")
    ),
]
Where = Annotated[Filter, BeforeValidator(_where), WithJsonSchema({"type": "string"})]
HandlerName = Annotated[str, BeforeValidator(_handler)]
OneAction = Annotated[str, BeforeValidator(_one_action)]
RecordOrPath = Annotated[dict[str, Any] | str, BeforeValidator(_record_or_path)]
OrderKey = Annotated[Key, BeforeValidator(_key), WithJsonSchema({"type": "string"})]
At = Annotated[PlannedTime, BeforeValidator(_at), WithJsonSchema({"type": "string"})]
StartLimit = Annotated[
    Limit, BeforeValidator(_limit), WithJsonSchema({"type": "string", "pattern": r"^\s*\d{1,9}\s*/\s*[smh]\s*$"})
]
Concurrency = Annotated[
    int,
    BeforeValidator(_concurrency),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_CONCURRENCY}),
]
Period = Annotated[int, BeforeValidator(duration(DAY_MS // 24, 366 * DAY_MS)), WithJsonSchema(_DURATION)]
Count = Annotated[int, BeforeValidator(count), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_COUNT})]
Wait = Annotated[int, BeforeValidator(duration(1, 30 * DAY_MS)), WithJsonSchema(_DURATION)]
