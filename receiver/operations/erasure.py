"""Erasure: all that is kept about one person is deleted; it stays known that events were kept.

An event about the person keeps its id, action, business and times; its record becomes `{}`. Its deliveries in flight
end as discarded, and the errors of its attempts are cleared, because a handler may have put anything into them.
`erase.lua` does that for one event. `frontdesk erase` runs all parts, the one for spools included, and says what
remains elsewhere.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import orjson
import redis

from receiver.core import ids
from receiver.core.errors import StorageUnavailable
from receiver.core.events import Envelope
from receiver.nexudus import actions
from receiver.operations import body_decoding
from receiver.storage.model import codec, decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient
from receiver.storage.spool import rewriting
from receiver.storage.spool.rewriting import Rewritten

_SCANNED_AT_ONCE = 500
_DELIVERIES_AT_ONCE = 500
_COWORKER = "Coworker"
_DEEPEST = 1_100


class Subject(Protocol):
    """The person whose events are looked for."""

    def is_in(self, envelope: Envelope) -> bool:
        """Whether an event is about this person, by its body as it stands there."""


@dataclass(slots=True)
class _Search:
    """Looks for a person in events, and counts those in which something cannot be read."""

    subject: Subject
    unsearched: int = 0

    def finds(self, envelope: Envelope) -> bool:
        readings = body_decoding.readings(envelope.body, envelope.headers)
        if any(self.subject.is_in(envelope._replace(body=body)) for body in readings.bodies):
            return True
        self.unsearched += not readings.is_whole
        return False


@dataclass(frozen=True, slots=True)
class CoworkerSubject:
    """A customer by the number that Nexudus gave them: as the record's own `Id`, or named by it anywhere."""

    number: int

    def is_in(self, envelope: Envelope) -> bool:
        """Whether the record is the customer's, or has their number as `CoworkerId` or among `CoworkerIds`."""
        is_own = actions.entity_kind(envelope.action) == _COWORKER
        read = _read(envelope.body)
        if read is None:
            names = rb"(?:CoworkerIds?|Id)" if is_own else rb"CoworkerIds?"
            pattern = rb'"%b"\s*:\s*[\["\s\d,]*(?<!\d)%d(?!\d)' % (names, self.number)
            return re.search(pattern, envelope.body, re.IGNORECASE) is not None
        records = read if isinstance(read, list) else [read]
        if is_own and any(isinstance(one, dict) and self._is(one.get("Id")) for one in records):
            return True
        return any(self._is(value) for name, value in _fields(read) if name in ("CoworkerId", "CoworkerIds"))

    def _is(self, value: object) -> bool:
        written = value if isinstance(value, list) else str(value).split(",")
        return any(str(one).strip() == str(self.number) for one in written)


