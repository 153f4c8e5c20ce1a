"""Reads records of any kind from Nexudus: a page of a search, many records by their Ids, or one whole record."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from receiver.core.errors import NexudusError
from receiver.nexudus.api.client import Call, Client

Row = Mapping[str, Any]

PAGE_SIZE = 200
"""Rows in a page. 1,000 are documented, but a list that changes while it is read has to be read again."""

BATCH_SIZE = 50
"""Records requested by their Ids in one call; the Ids are part of the URL."""

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class RecordPage:
    """One page of a search. *total* is the number of rows in all pages according to Nexudus; None if it does not
    say."""

    rows: tuple[Row, ...]
    total: int | None
    has_next: bool


class Entities:
    """Reads records through *client*. *calls* counts the calls that were made. Every method raises NexudusError."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.calls = 0

    def page(self, kind: str, path: str, params: Mapping[str, str | int]) -> RecordPage:
        """Return one page of a search; rows are partial."""
        call = Call("GET", f"/api/{path}", params=params, role=f"{kind}-List", attempts=_ATTEMPTS)
        answer = self._do(call)
        if not isinstance(answer, dict) or not isinstance(answer.get("HasNextPage"), bool):
            raise NexudusError(f"Nexudus answered {call} without Records and HasNextPage", status=200)
        total = answer.get("TotalItems")
        rows = _checked(answer.get("Records"), call)
        return RecordPage(rows, total if type(total) is int else None, answer["HasNextPage"])

    def many(self, kind: str, path: str, numbers: Collection[int]) -> dict[int, Row]:
        """Return by Id those of at most BATCH_SIZE records that exist. The answer is an array, as documented.

        An answer of another shape, or one with other records than those requested, counts as no answer: Nexudus took
        the request for a search.
        """
        wanted = ",".join(map(str, numbers))
        call = Call("GET", f"/api/{path}", params={"id": f"[{wanted}]"}, role=f"{kind}-List", attempts=_ATTEMPTS)
        answer = self._do(call)
        found = {row["Id"]: row for row in _checked(answer, call)} if isinstance(answer, list) else {}
        return {} if found.keys() - set(numbers) else found

    def one(self, kind: str, path: str, number: int) -> Row | None:
        """Return a whole record; None if it does not exist: 404 on some accounts, a page of HTML on others."""
        call = Call("GET", f"/api/{path}/{number}", role=f"{kind}-Read", attempts=2)
        try:
            answer = self._do(call)
        except NexudusError as error:
            if error.gone:
                return None
            raise
        if not isinstance(answer, dict) or answer.get("Id") != number:
            raise NexudusError(f"Nexudus answered {call} with another record; refusing to work with it", status=200)
        return answer

    def _do(self, call: Call) -> Any:
        self.calls += 1
        return self._client.do(call)


def _checked(rows: Any, call: Call) -> tuple[Row, ...]:
    """Return rows that are records with an Id. Raises NexudusError."""
    if not isinstance(rows, list) or any(not isinstance(row, dict) or type(row.get("Id")) is not int for row in rows):
        raise NexudusError(f"Nexudus answered {call} with something other than records that have an Id", status=200)
    return tuple(rows)
