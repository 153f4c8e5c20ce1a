"""CEL functions that the library lacks, or that it implements differently from the language's definition
(https://github.com/google/cel-spec/blob/master/doc/langdef.md#list-of-standard-definitions).

The library calls our function when its own does not accept the given types: `string(true)`, `timestamp(1700000000)`.
Some calls are renamed, so that ours always replaces the library's: `size`, because the library's counts the bytes of a
text, not its characters; and the getters, because the library's take no time zone.

A function that does not accept its argument returns `_NOTHING`, which makes the evaluation fail. It must not raise: the
library would print the exception to standard error.
"""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from receiver.routing.cel.expressions import GETTERS

Function = Callable[..., Any]

RENAMED = {name: f"_{name}" for name in ("size", *GETTERS)}
"""The functions that are called by a name that differs from the one in the expression."""

_NOTHING = object()

_OF_TIME: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda time: time.year,
    "getMonth": lambda time: time.month - 1,
    "getDate": lambda time: time.day,
    "getDayOfMonth": lambda time: time.day - 1,
    "getDayOfWeek": lambda time: time.isoweekday() % 7,
    "getDayOfYear": lambda time: time.timetuple().tm_yday - 1,
    "getHours": lambda time: time.hour,
    "getMinutes": lambda time: time.minute,
    "getSeconds": lambda time: time.second,
    "getMilliseconds": lambda time: time.microsecond // 1_000,
}

_UNITS = {
    "getHours": timedelta(hours=1),
    "getMinutes": timedelta(minutes=1),
    "getSeconds": timedelta(seconds=1),
    "getMilliseconds": timedelta(milliseconds=1),
}


def functions(names: Collection[str], *, as_decimals: bool = False) -> dict[str, Function]:
    """Return our functions for an expression that calls *names*, by the name under which the library finds them.

    *as_decimals*: functions that return a number return a decimal one.
    """
    number: Callable[[int], int | float] = float if as_decimals else int
    found: dict[str, Function] = {name: _CONVERSIONS[name] for name in names if name in _CONVERSIONS}
    found |= {RENAMED[name]: _getter(name, number) for name in names if name in GETTERS}
    if "size" in names:
        found[RENAMED["size"]] = lambda value: number(len(value)) if isinstance(value, _SIZED) else _NOTHING
    return found


@lru_cache(maxsize=64)
def time_zone(name: str) -> ZoneInfo | timezone:
    """Return the time zone for a name of the IANA database or for an offset like `+02:00`. Raises ValueError."""
    if name[:1] in ("+", "-"):
        offset = datetime.strptime(name, "%z").tzinfo
        if isinstance(offset, timezone):
            return offset
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:
        raise ValueError(f"there is no time zone {name!r}") from error


_SIZED = (str, bytes, list, dict)


def _getter(name: str, number: Callable[[int], int | float]) -> Function:
    def get(value: Any, zone: Any = None) -> Any:
        if isinstance(value, timedelta) and zone is None and name in _UNITS:
            return number(int(value / _UNITS[name]))
        if not isinstance(value, datetime):
            return _NOTHING
        try:
            return number(_OF_TIME[name](value.astimezone(UTC if zone is None else time_zone(zone))))
        except (ValueError, OverflowError):  # the first or last day of the calendar, moved into another time zone
            return _NOTHING

    return get


def _string(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else _NOTHING


def _timestamp(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _NOTHING
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return _NOTHING


def _int(value: Any) -> Any:
    return int(value.timestamp()) if isinstance(value, datetime) else _NOTHING


def _bool(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value, _NOTHING) if isinstance(value, str) else _NOTHING


def _duration(value: Any) -> Any:
    return value if isinstance(value, timedelta) else _NOTHING


_CONVERSIONS: dict[str, Function] = {
    "bool": _bool,
    "duration": _duration,
    "int": _int,
    "string": _string,
    "timestamp": _timestamp,
}
