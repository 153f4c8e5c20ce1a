"""What a route has read from Nexudus for each of its events: which records, and by which id. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from receiver.routing.cel import expressions
from receiver.routing.filters import Filter

MOST: Final = 10
"""Records that a route may have read; each can cost a call of Nexudus."""

NAME: Final = r"[a-z][a-z0-9_]{0,39}"

_TAKEN: Final = frozenset({*expressions.VARIABLES, "business", "event"})
_WORDS: Final = frozenset({"and", "elif", "endfor", "endif", "is", "none", "not", "or", "self", "set"})
_LARGEST_ID: Final = 2**53


class NoId(ValueError):
    """The id of a record cannot be told from an event; the message is one sentence without anything of the record."""


@dataclass(frozen=True, slots=True)
class Enrichment:
    """A record that workers read for an event. *kind*: "Coworker" or "spaces/coworkers"; *number*: its id, as CEL."""

    name: str
    kind: str
    number: Filter = field(compare=False)

    def id_for(self, business_id: int, action: str, record: Mapping[str, Any]) -> int | None:
        """Return the id of the record for one event; None: the event names none. Raises NoId."""
        found, failure = self.number.evaluate(business_id, action, record)
        if failure is not None:
            raise NoId(f"the id of {self.name!r} cannot be told: {failure} ({self.number.source})")
        if found is None or found == 0:
            return None
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if type(found) is not int or not 0 < found < _LARGEST_ID:
            raise NoId(f"the id of {self.name!r} is not the number of a record ({self.number.source})")
        return found


def why_no_name(name: str) -> str | None:
    """Return why an enriched record cannot have this name; None: it can."""
    if name in _TAKEN:
        return f"{name!r} is a name already; the names of an event are {', '.join(sorted(_TAKEN))}"
    if name in expressions.RESERVED | expressions.TYPES | _WORDS:
        return f"{name!r} is a word of CEL or of templates; choose another name"
    return None
