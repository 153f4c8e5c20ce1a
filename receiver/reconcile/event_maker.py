"""Makes events of candidates: fetches the records whole, routes them as any event, and stores them, each once.

The id of an event is of the moment before its record was read, so that a hook's event that comes meanwhile is the newer
one. What was made claims a fingerprint in the same step, so that nothing is made twice, wherever this is cut off.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import redis

from receiver.core.errors import NexudusError
from receiver.core.events import Envelope
from receiver.core.ids import IdGenerator
from receiver.ingest.hook_plan import HookPlan
from receiver.nexudus import actions, canonical_record, change_identity, fingerprint, payload
from receiver.nexudus.api.entities import BATCH_SIZE, Entities, Row
from receiver.nexudus.record_kinds import KINDS
from receiver.operations.replay import Replay
from receiver.reconcile.known_events import REMEMBERED_MS, KnownEvents, Newest
from receiver.reconcile.known_events import fingerprint as made_print
from receiver.reconcile.route_selection import RouteSelection, TableFor, lacking
from receiver.reconcile.search.candidates import Candidate, key_of
from receiver.storage.model import change_claims, keep_script
from receiver.storage.model.entries import Entry
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis.store_client import StoreClient

CHUNK: Final = 2_000
"""Candidates whose records are in memory together: in one order over all kinds, fetched kind by kind. A smaller one
would leave more batches half full: each is a call."""

_STORED_AT_ONCE: Final = 50


@dataclass(slots=True)
class Made:
    """What became of candidates, by gap."""

    made: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    gone: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    """By action, why records could not be read."""


class EventMaker:
    """Makes events. *check* raises when it must not go on, and waits while live traffic goes first; *clock*: Unix s."""

    def __init__(
        self,
        client: redis.Redis,
        entities: Entities,
        selection: RouteSelection,
        known: KnownEvents,
        *,
        check: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._calls = StoreClient(client, "keep")
        self._archive = EventReader(client)
        self._newest = Newest(client)
        self._replay = {name: Replay(client, selection.table, route=name) for name in lacking(selection)}
        self._entities = entities
        self._selection = selection
        self._known = known
        self._check = check
        self._clock = clock
        self._mint = IdGenerator()
        self._told: set[tuple[int, str, int, bytes | None]] = set()

    def sift(self, candidates: Iterable[Candidate], made: Made) -> list[Candidate]:
        """Return those that are not known yet; a kept event gets what routes of a person's choice lack."""
        listed = list(candidates)
        claimed = self._known.made([made_print(one, self._selection.routes) for one in listed])
        fresh: list[Candidate] = []
        for candidate, first in zip(listed, claimed, strict=True):
            event_id = self._known.event(candidate) or first
            if event_id is None:
                fresh.append(candidate)
            else:
                made.known[candidate.gap] += 1
        return fresh

    def make(self, candidates: Sequence[Candidate]) -> Iterator[Made]:
        """Make events of candidates in their order; yield what became of each portion, once it is stored."""
        for start in range(0, len(candidates), CHUNK):
            self._check()
            some, made = candidates[start : start + CHUNK], Made()
            self._known.refresh()
            fresh = self.sift(some, made)
            read_at = self._clock()
            records = self._records(fresh, made)
            entries = list(self._entries(fresh, records, read_at, made))
            yield made
            for at in range(0, len(entries), _STORED_AT_ONCE):
                self._check()
                stored = Made()
                self._store(entries[at : at + _STORED_AT_ONCE], stored)
                yield stored

    def complete(self, candidates: Iterable[Candidate]) -> int:
        """Give kept events what the routes lack that a person asks for; return how many deliveries were made."""
        number = 0
        for candidate in candidates:
            event_id = self._known.event(candidate)
            stored = next(iter(self._archive.many([event_id])), None) if event_id else None
            if stored is None:
                continue
            there = {delivery.route for delivery in stored.deliveries}
            for name, replay in self._replay.items():
                if name not in there:
                    number += len(replay.run(stored).deliveries)
        return number

    def _records(self, candidates: Sequence[Candidate], made: Made) -> dict[tuple[str, int], Row]:
        """Fetch the records of candidates, whole, kind by kind; of a delete there is only the Id."""
        wanted: dict[str, list[int]] = {}
        for candidate in candidates:
            if not candidate.rule.is_bare:
                wanted.setdefault(candidate.kind, []).append(candidate.fetch)
        found: dict[tuple[str, int], Row] = {}
        for kind, numbers in wanted.items():
            try:
                found |= {(kind, number): row for number, row in self._fetch(kind, dict.fromkeys(numbers))}
            except NexudusError as error:
                failed = {one.action for one in candidates if one.kind == kind}
                made.failed |= dict.fromkeys(failed, str(error))
        return found

    def _fetch(self, kind: str, numbers: Collection[int]) -> Iterator[tuple[int, Row]]:
        about, listed = KINDS[kind], list(numbers)
        for start in range(0, len(listed), BATCH_SIZE):
            self._check()
            some = listed[start : start + BATCH_SIZE]
            batch = self._entities.many(kind, about.path, some) if about.is_whole and len(some) > 1 else {}
            yield from batch.items()
            for number in (one for one in some if one not in batch):  # only its own answer says that it is gone
                record = self._entities.one(kind, about.path, number)
                if record is not None:
                    yield number, record

    def _entries(
        self, candidates: Sequence[Candidate], records: Mapping[tuple[str, int], Row], read_at: float, made: Made
    ) -> Iterator[tuple[Candidate, Entry]]:
        for candidate in candidates:
            if candidate.action in made.failed:
                continue
            record = self._record_of(candidate, records)
            if record is None:
                made.gone[candidate.gap] += 1
            elif self._is_known_now(candidate, record):
                made.known[candidate.gap] += 1
            elif entry := self._entry(candidate, record, read_at):
                yield candidate, entry
            else:
                made.known[candidate.gap] += 1

    def _record_of(self, candidate: Candidate, records: Mapping[tuple[str, int], Row]) -> dict[str, Any] | None:
        if candidate.rule.is_bare:
            last = self._newest.of(f"{actions.entity_kind(candidate.action)}:{candidate.number}")
            kept = None if last is None or last.loss else _object(last.envelope.body)
            return {"Id": candidate.number} | ({"LastKept": kept} if kept else {})
        row = records.get((candidate.kind, candidate.fetch))
        return None if row is None else {**row, "Id": candidate.number}

    def _is_known_now(self, candidate: Candidate, record: Row) -> bool:
        """Whether the record moved on since it was listed: a hook brings that, or brought it."""
        rule = candidate.rule
        if candidate.is_sourced:
            return self._known.event_of_record(candidate, record) is not None
        return bool(rule.key) and key_of(rule, record) != candidate.key

    def _entry(self, candidate: Candidate, record: dict[str, Any], read_at: float) -> Entry | None:
        """Return what is stored; None when the routes that this is for do not want it."""
        table = TableFor(self._selection)
        raw = orjson.dumps(record)
        envelope = Envelope(
            id=self._mint(read_at),
            business_id=candidate.business_id,
            action=candidate.action,
            action_code=actions.code_of(candidate.action),
            received_ms=int(self._clock() * 1_000),
            body=raw,
            origin="backfill",
            routes=table.hash,
            entity=fingerprint.entity(candidate.action, record),
        )
        parsed = payload.BodyRecord(raw, record, canonical_record.of(record))
        plan = HookPlan(envelope.business_id, envelope.action, table, dedup_window_ms=REMEMBERED_MS)
        entry = plan.entry(envelope, parsed)
        if not entry.wanted and table.is_narrowed:
            return None
        claim = self._claim(candidate, record, is_narrowed=table.is_narrowed)
        return entry._replace(fingerprint=claim, window_ms=REMEMBERED_MS)

    def _claim(self, candidate: Candidate, record: Row, *, is_narrowed: bool) -> bytes:
        """Return what keeps this from being made twice, and a hook's event of the same change from being kept, too.

        Other rows may tell several occurrences of one record, and each route that a person names gets its own: such an
        event is made whoever has claimed its change.
        """
        change = change_identity.of(change_identity.field_of(candidate.action), record)
        told = (candidate.business_id, candidate.action, candidate.number, change)
        is_one_of_several = bool(self._selection.routes) or told in self._told
        self._told.add(told)
        how = change_claims.made(is_narrowed=is_narrowed, is_one_of_several=is_one_of_several)
        return change_claims.claiming(made_print(candidate, self._selection.routes), how, change)

    def _store(self, some: Sequence[tuple[Candidate, Entry]], made: Made) -> None:
        """Store events in their order. Raises StorageUnavailable; what was stored already is known the next time."""
        by_id = {entry.envelope.id: candidate for candidate, entry in some}
        for batch in keep_script.calls([entry for _, entry in some]):
            receipts = keep_script.receipts(batch, self._calls.run("keep", *keep_script.arguments(batch)))
            for entry, receipt in zip(batch, receipts, strict=True):
                while keep_script.is_long(entry) and keep_script.left(
                    self._calls.run("keep", *keep_script.continuation(entry.envelope.id))
                ):
                    pass
                counts = made.made if receipt and receipt.status == "accepted" else made.known
                counts[by_id[entry.envelope.id].gap] += 1


def calls_for(fresh: Iterable[Candidate]) -> int:
    """Return about how many calls it takes to fetch the records of candidates."""
    numbers: dict[str, set[int]] = {}
    for one in fresh:
        if not one.rule.is_bare:
            numbers.setdefault(one.kind, set()).add(one.fetch)
    return sum(-(-len(some) // BATCH_SIZE) if KINDS[kind].is_whole else len(some) for kind, some in numbers.items())


def _object(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        return None
