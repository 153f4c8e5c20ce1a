"""Values that any key may take: text, a list, a mapping, a switch, a duration, a number; each with one sentence for a
value that does not fit.
"""

import re
from collections.abc import Callable
from zoneinfo import ZoneInfo, available_timezones

from receiver.core import durations
from receiver.core.suggest import hint

MAX_COUNT = 1_000_000


class Unfit(ValueError):
    """A value that a key does not take. It is a ValueError, so pydantic collects it."""


def kind_of(value: object) -> str:
    """Return the word for the kind of a value, as sentences name it."""
    names = {type(None): "nothing", bool: "true or false", int: "a number", float: "a number", str: "text"}
    return names.get(type(value), "a list" if isinstance(value, list | tuple) else "a mapping")


def only_text(value: object) -> str:
    """Return a text; refuse anything else."""
    if not isinstance(value, str):
        raise Unfit(f"must be text, not {kind_of(value)}" + ("; put it in quotes" if value is not None else ""))
    return value


def fits(pattern: str, words: str) -> Callable[[object], str]:
    """Return a check that a text matches *pattern*; the error explains it with *words*."""

    def check(value: object) -> str:
        written = only_text(value)
        if not re.fullmatch(pattern, written, re.ASCII):
            raise Unfit(f"{written[:60]!r} does not fit; {words}")
        return written

    return check


def one_or_list(value: object) -> object:
    """Return a list; a single value becomes a list of one."""
    if isinstance(value, list | tuple):
        if not value:
            raise Unfit("is an empty list; remove the key, or put something in")
        return value
    return [value]


def only_list(value: object) -> object:
    """Return a list; refuse anything else, single values too."""
    if not isinstance(value, list | tuple):
        raise Unfit(f"must be a list, like [a, b], not {kind_of(value)}")
    return value


def mapping(value: object) -> object:
    """Return a mapping whose keys are words; refuse anything else."""
    if not isinstance(value, dict):
        raise Unfit(f"must be a mapping, like {{key: value}}, not {kind_of(value)}")
    for key in value:
        if not isinstance(key, str):
            raise Unfit(f"key {key!r} must be a word")
    return value


def switch(value: object) -> bool:
    """Return true or false, also of the words that YAML 1.2 takes for text."""
    if isinstance(value, bool):
        return value
    words = {"yes": True, "on": True, "no": False, "off": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise Unfit(f"must be true or false, not {kind_of(value)}")


def duration(least_ms: int, most_ms: int) -> Callable[[object], int]:
    """Return a check of a duration between two, both in milliseconds, as its result is."""

    def check(value: object) -> int:
        milliseconds = durations.parse(value)
        if not least_ms <= milliseconds <= most_ms:
            least, most = durations.show(least_ms), durations.show(most_ms)
            raise Unfit(f"{value!r} is not between {least} and {most}")
        return milliseconds

    return check


def time_zone(value: object) -> str:
    """Return the name of a time zone that this machine knows."""
    written = only_text(value)
    try:
        ZoneInfo(written)
    except (OSError, ValueError, KeyError):
        near = hint(written[:60], available_timezones())
        raise Unfit(f"there is no time zone {written[:60]!r}{near or '; write one like Europe/Paris'}") from None
    return written


def by_number(value: object) -> object:
    """Return a mapping whose keys are numbers; refuse anything else."""
    if not isinstance(value, dict):
        raise Unfit(f"must be a mapping, like {{1001: {{name: Paris}}}}, not {kind_of(value)}")
    return value


def count(value: object) -> int:
    """Return a whole number from 0 to MAX_COUNT."""
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise Unfit(
            f"must be a whole number from 0 to {MAX_COUNT}, not {kind_of(value) if type(value) is not int else value}"
        )
    return value
