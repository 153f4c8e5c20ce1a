"""One thing that is to happen at the simulated Nexudus, and what the deeds of `life` and `billing` work with. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from receiver.simulator.account import kinds
from receiver.simulator.account.kinds import Fields
from receiver.simulator.account.record_store import Records, Suits
from receiver.simulator.account.views import Living, stamp


@dataclass(frozen=True, slots=True)
class Happening:
    """One event, whether anybody hears of it or not."""

    action: str
    business_id: int
    kind: str
    record: Fields
    at: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """What is to happen: to the record *number* (None: to one that suits), which then has *fields* as well."""

    action: str
    business_id: int
    at: datetime
    number: int | None = None
    fields: Fields | None = None


Told = Sequence[tuple[str, Living]]


class Scene:
    """What the deeds work with: the records, and the order."""

    def __init__(self, records: Records, order: Order) -> None:
        self.records = records
        self.order = order
        self.now = stamp(order.at)
        self.today = records.local(order.business_id, order.at)

    def create(self, kind: str, **fields: Any) -> Living:
        """Create a record; the order's own fields win."""
        order = self.order
        return self.records.create(kind, order.business_id, order.at, fields | (order.fields or {}))

    def note(self, kind: str, **fields: Any) -> Living:
        """Create a record beside what was ordered."""
        return self.records.create(kind, self.order.business_id, self.order.at, fields)

    def pick(self, kind: str, suits: Suits = lambda _: True, **prepared: Any) -> Living:
        """Return the record of the order, else one that suits. Raises Unknown."""
        if self.order.number is not None:
            return self.records.find(kind, self.order.number)
        return self.records.choose(kind, self.order.business_id, self.order.at, suits, prepared)

    def change(self, living: Living, *, touch: bool = True, **changes: Any) -> Living:
        """Change a record; the order's own fields win."""
        self.records.update(living, self.order.at, changes | (self.order.fields or {}), touch=touch)
        return living

    def newcomer(self, kind: str, **fields: Any) -> Living:
        """Return a record of a customer who is there, but has none of that kind yet."""
        long_ago = self.order.at - timedelta(days=40)
        customer = self.records.add("Coworker", self.order.business_id, long_ago, {})
        named = {f"Coworker{name}": customer.record[name] for name in ("Id", "FullName", "Email")}
        shown = {name: value for name, value in named.items() if name in kinds.fields(kind)}
        return self.records.add(kind, self.order.business_id, long_ago, shown | fields)