class EmailSubject:
    """A person by an e-mail address, anywhere in a record, in upper or lower case."""

    def __init__(self, address: str) -> None:
        # Not inside a longer address: joann@example.com and ann@example.com.au are somebody else's.
        folded = re.escape(address.strip().casefold())
        self._pattern = re.compile(rf"(?<![\w.+%-]){folded}(?![\w-]|\.\w)")

    def is_in(self, envelope: Envelope) -> bool:
        """Whether any text of the record, or of a body that cannot be read, has the address."""
        read = _read(envelope.body)
        texts = [envelope.body.decode("utf-8", "replace")] if read is None else _texts(read)
        return any(self._pattern.search(text.casefold()) for text in texts)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done: the ids of the events whose records are cleared, and how many deliveries were cancelled."""

    events: tuple[str, ...]
    cancelled: int


class Erasure:
    """Finds and erases the records about a person. Methods raise StorageUnavailable."""

    def __init__(self, client: redis.Redis, *, looked_at: Callable[[int], None] | None = None) -> None:
        """*looked_at* is called after each page with the number of its events.

        *unsearched* counts what `find` could not look into: bodies that cannot be unpacked or are no text in any
        encoding, and what a newer version wrote.
        """
        self._calls = StoreClient(client, "erase", "response_cache")
        self._looked_at = looked_at or (lambda number: None)
        self.unsearched = 0

    def size(self) -> int:
        """About how many events a search will look at."""
        hours = decoding.hours(self._calls.ask("zrange", keys.HOURS, 0, -1))
        return sum(self._calls.ask_all("llen", [keys.index(hour) for hour in hours]))

    def find(self, subject: Subject) -> list[str]:
        """Return the events about a person. Reads every envelope, also one that no list names, in pages."""
        search = _Search(subject)
        found = sorted(set(self._found(search)))
        self.unsearched = search.unsearched
        return found

    def erase(self, event_ids: Iterable[str]) -> Erased:
        """Clear these events, and whatever handlers read at Nexudus; events that are gone meanwhile are left out."""
        self._calls.run("response_cache", "clear")
        done, cancelled = [], 0
        for event_id in event_ids:
            ended = self._erase(event_id)
            if ended is not None:
                done.append(event_id)
                cancelled += ended
        return Erased(tuple(done), cancelled)

    def _erase(self, event_id: str) -> int | None:
        """Clear one event, its deliveries in portions; return how many were cancelled, None when it is not kept."""
        stored = self._calls.ask("get", keys.envelope(event_id))
        if not stored:
            return None
        envelope, first, cancelled = codec.pack(tombstone(codec.unpack(stored))), 1, 0
        while first:
            reply = self._calls.run("erase", event_id, envelope, first, _DELIVERIES_AT_ONCE)
            if reply is None:
                return cancelled if first > 1 else None
            ended, first = reply
            cancelled += int(ended)
        return cancelled

    def rewrite_log(self) -> str | None:
        """Have the server rewrite its append-only file without the erased records; return why not, if it does not."""
        if not int(self._calls.ask("info", "persistence").get("aof_enabled", 0)):
            return "the server keeps no append-only file"
        try:
            self._calls.ask("bgrewriteaof")
        except StorageUnavailable as error:
            return str(error)
        return None

    def _found(self, search: _Search) -> Iterator[str]:
        cursor = 0
        while True:
            cursor, page = self._calls.ask("scan", cursor, match="fd:e:*", count=_SCANNED_AT_ONCE)
            for key, stored in zip(page, self._calls.ask_all("get", page), strict=True):
                event_id = key.decode("ascii", "replace").rpartition(":")[2]
                if stored and len(event_id) == ids.LENGTH and _concerns(search, stored):
                    yield event_id
            self._looked_at(len(page))
            if not cursor:
                return


def _concerns(search: _Search, stored: bytes) -> bool:
    try:
        envelope = codec.unpack(stored)
    except ValueError:
        search.unsearched += 1
        return False
    return search.finds(envelope)


def tombstone(envelope: Envelope) -> Envelope:
    """Return what stays of an event: nothing that says who it was about."""
    return envelope._replace(
        body=b"{}",
        entity=None,
        headers={},
        quarantine="erased" if envelope.quarantine else None,
        erased_ms=int(time.time() * 1_000),
    )


def erase_spooled(data_dir: Path, subject: Subject) -> Rewritten:
    """Clear the person's events in the spools of a data directory; they come into the store without deliveries.

    What could not be looked into is counted as `Erasure.find` does it.
    """
    search = _Search(subject)
    done = rewriting.rewrite(data_dir, lambda envelope: tombstone(envelope) if search.finds(envelope) else None)
    return replace(done, unsearched=done.unsearched + search.unsearched)


def _read(body: bytes) -> Any:
    """Return what a body says, or None when it cannot be read."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every field of every object within; as deep as the parser reads."""
    level = [value]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                yield from one.items()
                below += one.values()
            elif isinstance(one, list):
                below += one
        if not below:
            return
        level = [one for one in below if isinstance(one, dict | list)]


def _texts(value: Any) -> Iterator[str]:
    """Yield every text within, names of fields included."""
    if isinstance(value, str):
        yield value
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            yield from one.keys()
            children: Iterable[Any] = one.values()
        else:
            children = one if isinstance(one, list) else ()
        for child in children:
            if isinstance(child, str):
                yield child
            elif isinstance(child, dict | list):
                stack.append(child)
