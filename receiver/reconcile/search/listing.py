"""Lists the records of a search, and believes nothing: filters may be ignored, pages repeat and move, totals lie.

Guard 1 compares with a search without the filter, guard 2 looks at every row: its own field must lie in the window.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from receiver.core.errors import FrontdeskError
from receiver.nexudus.api.entities import PAGE_SIZE, Entities, RecordPage, Row
from receiver.nexudus.record_kinds import KINDS
from receiver.nexudus.record_times import minute, moment, plain
from receiver.reconcile.rules.rule import KEPT, Ask

MOST_ROWS: Final = 250_000
"""Rows of one search. A row is kept with the fields that the rules look at, which take about 2 KB."""

BY_HAND: Final = "`frontdesk backfill` reads them"

_AHEAD_MS: Final = 10 * 60_000
"""How far ahead of ours the clock of Nexudus may be."""

_MINUTE_MS: Final = 60_000
_NEVER: Final = "2100-01-01T00:00"
"""Nothing happened since then: a filter that finds something there is ignored."""


class Unreliable(FrontdeskError):
    """What Nexudus answers to a search cannot be believed; one sentence says why."""


class TooMany(FrontdeskError):
    """A search finds more than may be read without asking a person."""


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when is asked, in Unix milliseconds, both ends inclusive."""

    from_ms: int
    to_ms: int


