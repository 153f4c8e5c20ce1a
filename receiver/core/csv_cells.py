"""Values as cells of a CSV file that a spreadsheet can open without running anything."""

from typing import Final

import orjson

from receiver.core.sanitize import plain

_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a text begins that spreadsheets take for a formula, in full width, too."""


def csv_cell(value: object) -> str:
    """Return a value as a cell: a number as it is, and anything else as a text on one line that stays a text."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            text = plain(value)
        case _:
            text = plain(orjson.dumps(value, default=str).decode())
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
