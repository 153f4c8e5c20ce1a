"""Finding events: what the store has an index for is read from there, the rest is looked through, within bounds."""

import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from receiver.console.framework.page_request import Visit
from receiver.core import ids, timestamps
from receiver.core.errors import RequestRefused, UsageError
from receiver.core.events import EventStatus
from receiver.storage.query.event_reader import EventReader, SearchPage
from receiver.storage.query.stored_event import EventFilter, StoredEvent

ROWS: Final = 50
BUDGET_S: Final = 0.05
"""How long one search may look through events. When it is used up, the page says how far it came and goes on there."""

_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}

NAMES: Final = ("action", "business", "route", "status", "since", "until", "text")


@dataclass(frozen=True, slots=True)
class Sought:
    """What is asked for: a filter, and a text that the record holds, however it is written there."""

    wanted: EventFilter
    text: str | None = None

    def wants(self, stored: StoredEvent) -> bool:
        """Whether an event is one of those asked for."""
        return self.wanted.wants(stored) and (self.text is None or self._is_in(stored.envelope.body))

    def _is_in(self, body: bytes) -> bool:
        text = self.text or ""
        if body.isascii() and b"\\" not in body:  # as most are
            return _folded(text).encode("utf-8", "replace") in body.lower()
        held = _folded(_unescaped(body.decode("utf-8", "replace")))
        return _folded(text) in held or ("\\" in text and _folded(_unescaped(text)) in held)

    @property
    def is_everything(self) -> bool:
        """Whether nothing narrows it."""
        return self.text is None and self.wanted == EventFilter()

    def steps(self, archive: EventReader, *, after: str | None = None) -> Iterator[SearchPage]:
        """Look for them, newest first; in steps of a few milliseconds, so that whoever asks can stop in time."""
        return archive.search(self.wanted, after=after, body=self._is_in if self.text else None)


@dataclass(frozen=True, slots=True)
class Found:
    """*more*: the id to go on after, None when everything was looked at. *is_cut*: time was up before the page was
    full; *looked_at* events were gone through, the last of them received at *looked_back_to_ms*, and none left out."""

    events: tuple[StoredEvent, ...]
    more: str | None
    looked_at: int = 0
    is_cut: bool = False
    looked_back_to_ms: int | None = None


def _folded(text: str) -> str:
    """Return a text as it is compared: without the case of letters, accents written in one way."""
    composed = unicodedata.normalize("NFC", text).casefold()
    return unicodedata.normalize("NFC", composed)


def _unescaped(text: str) -> str:
    """Return a text with the escapes of JSON resolved, whether it is JSON as a whole or not."""
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(_resolved, text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # pairs of escapes become one letter


def _resolved(escape: re.Match[str]) -> str:
    return chr(int(escape[1][1:], 16)) if len(escape[1]) > 1 else _LETTERS.get(escape[1], escape[1])


def sought(visit: Visit) -> Sought:
    """Read what is asked for from a query or a form. A text is looked for by an admin only, and that is recorded.

    Raises UsageError, RequestRefused, StorageUnavailable.
    """
    status = visit.asked("status")
    if status is not None and status not in set(EventStatus):
        raise UsageError(f"status: {status!r} is no status; the statuses are {', '.join(EventStatus)}")
    wanted = EventFilter(
        action=visit.asked("action"),
        business_id=visit.number("business"),
        route=visit.asked("route"),
        status=EventStatus(status) if status else None,
        since_ms=timestamps.parse("since", visit.asked("since")),
        until_ms=timestamps.parse("until", visit.asked("until")),
    )
    return Sought(wanted, _text(visit))


def _text(visit: Visit) -> str | None:
    """Return the text to look for. Who finds events by a text learns what records hold, as if they were shown."""
    text = visit.asked("text")
    if text is not None:
        if not visit.session.identity.may_act:
            raise RequestRefused(403, "text: only an admin may look for texts in records; ask for an admin token")
        visit.record("search", by_text=True)
    return text


def cursor(visit: Visit) -> str | None:
    """Return the id after which the page begins. Raises UsageError."""
    after = visit.asked("after")
    if after is not None and not (after.isascii() and after.isalnum() and 20 <= len(after) <= 32):
        raise UsageError(f"after: {after!r} is no id of an event")
    return after


def find(
    archive: EventReader,
    what: Sought,
    *,
    after: str | None = None,
    most: int = ROWS,
    budget_s: float = BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Return the newest events asked for, *most* at a time."""
    until = clock() + budget_s
    found: list[StoredEvent] = []
    looked_at = 0
    for step in what.steps(archive, after=after):
        found += step.events
        looked_at += step.looked_at
        if len(found) > most:
            return Found(tuple(found[:most]), found[most - 1].envelope.id, looked_at)
        if clock() > until:
            reached_ms = ids.milliseconds_of(step.last)
            return Found(tuple(found), step.last, looked_at, is_cut=True, looked_back_to_ms=reached_ms)
    return Found(tuple(found), None, looked_at)
