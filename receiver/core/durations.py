"""Durations as operators write them: `500ms`, `30s`, `10m`, `6h`, `7d`, or plain seconds."""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator

HOUR_MS: Final = 3_600_000

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": HOUR_MS, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)?")


def parse(value: object) -> int:
    """Return a duration in whole milliseconds. Raises ValueError with the accepted forms."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
        return round(value * 1_000)
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration; write 500ms, 30s, 10m, 6h, 7d or plain seconds")
    number, unit = match.groups()
    return round(float(number) * _UNITS_MS[unit or "s"])


def show(milliseconds: int) -> str:
    """Return the shortest spelling that `parse` reads back as the same duration."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % _UNITS_MS[unit] == 0:
            return f"{milliseconds // _UNITS_MS[unit]}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


Milliseconds = Annotated[int, BeforeValidator(parse)]
"""A pydantic field type: written as a duration, held as whole milliseconds."""
