"""A search over stored events: a filter, and a text that a record must contain, however it is escaped there."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from receiver.storage.query.event_reader import EventReader, SearchPage
from receiver.storage.query.stored_event import EventFilter, StoredEvent

_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A filter, and a text that the record must contain, however it is escaped there."""

    wanted: EventFilter
    text: str | None = None

    def matches(self, stored: StoredEvent) -> bool:
        """Whether an event matches."""
        return self.wanted.wants(stored) and (self.text is None or self._is_in(stored.envelope.body))

    def _is_in(self, body: bytes) -> bool:
        text = self.text or ""
        if body.isascii() and b"\\" not in body:  # as most are
            return _folded(text).encode("utf-8", "replace") in body.lower()
        held = _folded(_unescaped(body.decode("utf-8", "replace")))
        return _folded(text) in held or ("\\" in text and _folded(_unescaped(text)) in held)

    @property
    def is_everything(self) -> bool:
        """Whether it matches every event."""
        return self.text is None and self.wanted == EventFilter()

    def steps(self, archive: EventReader, *, after: str | None = None) -> Iterator[SearchPage]:
        """Yield the matches, newest first, in steps of a few milliseconds, so that the caller can stop in time."""
        return archive.search(self.wanted, after=after, body=self._is_in if self.text else None)


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
