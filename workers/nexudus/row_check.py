"""Checks rows against the filters of a search: Nexudus ignores filters that it does not know and returns all rows."""

from collections.abc import Mapping
from typing import Any


def passes(name: str, wanted: str | int, row: Mapping[str, Any]) -> bool:
    """Return whether *row* passes the filter *name*. A row that lacks the field or cannot be compared passes."""
    bound, _, rest = name.partition("_") if name.lower().startswith(("from_", "to_")) else ("", "", name)
    field = rest.partition("_")[2].replace("_", "").lower()
    fields = {key.lower(): value for key, value in row.items()}
    found = next((one for one in (field, f"{field}id", f"{field}ids") if one in fields), None)
    if not field or found is None:
        return True
    value, text = fields[found], str(wanted).strip().lower()
    if text == "notnull":
        return value is not None
    if bound:
        return _is_within(value, text, is_from=bound.lower() == "from")
    return _is(value, text, is_number=found.endswith(("id", "ids")))


def _is_within(value: object, bound: str, *, is_from: bool) -> bool:
    """Compare with an inclusive bound; a bound to the minute includes the whole minute."""
    if value is None:
        return False
    numbers = _float(value), _float(bound)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0] >= numbers[1] if is_from else numbers[0] <= numbers[1]
    if not isinstance(value, str) or "+" in bound:
        return True
    at, bound = value.lower().rstrip("z"), bound.rstrip("z")
    return at[: len(bound)] >= bound if is_from else at[: len(bound)] <= bound


def _is(value: object, text: str, *, is_number: bool) -> bool:
    """Compare numbers for equality; look for *text* in a string, and for an equal item in a list."""
    if isinstance(value, bool):
        return text not in ("true", "false") or str(value).lower() == text
    if isinstance(value, list) or (is_number and isinstance(value, str)):
        items = value if isinstance(value, list) else value.split(",")
        return any(str(item).strip().lower() == text for item in items)
    if isinstance(value, int | float):
        wanted = _float(text)
        return wanted is None or float(value) == wanted
    return value is not None and text in str(value).lower()


def _float(value: object) -> float | None:
    try:
        return None if isinstance(value, bool) else float(str(value))
    except ValueError:
        return None
