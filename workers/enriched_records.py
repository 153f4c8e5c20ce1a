"""What a route's `enrich` has read from Nexudus for an event, as handlers, filters and templates get it."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from receiver.core.events import Event
from receiver.nexudus.records.record import Record


class EnrichedRecords(Mapping[str, Any]):
    """The records by their names in the route, None for one that Nexudus does not have.

    A handler gets the type of a record whose kind has one, as `nexudus.get(Coworker, ...)` returns it, else a dict.
    *plain* are the same records as Nexudus sent them.
    """

    __slots__ = ("_types", "plain")

    def __init__(self, plain: Mapping[str, dict[str, Any] | None], types: Mapping[str, type[Record]]) -> None:
        self.plain = plain
        self._types = types

    def __getitem__(self, name: str) -> Any:
        record = self.plain[name]
        wanted = self._types.get(name)
        return record if record is None or wanted is None else wanted.model_validate(record)

    def __iter__(self) -> Iterator[str]:
        return iter(self.plain)

    def __len__(self) -> int:
        return len(self.plain)

    def __repr__(self) -> str:
        return f"EnrichedRecords({', '.join(self.plain)})"


def plain_records(event: Event[Any]) -> dict[str, Any]:
    """Return the enriched records of *event* as plain values, also where a test gave it records of types."""
    found = event.enriched
    if isinstance(found, EnrichedRecords):
        return dict(found.plain)
    return {name: one.model_dump(mode="json") if isinstance(one, BaseModel) else one for name, one in found.items()}
