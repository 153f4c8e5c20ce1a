"""Decodes single values that may hold anything: a bad value in the store must not hide the others."""

from collections.abc import Iterable, Mapping
from typing import Any

from receiver.core.durations import HOUR_MS

_LAST_MS = 253_402_300_799_999
"""The end of the year 9999 in Unix milliseconds, the latest time that `datetime` can represent."""

_LARGEST = 2**63 - 1


def text(value: bytes) -> str:
    """Return a text, with bytes that are not UTF-8 replaced."""
    return value.decode(errors="replace")


def number(value: Any) -> int | None:
    """Return a whole number of 64 bits, also one that is written as text; None for anything else."""
    try:
        found = int(value)
    except (ValueError, TypeError, OverflowError):
        try:
            found = int(float(value))
        except (ValueError, TypeError, OverflowError):
            return None
    return found if -_LARGEST <= found <= _LARGEST else None


def moment(value: Any) -> int | None:
    """Return a time in Unix milliseconds; None for anything else."""
    found = number(value)
    return found if found is not None and 0 <= found <= _LAST_MS else None


def hours(members: Iterable[bytes]) -> list[int]:
    """Return the members that are Unix hours, in the given order."""
    found = ((number(member), member) for member in members)
    last = _LAST_MS // HOUR_MS
    return [hour for hour, member in found if hour is not None and 0 <= hour <= last and b"%d" % hour == member]


def texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return a hash of texts."""
    return {text(name): text(value) for name, value in fields.items()}


def numbers(fields: Mapping[bytes, bytes]) -> dict[str, int]:
    """Return those fields of a hash that hold whole numbers."""
    found = ((text(name), number(value)) for name, value in fields.items())
    return {name: value for name, value in found if value is not None}
