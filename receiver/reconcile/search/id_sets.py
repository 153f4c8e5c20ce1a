"""Deletes of kinds that no list and no audit trail tells of: the Ids of today are compared with those of the last pass.

A pass that failed looks like a mass deletion. So a set that shrank much is refused, and each Id that is missing is
asked for by itself before it counts as deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import redis

from receiver.nexudus.api.entities import PAGE_SIZE, Entities
from receiver.nexudus.record_kinds import KINDS
from receiver.reconcile.search.listing import MOST_ROWS, Unreliable
from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

EVERY_MS: Final = 86_400_000
"""How old a set may be."""

_FLOOR: Final = 0.95
_SMALL: Final = 20
"""Of a set up to so large any share may be deleted: each Id is asked for all the same."""

_AT = b"at_ms"


@dataclass(frozen=True, slots=True)
class Compared:
    """One kind, compared. *deleted*: Id to location; *there*: all of today, to be remembered once events are made."""

    kind: str
    deleted: Mapping[int, int]
    there: Mapping[int, int]
    is_first: bool


class IdSets:
    """The Ids of each kind, as the last pass found them. Raises StorageUnavailable, NexudusError, Unreliable."""

    def __init__(self, client: redis.Redis, entities: Entities) -> None:
        self._calls = StoreClient(client)
        self._entities = entities

    def age_ms(self, kind: str, now_ms: int) -> int | None:
        """Return how old the set of a kind is; None: there is none."""
        at_ms = decoding.moment(self._calls.ask("hget", keys.ids(kind), _AT))
        return None if at_ms is None else max(now_ms - at_ms, 0)

    def compare(self, kind: str) -> Compared:
        """Return what was deleted since the last pass."""
        before, is_first = self._before(kind)
        there = self._list(kind)
        missing = before.keys() - there.keys()
        if len(before) > _SMALL and len(there.keys() & before.keys()) < _FLOOR * len(before):
            raise Unreliable(f"{len(missing)} of {len(before)} records of {kind} are missing, too many to be believed")
        path = KINDS[kind].path
        deleted = {number: before[number] for number in missing if self._entities.one(kind, path, number) is None}
        still_there = {number: before[number] for number in missing - deleted.keys()}
        return Compared(kind, deleted, {**there, **still_there}, is_first)

    def remember(self, compared: Compared, now_ms: int) -> None:
        """Keep the set of today in the place of the last one."""
        key = keys.ids(compared.kind)
        found: dict[bytes | str, int] = {_AT: now_ms}
        found |= {str(number): place for number, place in compared.there.items()}
        self._calls.ask_each([("delete", key), ("hset", key, None, None, found)], all_or_none=True)

    def _before(self, kind: str) -> tuple[dict[int, int], bool]:
        found = decoding.numbers(self._calls.ask("hgetall", keys.ids(kind)))
        return {int(name): place for name, place in found.items() if name.isdecimal()}, not found

    def _list(self, kind: str) -> dict[int, int]:
        """Return the Ids of all records and their locations. A pass that is not whole is none."""
        about, found = KINDS[kind], dict[int, int]()
        for number in range(1, MOST_ROWS // PAGE_SIZE + 2):
            page = self._entities.page(kind, about.path, {"orderBy": "Id", "page": number, "size": PAGE_SIZE})
            found |= {row["Id"]: place for row in page.rows if type(place := row.get(about.business)) is int}
            if not page.has_next:
                if page.total is not None and page.total > len(found):
                    raise Unreliable(
                        f"Nexudus says that there are {page.total} records of {kind}, and shows {len(found)}"
                    )
                return found
        raise Unreliable(f"Nexudus has no end of pages of {kind}; gave up after {MOST_ROWS} rows")
