"""Records of the simulated Nexudus other than webhooks: made from the samples when somebody asks for them.

Every number is the number of a record, and the same number is the same record. What is written is kept in memory, the
newest ten thousand records, so that a handler that writes finds what it wrote.
"""

import importlib
import pkgutil
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from receiver.nexudus import actions, records, samples
from receiver.nexudus.records.record import Record
from receiver.simulator.tenant import Invalid, Unknown

_MOST_WRITTEN = 10_000
_FIRST_NEW = 1_500_000_001
_FIRST_CUSTOMER = 1_409_384_711
_CUSTOMERS = 7
_LISTED = 20
_PARTIAL = ("CustomFields", "LocalizationDetails", "Notes")


def _kinds() -> dict[str, str]:
    """Return the kind of record at each path of the API, and an action that has a sample of it."""
    for module in pkgutil.iter_modules(records.__path__):
        importlib.import_module(f"{records.__name__}.{module.name}")
    by_kind = {actions.entity_kind(name): name for name in reversed(actions.NAMES)}
    return {one.PATH: by_kind[one.__name__] for one in Record.__subclasses__() if one.PATH and one.__name__ in by_kind}


class Entities:
    """Records by path ("spaces/coworkers") and number. Not for threads; one event loop works on it."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._actions = _kinds()
        self._written: OrderedDict[tuple[str, int], dict[str, Any] | None] = OrderedDict()
        self._next = _FIRST_NEW

    def get(self, path: str, number: int) -> dict[str, Any]:
        """Return a whole record. Raises Unknown for a path that the API does not have, and for what was deleted."""
        if path not in self._actions or not 0 < number < 2**53:
            raise Unknown
        if (path, number) in self._written:
            found = self._written[path, number]
            if found is None:
                raise Unknown
            return found
        made = samples.record(self._actions[path], now=self._now, number=(number - _FIRST_CUSTOMER) % _CUSTOMERS)
        return made | {"Id": number}

    def search(self, path: str, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the rows that fit the filters it knows: those of fields that its records have. Rows are partial."""
        if path not in self._actions:
            raise Unknown
        kind = actions.entity_kind(self._actions[path])
        numbers = [_FIRST_CUSTOMER + at for at in range(_CUSTOMERS if kind == "Coworker" else _LISTED)]
        numbers += [number for of, number in self._written if of == path and number not in numbers]
        rows = [self.get(path, number) for number in numbers if self._written.get((path, number), {}) is not None]
        for name, text in filters.items():
            of, _, rest = name.partition("_")
            field = next((one for one in rows[0] if one.lower() == rest.lower()), None) if rows else None
            if of.lower() == kind.lower() and field is not None:
                rows = [row for row in rows if text.lower() in str(row.get(field)).lower()]
        return [{name: value for name, value in row.items() if name not in _PARTIAL} for row in rows]

    def create(self, path: str, sent: Mapping[str, Any], *, lose: bool = False) -> dict[str, Any]:
        """Create a record and return it. *lose*: only pretend to."""
        self._next += 1
        made = {**self.get(path, self._next), **sent, "Id": self._next}
        if not lose:
            self._keep(path, self._next, made)
        return made

    def update(self, path: str, sent: Mapping[str, Any], *, lose: bool = False) -> dict[str, Any]:
        """Replace a record: what is not sent is cleared. Raises Unknown, Invalid."""
        number = sent.get("Id")
        if not isinstance(number, int):
            raise Invalid("Id", "is a required field", number)
        whole = dict.fromkeys(self.get(path, number)) | dict(sent)
        if not lose:
            self._keep(path, number, whole)
        return whole

    def delete(self, path: str, number: int, *, lose: bool = False) -> dict[str, Any]:
        """Delete a record, and return what it was. Raises Unknown."""
        found = self.get(path, number)
        if not lose:
            self._keep(path, number, None)
        return found

    def _keep(self, path: str, number: int, record: dict[str, Any] | None) -> None:
        self._written[path, number] = record
        self._written.move_to_end((path, number))
        if len(self._written) > _MOST_WRITTEN:
            self._written.popitem(last=False)
