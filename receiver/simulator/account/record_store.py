"""The records of the simulated Nexudus other than webhooks: they are created, changed and deleted.

Pure. A record is held as a hook would carry it, its times with ticks. Every location begins with a few records of each
kind, made when somebody first asks for the kind.
"""

import itertools
import random
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from receiver.simulator.account import kinds, views
from receiver.simulator.account.kinds import KINDS, Fields
from receiver.simulator.account.refusals import Unknown
from receiver.simulator.account.views import Living

_FIRST_ID = 1_500_000_000
FIRST_CUSTOMER = 1_409_384_711
_PEOPLE = 7
_MOST_GONE = 10_000
_SEEDS = 3
_SEED_STEP = timedelta(days=11, hours=7)
_PREPARED = timedelta(days=40)
_OFFSETS_H = (1, 0, -5)
_CREATED, _UPDATED, _DELETED = 1, 2, 3


Suits = Callable[[Fields], bool]


class Habits(Protocol):
    """What the knobs say about records."""

    most_records: int
    log_of_deletes: bool
    jobs_touch_customers: bool


class Records:
    """All records of one account with *businesses* (id to name). Not for threads; one event loop works on it.

    Of a kind that has more than *knobs* allow, the one that was left alone for longest is forgotten without a trace.
    """

    def __init__(self, businesses: Mapping[int, str], now: datetime, knobs: Habits) -> None:
        self.businesses = businesses
        self.knobs = knobs
        self.version = 0
        self._now = now
        self._all: dict[str, dict[int, Living]] = {}
        self._at: dict[tuple[str, int], dict[int, Living]] = {}
        self._gone: set[tuple[str, int]] = set()
        # Another start, other numbers: what is told of this account must not be taken for what the last one did.
        self._next = _FIRST_ID + random.randrange(1, 400_000) * 1_000  # noqa: S311 -- ids, not secrets
        self._first = self._next

    def of(self, kind: str) -> Mapping[int, Living]:
        """Return all records of a kind by number."""
        if kind not in self._all:
            self._all[kind] = {}
            self._seed(kind)
        return self._all[kind]

    def at(self, kind: str, business_id: int) -> Mapping[int, Living]:
        """Return the records of one location, the one that was left alone for longest first."""
        self.of(kind)
        return self._at.get((kind, business_id), {})

    def find(self, kind: str, number: int) -> Living:
        """Return a record. Raises Unknown."""
        try:
            return self.of(kind)[number]
        except KeyError:
            raise Unknown from None

    def was_there(self, kind: str, number: int) -> bool:
        """Say whether *number* is that of a record which was there and is gone."""
        return self._first <= number < self._next or (kind, number) in self._gone

    def choose(
        self,
        kind: str,
        business_id: int,
        moment: datetime,
        suits: Suits = lambda _: True,
        prepared: Fields | None = None,
    ) -> Living:
        """Return the record that suits and was left alone for longest; else one that was there all along.

        What has to be there for something to happen to it is made as old, with *prepared*, and nothing tells of it.
        """
        for living in self.at(kind, business_id).values():
            if suits(living.record):
                return living
        return self.add(kind, business_id, moment - _PREPARED, prepared or {})

    def create(self, kind: str, business_id: int, moment: datetime, fields: Fields) -> Living:
        """Add a record that is created at *moment*, and its entry in the audit trail."""
        living = self.add(kind, business_id, moment, fields)
        self._audit(living, moment, _CREATED)
        return living

    def add(self, kind: str, business_id: int, moment: datetime, fields: Fields) -> Living:
        """Add a record dated *moment*, and nothing else."""
        self.of(kind)
        number = fields.get("Id") or self._new_id()
        record = kinds.template(kind, moment, number - FIRST_CUSTOMER)
        record |= {"Id": number, "UniqueId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {number}"))}
        record |= {"CreatedOn": views.stamp(moment), "UpdatedOn": views.stamp(moment)}
        self._place(kind, business_id, record)
        self._link(kind, business_id, record)
        living = Living(kind, business_id, record | fields)
        self._put(living)
        return living

    def update(
        self, living: Living, moment: datetime, changes: Fields, *, touch: bool = True, by: str | None = None
    ) -> None:
        """Change fields. *touch* False: Nexudus does not move UpdatedOn for this one. The audit trail tells of each."""
        before = living.record
        living.record = before | changes
        if touch:
            living.record |= {"UpdatedOn": views.stamp(moment)} | ({"UpdatedBy": by} if by else {})
        for name, value in changes.items():
            if views.cut(before.get(name)) != views.cut(value):
                self._audit(
                    living, moment, _UPDATED, PropertyName=name, OldValue=_said(before.get(name)), NewValue=_said(value)
                )
        self._replace(living, living.record)

    def edit(self, living: Living, fields: Fields) -> None:
        """Change fields, and nothing tells of it."""
        self._replace(living, living.record | fields)

    def delete(self, living: Living, moment: datetime) -> None:
        """Take a record away; the audit trail tells of it, a cancelled booking leaves its snapshot."""
        self.vanish(living)
        self._audit(living, moment, _DELETED)
        if self.knobs.log_of_deletes:
            named = {"EntityName": living.kind, "EntityId": living.id, "LogEntryType": _DELETED}
            self.add("LogEntry", living.business_id, moment, named | {"Description": f"{living.kind} was deleted"})
        if living.kind == "Booking":
            self.add("CancelledBooking", living.business_id, moment, views.cancelled(living, moment))

    def vanish(self, living: Living) -> None:
        """Take a record away, and nothing tells of it."""
        self._take(living)
        if not self._first <= living.id < self._next and len(self._gone) < _MOST_GONE:
            self._gone.add((living.kind, living.id))

    def clear(self, now: datetime) -> None:
        """Start afresh. Numbers go on."""
        self._all.clear()
        self._at.clear()
        self._gone.clear()
        self._now = now
        self.version += 1

    def local(self, business_id: int, moment: datetime) -> str:
        """Return what the clock on the wall of a location shows; it is an hour early, right, or five late."""
        offset = _OFFSETS_H[sorted(self.businesses).index(business_id) % 3] if business_id in self.businesses else 0
        return views.stamp(moment + timedelta(hours=offset))[:19]

    def _replace(self, living: Living, record: Fields) -> None:
        self._take(living)  # to the end of the queue
        living.record = record
        place = record.get(KINDS[living.kind].business)
        living.business_id = place if type(place) is int else living.business_id
        self._put(living)

    def _take(self, living: Living) -> None:
        del self._all[living.kind][living.id], self._at[living.kind, living.business_id][living.id]
        self.version += 1

    def _put(self, living: Living) -> None:
        of_kind = self._all.setdefault(living.kind, {})
        here = self._at.setdefault((living.kind, living.business_id), {})
        of_kind[living.id] = here[living.id] = living
        self.version += 1
        if len(of_kind) > self.knobs.most_records:
            self.vanish(next(iter(of_kind.values())))

    def _seed(self, kind: str) -> None:
        """Let a kind begin with some records for each location, of the months before. Customers begin as the people
        whom the samples speak of."""
        if kind in kinds.UNSEEDED:
            return
        for place, business_id in enumerate(self.businesses):
            if kind == "Business":
                self.add(kind, business_id, self._now - 30 * _SEED_STEP, {"Id": business_id})
                continue
            for turn in range(_SEEDS):
                number = place + turn * len(self.businesses)
                known = kind == "Coworker" and number < _PEOPLE
                age = _SEED_STEP * (turn + 1) + timedelta(minutes=7 * place)
                self.add(kind, business_id, self._now - age, {"Id": FIRST_CUSTOMER + number} if known else {})

    def _place(self, kind: str, business_id: int, record: Fields) -> None:
        name, field = self.businesses.get(business_id, f"Location {business_id}"), KINDS[kind].business
        if kind == "Business":
            record |= {"Name": name, "Suspended": False, "ToStringText": name}
        elif kind == "Coworker":
            record |= {"Businesses": [business_id]} | (
                kinds.stranger(record["Id"]) if record["Id"] >= _FIRST_ID else {}
            )
        if field and field != "Id":
            record[field] = business_id
            if field.removesuffix("Id") + "Name" in record:
                record[field.removesuffix("Id") + "Name"] = name

    def _link(self, kind: str, business_id: int, record: Fields) -> None:
        """Let what the record names be of its own location, under the names that it has there."""
        for other in kinds.LINKED:
            if other == kind or record.get(f"{other}Id") is None:
                continue
            here = self.at(other, business_id)
            turn = record["Id"] % min(len(here), _PEOPLE) if here else 0
            named = next(itertools.islice(here.values(), turn, None), None)
            named = named or self.add(other, business_id, self._now - _PREPARED, {})
            for name, value in named.record.items():
                if type(record.get(other + name, value)) in (type(value), type(None)) and other + name in record:
                    record[other + name] = value

    def _audit(self, living: Living, moment: datetime, what: int, **values: Any) -> None:
        if not KINDS[living.kind].audited:
            return
        entry = {
            "EntityShortName": living.kind,
            "EntityId": living.id,
            "AuditType": what,
            "ActionBy": living.record["UpdatedBy"],
        }
        entry |= {"Description": str(living.record.get("ToStringText")), "ToStringText": living.kind}
        self.add("AuditTrailEntry", living.business_id, moment, entry | values)

    def _new_id(self) -> int:
        self._next += 1
        return self._next - 1


def _said(value: Any) -> str | None:
    return None if value is None else str(value)
