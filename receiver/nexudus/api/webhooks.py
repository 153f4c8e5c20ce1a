"""Calls about webhooks: the five for WebHook records, the list of businesses, and Nexudus's current list of actions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from receiver.core.errors import CredentialsRefused, NexudusError
from receiver.nexudus.api import registration
from receiver.nexudus.api.client import Call, Client
from receiver.nexudus.api.registration import Registration

_HOOKS = "/api/sys/webhooks"
_BUSINESSES = "/api/sys/businesses"
_PAGE_SIZE = 500
_MOST_PAGES = 2_000
_LISTINGS = 3


@dataclass(frozen=True, slots=True)
class _Listing:
    rows: Mapping[int, Mapping[str, Any]]
    total: int | None

    @property
    def is_whole(self) -> bool:
        return self.total is None or len(self.rows) == self.total


class Webhooks:
    """Reads and writes WebHook records through *client*. Every method raises NexudusError."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._log = structlog.get_logger()

    def list(self) -> tuple[Registration, ...]:
        """Return every record of the account, in ascending order of id.

        One call per 500 records. No filter is sent, since Nexudus ignores unknown filters and returns everything; and
        no order, since its documentation contradicts itself about `dir`.
        """
        rows = self._everything(_HOOKS, role="WebHook-List")
        return tuple(registration.parse(rows[number]) for number in sorted(rows))

    def get(self, hook_id: int) -> Registration:
        """Return one whole record. Tries only three times, since an unknown id may be answered like a fault of
        Nexudus."""
        call = Call("GET", f"{_HOOKS}/{hook_id}", role="WebHook-Read", attempts=3)
        found = registration.parse(self._client.do(call))
        if found.id != hook_id:
            raise NexudusError(f"Nexudus answered {call} with the record {found.id}; refusing to work with it")
        return found

    def create(self, record: Mapping[str, Any]) -> int | None:
        """Create a record and return its id, None when the answer does not say.

        If the answer is lost (status 0, or at least 500), the record may exist: check the list before trying again.
        """
        answer = self._client.do(Call("POST", _HOOKS, record=record, repeatable=False, role="WebHook-Create"))
        value = answer.get("Value") if isinstance(answer, dict) else None
        number = value.get("Id") if isinstance(value, dict) else None
        return number if isinstance(number, int) else None

    def update(self, record: Mapping[str, Any]) -> None:
        """Replace a record by *record*, which must be whole: Nexudus clears fields that are not sent."""
        self._client.do(Call("PUT", _HOOKS, record=record, role="WebHook-Edit"))

    def delete(self, hook_id: int) -> None:
        """Delete a record. If it does not exist, that is a success: perhaps we deleted it and the answer was lost."""
        try:
            self._client.do(Call("DELETE", f"{_HOOKS}/{hook_id}", role="WebHook-Delete", attempts=3))
        except NexudusError as error:
            if error.status != 404:
                raise

    def businesses(self) -> Mapping[int, str]:
        """Return the locations that the API user can see: id to name."""
        rows = self._everything(_BUSINESSES, role="Business-List")
        return {number: str(rows[number].get("Name") or "") for number in sorted(rows)}

    def actions(self) -> Mapping[str, int] | None:
        """Return Nexudus's current eWebhookAction (name to number); None when Nexudus does not provide it."""
        call = Call("GET", "/api/utils/enums", params={"name": "eWebhookAction"}, attempts=1)
        try:
            answer = self._client.do(call)
        except CredentialsRefused:
            raise
        except NexudusError as error:
            self._log.debug("nexudus.actions_unknown", reason=str(error))
            return None
        rows = answer if isinstance(answer, list) else []
        table = {row.get("Name"): row.get("Id") for row in rows[:10_000] if isinstance(row, dict)}
        found = {name: code for name, code in table.items() if isinstance(name, str) and isinstance(code, int)}
        return found or None

    def _everything(self, path: str, *, role: str) -> Mapping[int, Mapping[str, Any]]:
        """List until a listing has as many rows as Nexudus says: while somebody else writes, a page can miss a row.

        If no listing is complete, return the union of all listings.
        """
        union: dict[int, Mapping[str, Any]] = {}
        for _ in range(_LISTINGS):
            listing = self._listing(path, role)
            if listing.is_whole:
                return listing.rows
            union.update(listing.rows)
        self._log.warning("nexudus.listing_incomplete", path=path, rows=len(union))
        return union

    def _listing(self, path: str, role: str) -> _Listing:
        rows: dict[int, Mapping[str, Any]] = {}
        total: int | None = None
        for page in self._pages(path, role):
            fresh = {row["Id"]: row for row in page["Records"]}
            if page["HasNextPage"] and not fresh.keys() - rows.keys():
                raise NexudusError(f"Nexudus repeats itself in the pages of GET {path}; the list cannot be trusted")
            rows.update(fresh)
            total = page.get("TotalItems")
        return _Listing(rows, total if isinstance(total, int) else None)

    def _pages(self, path: str, role: str) -> Iterator[dict[str, Any]]:
        for number in range(1, _MOST_PAGES + 1):
            call = Call("GET", path, params={"page": number, "size": _PAGE_SIZE}, role=role)
            page = _page(self._client.do(call), call)
            yield page
            if not page["HasNextPage"]:
                return
        raise NexudusError(f"Nexudus has no end of pages for GET {path}; gave up after {_MOST_PAGES}")


def _page(answer: Any, call: Call) -> dict[str, Any]:
    rows = answer.get("Records") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not isinstance(answer.get("HasNextPage"), bool):
        raise NexudusError(f"Nexudus answered {call} without Records and HasNextPage; is FRONTDESK_NEXUDUS_URL right?")
    if any(not isinstance(row, dict) or not isinstance(row.get("Id"), int) for row in rows):
        raise NexudusError(f"Nexudus answered {call} with a record that has no Id")
    return dict(answer)
