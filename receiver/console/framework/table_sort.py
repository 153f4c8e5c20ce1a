"""Sorting the tables of a page: `sort=COLUMN` in the query, `-COLUMN` for the opposite order. Pure.

A page names the tables among its facts and their columns. Each column has the order that is wanted first: one written
with a leading minus shows its largest values first. Only the rows that the page has are sorted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from receiver.core.errors import UsageError

Tables = Mapping[str, tuple[str, ...]]
"""The columns of each table, by its name among the facts."""

FIELD: Final = "sort"


@dataclass(frozen=True, slots=True)
class Sorting:
    """How a page is sorted. *asked*: as in the query, None: not at all. *path* and *query* are those of the page."""

    tables: Tables
    asked: str | None
    path: str
    query: Mapping[str, str]

    def rows(self, name: str, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the rows of a table in the order asked for; those without a value come last."""
        given = list(rows)
        column = (self.asked or "").removeprefix("-")
        if not column or not _is_column(column, self.tables[name]):
            return given
        known = [one for one in given if one.get(column) is not None]
        unknown = [one for one in given if one.get(column) is None]
        return sorted(known, key=lambda one: _key(one[column]), reverse=self._is_falling(column)) + unknown

    def link(self, column: str) -> str:
        """Return the address of the page sorted by a column; sorted by it already, of the opposite order."""
        wanted = f"-{column}" if self.asked == column else column
        return f"{self.path}?{urlencode({**self.query, FIELD: wanted})}"

    def direction(self, column: str) -> str | None:
        """Return how a column is sorted, as `aria-sort` has it; None when the page is not sorted by it."""
        if (self.asked or "").removeprefix("-") != column:
            return None
        return "descending" if self._is_falling(column) else "ascending"

    def _is_falling(self, column: str) -> bool:
        is_natural = self.asked == column
        return is_natural == any(f"-{column}" in columns for columns in self.tables.values())


def sorting(tables: Tables, path: str, fields: Mapping[str, str], query: Mapping[str, str]) -> Sorting:
    """Read how a page is to be sorted. *path*: of the page, with the names of *fields* in it. Raises UsageError."""
    asked = query.get(FIELD, "").strip() or None
    if asked and tables and not any(_is_column(asked.removeprefix("-"), columns) for columns in tables.values()):
        known = dict.fromkeys(one.removeprefix("-") for columns in tables.values() for one in columns)
        raise UsageError(f"sort: {asked[:40]!r} is not one of {', '.join(known)}, each also with a leading minus")
    others = {name: value for name, value in query.items() if name != FIELD}
    return Sorting(tables, asked if tables else None, path.format_map(_quoted(fields)), others)


def _is_column(name: str, columns: tuple[str, ...]) -> bool:
    return name in columns or f"-{name}" in columns


def _quoted(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: quote(value, safe="") for name, value in fields.items()}


def _key(value: Any) -> tuple[int, Any]:
    """Numbers before texts; upper and lower case are the same."""
    return (0, value) if isinstance(value, int | float) else (1, str(value).casefold())
