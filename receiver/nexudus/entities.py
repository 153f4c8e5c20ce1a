"""Reading records of any kind: a page of a search, many by their Ids, one whole."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from receiver.core.errors import NexudusError
from receiver.nexudus.client import Call, Client

Row = Mapping[str, Any]

PAGE_SIZE = 200
"""Rows of a page: 1,000 are documented, but a list that moves while it is read is read again."""

BATCH_SIZE = 50
"""Records that are asked for by their Ids in one call; their numbers are part of the URL."""

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search. *total* is what Nexudus says that all pages hold; None: it does not say."""

    rows: tuple[Row, ...]
    total: int | None
    has_next: bool


class Entities:
    """Reads through *client*. *calls* counts its calls. Every method raises NexudusError."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.calls = 0

    def page(self, kind: str, path: str, params: Mapping[str, str | int]) -> Page:
        """Return one page of a search; rows are partial."""
        call = Call("GET", f"/api/{path}", params=params, role=f"{kind}-List", attempts=_ATTEMPTS)
        answer = self._do(call)
        rows = answer.get("Records") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or not isinstance(answer.get("HasNextPage"), bool):
            raise NexudusError(f"Nexudus answered {call} without Records and HasNextPage", status=200)
        if any(not isinstance(row, dict) or type(row.get("Id")) is not int for row in rows):
            raise NexudusError(f"Nexudus answered {call} with a record that has no Id", status=200)
        total = answer.get("TotalItems")
        return Page(tuple(rows), total if type(total) is int else None, answer["HasNextPage"])

    def many(self, kind: str, path: str, numbers: Collection[int]) -> dict[int, Row]:
        """Return those of at most BATCH_SIZE records that are there, by Id.

        An answer with others than those asked for, or with further pages, is none: the filter was ignored.
        """
        wanted = ",".join(map(str, numbers))
        page = self.page(kind, path, {"id": f"[{wanted}]", "page": 1, "size": BATCH_SIZE})
        found = {row["Id"]: row for row in page.rows}
        return {} if page.has_next or found.keys() - set(numbers) else found

    def one(self, kind: str, path: str, number: int) -> Row | None:
        """Return a whole record; None for one that is not there: 404 on some accounts, a page of HTML on others."""
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
