"""Edits the record of a kept event and routes it as a new event, by the table of today. The original stays as it was.

The new event has origin `edited` and names its original. It is no duplicate of anything: whoever sends an edited record
wants it sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import redis

from receiver.core.errors import StorageUnavailable, UsageError
from receiver.core.events import EventStatus
from receiver.core.ids import IdGenerator
from receiver.ingest.hook_plan import HookPlan
from receiver.nexudus import fingerprint, payload, record_types
from receiver.routing.table import Matched, RoutingTable
from receiver.storage.model import keep_script
from receiver.storage.model.entries import Entry
from receiver.storage.query.stored_event import StoredEvent
from receiver.storage.redis.store_client import StoreClient, is_refusal

LONGEST: Final = 1_048_576
"""Bytes of an edited record."""

_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Edit:
    """An edited record that may be sent: *changed* are the fields that differ from the original's, *routes* those that
    will get it."""

    record: payload.BodyRecord
    changed: tuple[str, ...]
    routes: tuple[str, ...]


class EditedReplay:
    """Makes new events of edited records. *route*: only that one gets them."""

    def __init__(self, client: redis.Redis, table: RoutingTable, *, route: str | None = None) -> None:
        self._calls = StoreClient(client, "keep")
        self._table = _Only(table, route)
        self._mint = IdGenerator()

    def check(self, original: StoredEvent, body: bytes) -> Edit:
        """Read an edited record. Raises UsageError, which says what is wrong and quotes no value."""
        envelope = original.envelope
        if original.status == EventStatus.QUARANTINED:
            raise UsageError(f"event {envelope.id} is quarantined; `frontdesk release` checks it again")
        if original.loss:
            raise UsageError(f"event {envelope.id} cannot be edited: {original.loss}")
        if len(body) > LONGEST:
            raise UsageError(f"the edited record has {len(body):,} bytes; at most {LONGEST:,} are taken")
        record = _read(body)
        before = envelope.record()
        _check_type(envelope.action, before if isinstance(before, dict) else {}, record.data)
        found = self._table.match(envelope.business_id, envelope.action, record.data)
        return Edit(record, _changed(before, record.data), tuple(route.name for route in found.routes))

    def run(self, original: StoredEvent, edit: Edit) -> str:
        """Keep the edited record as a new event, and return its id. Raises UsageError, StorageUnavailable."""
        entry = self._entry(original, edit)
        try:
            (receipt,) = keep_script.receipts([entry], self._calls.run("keep", *keep_script.arguments([entry])))
        except StorageUnavailable as error:
            if is_refusal(error):
                raise UsageError(f"the store refuses the edited event: {error}") from None
            raise
        while keep_script.is_long(entry) and keep_script.left(
            self._calls.run("keep", *keep_script.continuation(entry.envelope.id))
        ):
            pass
        return receipt.id if receipt else entry.envelope.id

    def _entry(self, original: StoredEvent, edit: Edit) -> Entry:
        envelope = original.envelope
        now = self._calls.time()
        made = envelope._replace(
            id=self._mint(now),
            received_ms=int(now * 1_000),
            body=edit.record.raw,
            origin="edited",
            edited_from=envelope.id,
            verified_by=None,
            routes=self._table.hash,
            entity=fingerprint.entity(envelope.action, edit.record.data),
            trace="",
        )
        plan = HookPlan(made.business_id, made.action, self._table, dedup_window_ms=0)
        return plan.entry(made, edit.record)._replace(fingerprint=None, window_ms=0)


class _Only:
    """A table of which only one route counts; None: all of them do."""

    def __init__(self, table: RoutingTable, route: str | None) -> None:
        self._table = table
        self._route = route

    @property
    def hash(self) -> str:
        return self._table.hash

    def match_any(self, business_id: int, action: str) -> Matched | None:
        return None

    def match(self, business_id: int, action: str, record: Mapping[str, Any]) -> Matched:
        found = self._table.match(business_id, action, record)
        if self._route is None:
            return found
        return found.narrowed(lambda one: one.name == self._route)._replace(shadow=())


def _read(body: bytes) -> payload.BodyRecord:
    try:
        records = payload.split(body)
    except ValueError as error:
        raise UsageError(f"the edited record cannot be read: {error}") from None
    if len(records) != 1:
        raise UsageError(f"the edited record must be one JSON object, and there are {len(records)}")
    return records[0]


def _check_type(action: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """See that the record fits the type of its action, where the original did. Raises UsageError."""
    known = record_types.unfit(action, before)
    wrong = {name: said for name, said in record_types.unfit(action, after).items() if name not in known}
    if wrong:
        said = "; ".join(f"{name}: {one}" for name, one in list(wrong.items())[:_MOST_NAMED])
        more = f"; and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        raise UsageError(f"the edited record does not fit {action}: {said}{more}")


def _changed(before: Any, after: Mapping[str, Any]) -> tuple[str, ...]:
    old = before if isinstance(before, dict) else {}
    return tuple(name for name in {**old, **after} if name not in old or name not in after or old[name] != after[name])