@dataclass(slots=True)
class Listing:
    """The rows of a search by Id. *ahead*: how many were left out because their time is still to come; *others*:
    because a filter let them pass that looks for a part of a name; *is_steady*: each page told the same total. When a
    record is deleted while pages are read, the first of the next page slips onto the last one, unseen."""

    rows: dict[int, Row] = field(default_factory=dict)
    ahead: int = 0
    others: int = 0
    total: int | None = None
    is_steady: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether it holds as many rows as Nexudus says that there are."""
        return self.total is None or len(self.rows) + self.ahead + self.others >= self.total


class Lister:
    """Lists through *entities*. *most*: rows of one search without asking a person. *now_ms*: Unix milliseconds.

    *expect* is told how many more pages there are than one for the search, *read* of each page.
    """

    def __init__(
        self,
        entities: Entities,
        *,
        now_ms: int,
        most: int = MOST_ROWS,
        expect: Callable[[int], None] = lambda _number: None,
        read: Callable[[int], None] = lambda _number: None,
    ) -> None:
        self._entities = entities
        self._now_ms = now_ms
        self._most = min(most, MOST_ROWS)
        self._expect = expect
        self._read = read
        self._totals: dict[tuple[str, tuple[tuple[str, str], ...]], int | None] = {}

    def rows(self, ask: Ask, window: Window) -> Listing:
        """Return all rows of a search. Raises Unreliable, TooMany, NexudusError."""
        whole = Listing()
        for attempt in (1, 2):
            listing = self._listing(ask, window, is_checked=attempt == 2)
            whole.rows |= listing.rows
            whole.ahead, whole.others, whole.total = listing.ahead, listing.others, listing.total
            if listing.is_whole and listing.is_steady:
                return listing
            if attempt == 1:
                structlog.get_logger().warning("pages.moved", kind=ask.kind, reason=_moved(listing))
        if whole.is_whole:
            return whole
        raise Unreliable(
            f"Nexudus says that a search of {ask.kind} finds {whole.total} records, and shows {len(whole.rows)} of them"
        )

    def _listing(self, ask: Ask, window: Window, *, is_checked: bool) -> Listing:
        found = Listing()
        for number, page in enumerate(self._pages(ask, window), start=1):
            self._read(1)
            if number == 1 and not is_checked:
                self._check_size(ask, page)
                self._expect(max(0, ((page.total or 0) - 1) // PAGE_SIZE))
            fresh = {row["Id"]: row for row in page.rows}
            if page.has_next and not fresh.keys() - found.rows.keys():
                raise Unreliable(f"Nexudus repeats itself in the pages of a search of {ask.kind}")
            for row in fresh.values():
                self._take(ask, window, row, found)
            if number == 1 and not is_checked:
                self._check_filter(ask, page)
            found.is_steady &= number == 1 or page.total == found.total
            found.total = page.total
        return found

    def _pages(self, ask: Ask, window: Window) -> Iterator[RecordPage]:
        for number in range(1, MOST_ROWS // PAGE_SIZE + 2):
            page = self._page(ask, _range(ask, minute(window.from_ms), _end(ask, window)), number, PAGE_SIZE)
            yield page
            if not page.has_next:
                return
        raise Unreliable(f"Nexudus has no end of pages for a search of {ask.kind}; gave up after {MOST_ROWS} rows")

    def _page(self, ask: Ask, ranged: Mapping[str, str], number: int, size: int) -> RecordPage:
        params: dict[str, str | int] = {**dict(ask.filters), **ranged, "orderBy": "Id", "page": number, "size": size}
        return self._entities.page(ask.kind, KINDS[ask.kind].path, params)

    def _check_size(self, ask: Ask, page: RecordPage) -> None:
        if page.total is not None and page.total > self._most:
            raise TooMany(f"a search of {ask.kind} finds {page.total} records, more than {self._most}; {BY_HAND}")

    def _check_filter(self, ask: Ask, page: RecordPage) -> None:
        """Guard 1. As many as without the filter is suspicious; a window in which nothing can be settles it."""
        if not page.total or page.total != self._without_filter(ask):
            return
        if self._page(ask, _range(ask, _NEVER, None), 1, 1).total:
            raise Unreliable(f"Nexudus ignores the filter {_from(ask)}: it finds records where there can be none")

    def _without_filter(self, ask: Ask) -> int | None:
        key = (ask.kind, ask.filters)
        if key not in self._totals:
            self._totals[key] = self._page(ask, {}, 1, 1).total
        return self._totals[key]

    def _take(self, ask: Ask, window: Window, row: Row, found: Listing) -> None:
        """Guard 2. The window was asked for in whole minutes, and rows of the rest of a minute are right."""
        at_ms = moment(row.get(ask.ranged))
        if at_ms is None:
            raise Unreliable(f"Nexudus shows a {ask.kind} without {ask.ranged} in a search by it")
        begin_ms = window.from_ms // _MINUTE_MS * _MINUTE_MS
        is_late = not ask.is_open and at_ms >= (window.to_ms // _MINUTE_MS + 2) * _MINUTE_MS
        if at_ms < begin_ms or is_late:
            when = plain(max(at_ms, 0))
            raise Unreliable(f"Nexudus ignores the filter {_from(ask)}: it shows a {ask.kind} of {when}")
        if not all(_fits(row, name, text) for name, text in ask.filters):
            found.others += 1
        elif at_ms > self._now_ms + _AHEAD_MS and ask.ranged in ("CreatedOn", "UpdatedOn"):
            found.ahead += 1
        else:
            found.rows[row["Id"]] = {name: value for name, value in row.items() if name in KEPT}


def _moved(listing: Listing) -> str:
    """Say why a list is read once more."""
    if listing.is_steady:
        return f"Nexudus announced {listing.total} records and showed {len(listing.rows)}; its pages are read again"
    return "records came or went while the pages of Nexudus were read; they are read again, and each record counts once"


def _fits(row: Row, name: str, text: str) -> bool:
    """Whether a row has what one more filter asks for; one that has only a part of it was found by a part of a name."""
    field = name.partition("_")[2]
    said = row.get(field, row.get(f"{field}Id"))
    if said is None or str(said).lower() == text.lower():
        return True
    if text.lower() in str(said).lower():
        return False
    raise Unreliable(f"Nexudus ignores the filter {name}: it shows a record that does not fit it")


def _end(ask: Ask, window: Window) -> str | None:
    """Return the end of a window, in the minute after it: whether a bound includes its minute is not documented."""
    return None if ask.is_open else minute(window.to_ms + _MINUTE_MS)


def _from(ask: Ask) -> str:
    return f"from_{ask.kind}_{ask.ranged}"


def _range(ask: Ask, begin: str, end: str | None) -> dict[str, Any]:
    ranged = {_from(ask): begin}
    return ranged if end is None else ranged | {f"to_{ask.kind}_{ask.ranged}": end}
