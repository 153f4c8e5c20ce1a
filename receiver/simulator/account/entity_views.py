"""The API's view of the records: by path ("spaces/bookings") and number, searched, read and written. Pure.

A number that this account never gave away is answered as the sample with that number, so that a handler which is tried
with a sample finds the record. It is in no search until somebody writes it. What was deleted is gone.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from receiver.simulator.account import kinds, life, record_store, search, views
from receiver.simulator.account.kinds import BY_PATH, Fields, Kind
from receiver.simulator.account.record_store import Records
from receiver.simulator.account.refusals import Invalid, Unknown
from receiver.simulator.account.scene import Happening, Order
from receiver.simulator.account.views import Living

_MOST_SEARCHES = 50
_KEPT = ("Id", "UniqueId", "CreatedOn", "UpdatedOn", "UpdatedBy", "IsNew")
_PARTIAL_IN_BATCH = frozenset({"Coworker"})
_BY = "api@example.com"

Written = tuple[Fields, list[Happening]]
"""The record as it is now, or was, and what happened by that."""


class EntityViews:
    """The records of *held*, as the API has them."""

    def __init__(self, held: Records, now: datetime) -> None:
        self._records = held
        self._now = now
        self._searches: dict[tuple[object, ...], list[Living]] = {}
        self._version = -1

    def search(self, path: str, params: Mapping[str, str]) -> list[Living]:
        """Return what fits the filters of *params*, in the order that it asks for. Raises Unknown for another path."""
        kind = _kind(path)
        asked = {name: text for name, text in params.items() if name.lower() not in ("page", "size")}
        held = self._records.of(kind.name)
        if self._version != self._records.version or len(self._searches) >= _MOST_SEARCHES:
            self._searches.clear()
            self._version = self._records.version
        key = (path, *sorted(asked.items()))
        if key not in self._searches:
            self._searches[key] = _search(kind, held, asked)
        return self._searches[key]

    def get(self, path: str, number: int) -> Fields:
        """Return a whole record. Raises Unknown for a path that the API does not have, and for what was deleted."""
        kind = _kind(path)
        try:
            return views.whole(self._records.find(kind.name, number))
        except Unknown:
            return self._sample(kind, number)

    def batch(self, path: str, numbers: list[int]) -> list[Fields]:
        """Return several at once; what is not there is left out. A Coworker lacks fields even here."""
        kind = _kind(path)
        there = [self._records.of(kind.name)[number] for number in numbers if number in self._records.of(kind.name)]
        return views.rows(there) if kind.name in _PARTIAL_IN_BATCH else [views.whole(one) for one in there]

    def create(self, path: str, sent: Mapping[str, Any], moment: datetime, *, lose: bool = False) -> Written:
        """Create a record. *lose*: only pretend to. Raises Unknown, Invalid."""
        kind = _writable(path, sent)
        usual = kinds.fields(kind.name)
        fields = {name: value for name, value in sent.items() if name in usual and name not in _KEPT} | {
            "UpdatedBy": _BY
        }
        if lose:
            return {"Id": 1, **fields}, []
        place = sent.get(kind.business)
        business_id = place if type(place) is int and place in self._records.businesses else self._anywhere()
        if kind.created:
            told = life.happen(self._records, Order(kind.created, business_id, moment, fields=fields))
            return told[0].record, told
        return self._records.create(kind.name, business_id, moment, fields).record, []

    def update(self, path: str, sent: Mapping[str, Any], moment: datetime, *, lose: bool = False) -> Written:
        """Replace a record: what is not sent is cleared. Raises Unknown, Invalid."""
        kind = _writable(path, sent)
        number = sent.get("Id")
        if type(number) is not int:
            raise Invalid("Id", "is a required field", number)
        before = self.get(path, number)
        if lose:
            return before, []
        living = self._living(kind, number)
        changes = {name: sent.get(name) for name in living.record if name not in _KEPT}
        self._records.update(living, moment, changes, by=_BY)
        return living.record, _told(kind.updated, living, moment)

    def delete(self, path: str, number: int, moment: datetime, *, lose: bool = False) -> Written:
        """Delete a record. Raises Unknown, Invalid."""
        kind = _writable(path, {})
        before = self.get(path, number)
        if lose:
            return before, []
        living = self._living(kind, number)
        self._records.delete(living, moment)
        return before, _told(kind.deleted, living, moment)

    def _sample(self, kind: Kind, number: int) -> Fields:
        was_there = self._records.was_there(kind.name, number)
        if was_there or kind.name in kinds.UNSEEDED or not 0 < number < 2**53:
            raise Unknown
        return kinds.template(kind.name, self._now, number - record_store.FIRST_CUSTOMER) | {"Id": number}

    def _living(self, kind: Kind, number: int) -> Living:
        try:
            return self._records.find(kind.name, number)
        except Unknown:
            sample = self._sample(kind, number)
            return self._records.add(kind.name, self._anywhere(), self._now - timedelta(days=40), sample)

    def _anywhere(self) -> int:
        return next(iter(self._records.businesses), 0)


def _search(kind: Kind, held: Mapping[int, Living], params: Mapping[str, str]) -> list[Living]:
    """Without an order that is asked for, what was touched last comes last: rows move while somebody pages."""
    places = {
        f"{link}_business": lambda record: held[record["Id"]].business_id for link in ("resource", "coworkerinvoice")
    }
    found = search.matching(
        (living.record for living in held.values()),
        params,
        kind=kind.name,
        fields=kinds.fields(kind.name),
        readers=places if kind.name in ("Booking", "CancelledBooking", "CoworkerInvoiceHistory") else None,
    )
    return [held[record["Id"]] for record in found]


def _kind(path: str) -> Kind:
    try:
        return BY_PATH[path]
    except KeyError:
        raise Unknown from None


def _writable(path: str, sent: Mapping[str, Any]) -> Kind:
    """Return the kind at *path*. Raises Unknown, and Invalid for what only Nexudus writes and for a wrong type."""
    kind = _kind(path)
    if kind.name in kinds.UNSEEDED:
        raise Invalid("Id", "cannot be written; Nexudus makes these records itself", None)
    usual = kinds.fields(kind.name)
    for name, value in sent.items():
        like = usual.get(name)
        if value is not None and like is not None and not _fits(value, like):
            raise Invalid(name, "has a wrong type", value)
    return kind


def _fits(value: object, like: object) -> bool:
    if isinstance(like, bool) or isinstance(value, bool):
        return isinstance(like, bool) and isinstance(value, bool)
    if isinstance(like, int | float):
        return isinstance(value, int | float)
    return isinstance(value, type(like))


def _told(action: str, living: Living, moment: datetime) -> list[Happening]:
    return [Happening(action, living.business_id, living.kind, living.record, moment)] if action else []
