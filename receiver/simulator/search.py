"""How the simulated Nexudus searches: filters, order, pages. Pure.

As the page "Search WebHooks" has it (https://developers.nexudus.com/rest-api/sys/get-webhooks). A filter that it does
not know is ignored and returns everything, as at the real one. `dir` is documented three ways; here 1 is descending.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]

_DEFAULT_SIZE = 25
_EXACT = {"webhook_business": "BusinessId"} | {
    f"webhook_{name}".lower(): name for name in ("Action", "Active", "ErrorCount")
}
_WITHIN = {f"webhook_{name}".lower(): name for name in ("Name", "URL", "Description", "LastError", "LastTrigger")}
_RANGED = ("ErrorCount", "LastTrigger", "CreatedOn", "UpdatedOn")
_FROM = {f"from_webhook_{name}".lower(): name for name in _RANGED}
_TO = {f"to_webhook_{name}".lower(): name for name in _RANGED}


def matching(records: Sequence[Record], params: Mapping[str, str]) -> list[Record]:
    """Return the hooks that every known filter of *params* lets pass, in the order that it asks for."""
    filters = {name.lower(): text for name, text in params.items()}
    found = [record for record in records if _matches(record, filters)]
    by = params.get("orderBy") or params.get("orderby") or ""
    if found and by in found[0]:
        found.sort(key=lambda record: (record[by] is not None, _sortable(record[by])), reverse=params.get("dir") == "1")
    return found


def page(rows: Sequence[Record], params: Mapping[str, str], *, largest: int, repeat: bool) -> dict[str, Any]:
    """Return the envelope of one page. *largest*: no page holds more. *repeat*: it is always the first, never last."""
    size = min(_positive(params.get("size"), _DEFAULT_SIZE), largest)
    asked = _positive(params.get("page"), 1)
    first = 0 if repeat else (asked - 1) * size
    shown = rows[first : first + size]
    return {
        "Records": shown,
        "CurrentPage": asked,
        "CurrentPageSize": size,
        "CurrentOrderField": params.get("orderBy") or "Id",
        "CurrentSortDirection": int(params.get("dir") == "1"),
        "FirstItem": first + 1 if shown else 0,
        "LastItem": first + len(shown) if shown else 0,
        "TotalItems": len(rows),
        "TotalPages": -(-len(rows) // size),
        "HasNextPage": repeat or first + size < len(rows),
        "HasPreviousPage": asked > 1,
    }


def _matches(record: Record, params: Mapping[str, str]) -> bool:
    return (
        all(_text(record[name]) == params[key].lower() for key, name in _EXACT.items() if key in params)
        and all(params[key].lower() in _text(record[name]) for key, name in _WITHIN.items() if key in params)
        and all(_is_after(record[name], params[key]) for key, name in _FROM.items() if key in params)
        and all(_is_before(record[name], params[key]) for key, name in _TO.items() if key in params)
    )


def _text(value: object) -> str:
    return "" if value is None else str(value).lower()


def _is_after(value: object, bound: str) -> bool:
    if isinstance(value, int):
        return not bound.isdecimal() or value >= int(bound)
    return isinstance(value, str) and value >= bound


def _is_before(value: object, bound: str) -> bool:
    """A bound of a minute includes all of it."""
    if isinstance(value, int):
        return not bound.isdecimal() or value <= int(bound)
    return isinstance(value, str) and value[: len(bound)] <= bound


def _sortable(value: object) -> tuple[int, str]:
    return (value, "") if isinstance(value, int) else (0, _text(value))


def _positive(text: str | None, default: int) -> int:
    """Return the number that *text* is; of a longer one than makes sense only the first digits are read."""
    return int(text[:9]) if text and text.isdecimal() and int(text[:9]) > 0 else default
