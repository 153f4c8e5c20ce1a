"""Which location each row of a search belongs to: by its own field, or by the record that it names."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from receiver.nexudus.api.entities import BATCH_SIZE, Entities, Row
from receiver.nexudus.record_kinds import KINDS, RecordKind

_DEEPEST = 3
_MOST_LOST = 1_000


class RecordLocations:
    """Finds locations, and remembers those of records that others name. *wanted*: the locations that have a gap.
    *kept*: the location of the newest kept event of an entity, such as `CoworkerMessage:7`, or None."""

    def __init__(
        self,
        entities: Entities,
        wanted: Collection[int],
        kept: Callable[[str], int | None] = lambda _entity: None,
    ) -> None:
        self._entities = entities
        self._wanted = wanted
        self._kept = kept
        self._known: dict[tuple[str, int], int | None] = {}

    def of(self, kind: str, rows: Collection[Row], *, depth: int = 0) -> dict[int, int | None]:
        """Return the location of each row by the row's Id; None where nothing names one. Raises NexudusError."""
        about = KINDS[kind]
        found: dict[int, int | None] = {row["Id"]: _number(row.get(about.business)) for row in rows}
        homeless = [row for row in rows if found[row["Id"]] is None]
        if homeless and about.parent and depth < _DEEPEST:
            field, parent = about.parent
            self._learn(KINDS[parent], [number for row in homeless if (number := _number(row.get(field)))], depth + 1)
            found |= {row["Id"]: self._known.get((parent, _number(row.get(field)) or 0)) for row in homeless}
        elif homeless and kind == "Coworker":
            found |= {row["Id"]: self._of_customer(row["Id"]) for row in homeless}
        if not depth and kind not in ("Coworker", "AuditTrailEntry"):  # the record that it names was deleted since
            lost = [number for number, place in found.items() if place is None][:_MOST_LOST]
            found |= {number: self._kept(f"{kind}:{number}") for number in lost}
        return found

    def _learn(self, parent: RecordKind, numbers: Iterable[int], depth: int) -> None:
        missing = sorted({number for number in numbers if (parent.name, number) not in self._known})
        for some in _portions(missing):
            rows = self._entities.many(parent.name, parent.path, some)
            self._known |= {(parent.name, number): None for number in some}
            places = self.of(parent.name, list(rows.values()), depth=depth)
            self._known |= {(parent.name, number): place for number, place in places.items()}

    def _of_customer(self, number: int) -> int | None:
        """A customer that nobody invoices belongs to several locations: the first of them that has a gap."""
        if ("Coworker", number) not in self._known:
            whole = self._entities.one("Coworker", KINDS["Coworker"].path, number)
            named = (whole or {}).get("Businesses")
            ids = [_number(one.get("Id") if isinstance(one, Mapping) else one) for one in _list(named)]
            place = next((one for one in ids if one in self._wanted), None)
            self._known["Coworker", number] = place
        return self._known["Coworker", number]


def _list(value: Any) -> list[Any]:
    return value[:1_000] if isinstance(value, list) else []


def _number(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None


def _portions(numbers: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(numbers), BATCH_SIZE):
        yield numbers[start : start + BATCH_SIZE]
