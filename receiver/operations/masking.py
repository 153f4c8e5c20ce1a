"""Masking: a record, the error of a handler and the reason of quarantine, without what they say about people.

This is what a viewer sees. `receiver.console.auth.sessions` says who is one."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from receiver.nexudus import records
from receiver.nexudus.records.record import Record

_PERSONAL: Final = frozenset({"DateOfBirth", "Gender"})
"""Fields that are masked although they hold a time or an enumeration."""

_LARGEST_CODE: Final = 999
"""An enumeration of Nexudus is a small number; a larger one is something else under that name."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
_FREE: Final = re.compile(r"Custom(Fields|\d{1,3})", re.ASCII)
_CLASS: Final = re.compile(r"[A-Za-z_][\w.]{0,99}(?=: |$)", re.ASCII)

_QUOTED: Final = re.compile(r"""'(?:raw|dotnet-ascii)'|(['"])(?:.*\1|.*)""", re.DOTALL)
"""What a reason quotes, from the first quote to the last, but for our own words."""

_IsHarmless = Callable[[Any], bool]


def masked(record: Any) -> Any:
    """Return the same shape without its values, but for ids, times, flags and enumerations of fields that we know.

    Names of fields stay; below `CustomFields` and in objects within a record, only the names that Nexudus gives stay.
    """
    if not isinstance(record, dict):
        return _opaque(record)
    return _fields(record, lambda name: _NAME.fullmatch(name) is not None)


def masked_error(error: str | None) -> str | None:
    """Return an error of a handler without its message, which may say anything; the class of the exception stays."""
    if not error:
        return error
    found = _CLASS.match(error)
    if found is None:
        return _opaque_text(error)
    message = error[found.end() + 2 :]
    return f"{found[0]}: {_opaque_text(message)}" if message else found[0]


def masked_reason(reason: str) -> str:
    """Return why a request is set aside, or cannot be read, without what it quotes: a header may be anything."""
    return _QUOTED.sub(lambda found: _opaque_text(found[0][1:-1]) if found[1] else found[0], reason)


def _fields(value: Mapping[str, Any], is_shown: Callable[[str], bool]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for number, (name, one) in enumerate(value.items(), 1):
        shown[name if is_shown(name) else f"<key {number}>"] = _value(name, one)
    return shown


def _value(name: str, value: Any) -> Any:
    if _FREE.fullmatch(name):  # Custom1 to Custom30 and CustomFields are whatever the operator made of them
        return _opaque(value)
    if isinstance(value, dict):
        return _fields(value, _known().__contains__)
    if isinstance(value, list):
        return [_value(name, one) for one in value]
    is_harmless = _known().get(name)
    return value if is_harmless is not None and is_harmless(value) else _opaque(value)


def _opaque(value: Any) -> Any:
    """Return the same shape with every key and every value masked."""
    match value:
        case None:
            return None
        case bool():
            return "<true or false>"
        case str():
            return _opaque_text(value)
        case list():
            return [_opaque(one) for one in value]
        case dict():
            return {f"<key {number}>": _opaque(one) for number, one in enumerate(value.values(), 1)}
    return "<number>"


def _opaque_text(text: str) -> str:
    return f"<{len(text)} characters>" if text else ""


@cache
def _known() -> dict[str, _IsHarmless]:
    """Return by the name of each field of Nexudus which of its values say nothing about a person.

    Kinds of records that give one name different types agree on nothing.
    """
    for module in pkgutil.iter_modules(records.__path__):
        importlib.import_module(f"{records.__name__}.{module.name}")
    found: dict[str, _IsHarmless] = {}
    kinds: list[type[Record]] = [Record, *Record.__subclasses__()]
    for kind in kinds:
        if kind.__module__.startswith(f"{records.__name__}."):
            for name, field in kind.model_fields.items():
                test = _test_of(name, field.annotation)
                found[name] = test if found.get(name, test) is test else _never
    return found


def _test_of(name: str, annotation: Any) -> _IsHarmless:
    if name in _PERSONAL:
        return _never
    if annotation in (int, int | None) and name.endswith("Id"):
        return _is_id
    if annotation == datetime | None:
        return _is_time
    if annotation == bool | None:
        return _is_flag
    return _is_code if annotation == int | str | None else _never


def _never(value: Any) -> bool:
    return False


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_code(value: Any) -> bool:
    return _is_id(value) and 0 <= value <= _LARGEST_CODE
