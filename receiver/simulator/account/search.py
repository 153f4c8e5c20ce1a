"""How the simulated Nexudus searches: filters, ranges, order, pages. Pure.

As the pages "Search …" of developers.nexudus.com have it: `Booking_Online=true`, `from_Booking_UpdatedOn=…`. The case
of filter names does not matter. A filter that it does not know is ignored and returns everything, as at the real one.
Ranges include both ends and are in UTC; a bound of a minute is its first second. `dir` is documented three ways; here 1
is descending.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Record = Mapping[str, Any]
Reader = Callable[[Record], Any]
Test = Callable[[Record], bool]

_DEFAULT_SIZE = 25


def matching(
    records: Iterable[Record],
    params: Mapping[str, str],
    *,
    kind: str = "WebHook",
    fields: Collection[str] | None = None,
    readers: Mapping[str, Reader] | None = None,
) -> list[Record]:
    """Return the records that every known filter of *params* lets pass, in the order that it asks for.

    *fields*: the names that a record may have, by default those of the first one. *readers* answer further filters,
    named in lower case without the kind, from what is not in the record.
    """
    rows = list(records)
    known = _readers(fields if fields is not None else (rows[0] if rows else ())) | dict(readers or {})
    tests = [test for name, text in params.items() for test in [_test(name.lower(), text, kind.lower(), known)] if test]
    found = [row for row in rows if all(test(row) for test in tests)]
    by = next((text for name, text in params.items() if name.lower() == "orderby"), "").lower()
    if by in known:
        read = known[by]
        found.sort(key=lambda row: (read(row) is not None, _sortable(read(row))), reverse=params.get("dir") == "1")
    return found


def page(
    rows: Sequence[Record], params: Mapping[str, str], *, largest: int, repeat: bool = False, error_of_total: int = 0
) -> dict[str, Any]:
    """Return the envelope of one page. *largest*: no page holds more. *repeat*: it is always the first, never last.

    *error_of_total* is added to the number of rows that it tells of.
    """
    size = min(_positive(params.get("size"), _DEFAULT_SIZE), largest)
    asked = _positive(params.get("page"), 1)
    first = 0 if repeat else (asked - 1) * size
    shown = rows[first : first + size]
    total = max(0, len(rows) + error_of_total)
    return {
        "Records": shown,
        "CurrentPage": asked,
        "CurrentPageSize": size,
        "CurrentOrderField": params.get("orderBy") or "Id",
        "CurrentSortDirection": int(params.get("dir") == "1"),
        "FirstItem": first + 1 if shown else 0,
        "LastItem": first + len(shown) if shown else 0,
        "TotalItems": total,
        "TotalPages": -(-total // size),
        "HasNextPage": repeat or first + size < len(rows),
        "HasPreviousPage": asked > 1,
    }


def ids(text: str) -> list[int]:
    """Return the numbers of `[1,2,3]`, at most a thousand; what is none is left out."""
    words = text.strip().removeprefix("[").removesuffix("]").split(",")[:1_000]
    return [int(word) for word in (word.strip() for word in words) if word.isdecimal() and len(word) < 17]


def _readers(fields: Collection[str]) -> dict[str, Reader]:
    """Return how to read each field by its name in lower case; `ResourceId` is also `Resource`, as filters name it."""

    def reader(name: str) -> Reader:
        return lambda record: record.get(name)

    named = {name.lower(): reader(name) for name in fields}
    linked = {name[:-2].lower(): reader(name) for name in fields if name.endswith("Id") and len(name) > 2}
    return linked | named


def _test(name: str, text: str, kind: str, known: Mapping[str, Reader]) -> Test | None:
    end, _, rest = name.partition("_")
    if end in ("from", "to"):
        of, _, field = rest.partition("_")
        return _within(known[field], end, text) if of == kind and field in known else None
    return _equal(known[rest], text.lower()) if end == kind and rest in known else None


def _within(read: Reader, end: str, text: str) -> Test | None:
    """Numbers are compared as numbers, everything else as times. A bound that is neither is ignored."""
    moment, number = _moment(text), _number(text)
    sign = 1 if end == "from" else -1

    def test(record: Record) -> bool:
        value = read(record)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return number is None or (value - number) * sign >= 0
        if moment is None:
            return True
        if not isinstance(value, str):
            return False
        return value[:19] >= moment if end == "from" else value[:19] <= moment

    return None if moment is None and number is None else test


def _equal(read: Reader, text: str) -> Test:
    """Texts contain what is asked for, everything else equals it."""

    def test(record: Record) -> bool:
        value = read(record)
        if isinstance(value, str):
            return text in value.lower()
        return value is not None and str(value).lower() == text

    return test


def _moment(text: str) -> str | None:
    """Return a bound as UTC to the second, without its zone: times of records compare with it as texts."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return moment.isoformat(timespec="seconds")


def _number(text: str) -> float | None:
    try:
        return float(text[:20])
    except ValueError:
        return None


def _sortable(value: object) -> tuple[float, str]:
    if isinstance(value, int | float):
        return (value, "")
    return (0, "" if value is None else str(value).lower())


def _positive(text: str | None, default: int) -> int:
    """Return the number that *text* is; of a longer one than makes sense only the first digits are read."""
    return int(text[:9]) if text and text.isdecimal() and int(text[:9]) > 0 else default
