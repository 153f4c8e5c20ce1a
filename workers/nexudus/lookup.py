"""Nexudus for handlers: a handler that declares `nexudus: Nexudus` gets one, and reads what its own record lacks.

    def welcome(event: Event[Booking], *, nexudus: Nexudus) -> None:
        coworker = nexudus.get(Coworker, event.data.CoworkerId)       # or get("spaces/coworkers", ...), a dict
        greet(coworker.Email)

All handlers share the account's call budget, after the registrar, and responses are cached for a minute: the same read
by a thousand deliveries costs one call. When Nexudus asks to slow down, or the budget is used up, a call waits: a few
in each process as long as their handlers' timeouts allow, others for a second. Then it raises Retry, uncharged, and the
delivery waits instead. So read before you do what must not be done twice, or use `once`.

In an async handler each method has its twin: `await nexudus.aget(...)`. Writing needs `nexudus: write` in the route.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, overload

from receiver.core.errors import NexudusError
from receiver.nexudus.records.record import Record
from workers.nexudus.row_check import passes

LONGEST_SEARCH = 500
"""Rows of one search."""

_KIND = re.compile(r"[a-z]{2,30}/[a-z]{2,40}")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,80}")
_LARGEST_ID = 2**53
_COMMANDS = {  # what Nexudus does not delete by DELETE
    "spaces/coworkers": "COWORKER_DELETE",
    "billing/coworkerinvoices": "COWORKER_INVOICE_DELETE",
    "billing/coworkercontracts": "DELETE_CONTRACT",
}

AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True, slots=True)
class AttemptContext:
    """The attempt that makes a call. *late* is its deadline (of `time.monotonic`). *kind* and *number* name the record
    that the event is about; responses about it must not be older than *fresh_ms* (Unix ms)."""

    late: float
    fresh_ms: int = 0
    kind: str = ""
    number: int = 0

    def since_ms(self, path: str, number: int) -> int:
        """Return how old (Unix ms) a cached response may be; 0: any age."""
        about = path.rpartition("/")[2].startswith(self.kind.lower()[:-1]) if self.kind else False
        return self.fresh_ms if about and number == self.number else 0


class Transport(Protocol):
    """Makes the calls of a Nexudus."""

    @property
    def executor(self) -> Executor:
        """The thread pool for calls of async handlers."""

    def read(self, attempt: AttemptContext, path: str, params: Mapping[str, str | int], *, since_ms: int) -> Any:
        """Return the response to a GET, perhaps a cached one that was requested after *since_ms*."""

    def write(self, attempt: AttemptContext, method: str, path: str, record: Mapping[str, Any] | None) -> Any:
        """Make a call that changes something, and return the response."""

    def forget(self, path: str) -> None:
        """Remove *path* from the cache: it has changed."""


class Nexudus:
    """The Nexudus API for one attempt of a handler. Threads may share it.

    A *kind* is a path of the API, "spaces/coworkers", or a type of `workers.records`. Methods raise NexudusError, also
    for a record that does not exist (its `gone` is true then), and Retry when the attempt has no time left to wait.
    """

    def __init__(self, transport: Transport, attempt: AttemptContext, *, writes: bool) -> None:
        self._transport = transport
        self._attempt = attempt
        self._writes = writes

    @overload
    def get(self, kind: type[AnyRecord], number: int, /) -> AnyRecord: ...
    @overload
    def get(self, kind: str, number: int, /) -> dict[str, Any]: ...
    def get(self, kind: Any, number: int, /) -> Any:
        """Return one whole record. It may be a minute old, but the record that the event is about is never older than
        the event."""
        _refuse_on_a_loop("aget")
        return self._get(kind, number)

    def search(self, kind: str | type[Record], /, *, most: int = 100, **filters: str | int | bool) -> tuple[Any, ...]:
        """Return up to *most* rows (500 at most) as dicts; rows lack fields that `get` has.

        Filters are those of Nexudus: `Coworker_Email="ada@example.com"`, `from_Booking_FromTime="2026-05-01T00:00"`.
        Nexudus ignores filters that it does not know and returns all rows. Raises NexudusError when a row does not
        match a filter.
        """
        _refuse_on_a_loop("asearch")
        return self._search(kind, most, filters)

    def create(self, kind: str | type[Record], record: Mapping[str, Any], /) -> int | None:
        """Create a record and return its id, or None when the response has none. The call is not retried when its
        result is unknown: use `once`."""
        _refuse_on_a_loop("acreate")
        return self._create(kind, record)

    def change(self, kind: str | type[Record], number: int, /, **fields: Any) -> None:
        """Change some fields of a record. It is read again and written back whole, as Nexudus requires."""
        _refuse_on_a_loop("achange")
        self._change(kind, number, fields)

    def delete(self, kind: str | type[Record], number: int, /) -> None:
        """Delete a record; one that does not exist counts as deleted. Delete customers, invoices and contracts by a
        command."""
        _refuse_on_a_loop("adelete")
        self._delete(kind, number)

    @overload
    async def aget(self, kind: type[AnyRecord], number: int, /) -> AnyRecord: ...
    @overload
    async def aget(self, kind: str, number: int, /) -> dict[str, Any]: ...
    async def aget(self, kind: Any, number: int, /) -> Any:
        """As `get`, in an async handler."""
        return await self._aside(self._get, kind, number)

    async def asearch(
        self, kind: str | type[Record], /, *, most: int = 100, **filters: str | int | bool
    ) -> tuple[Any, ...]:
        """As `search`, in an async handler."""
        found: tuple[Any, ...] = await self._aside(self._search, kind, most, filters)
        return found

    async def acreate(self, kind: str | type[Record], record: Mapping[str, Any], /) -> int | None:
        """As `create`, in an async handler."""
        number: int | None = await self._aside(self._create, kind, record)
        return number

    async def achange(self, kind: str | type[Record], number: int, /, **fields: Any) -> None:
        """As `change`, in an async handler."""
        await self._aside(self._change, kind, number, fields)

    async def adelete(self, kind: str | type[Record], number: int, /) -> None:
        """As `delete`, in an async handler."""
        await self._aside(self._delete, kind, number)

    async def _aside(self, call: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._transport.executor, call, *arguments)

    def _get(self, kind: Any, number: int) -> Any:
        path = f"{_path(kind)}/{_number(number)}"
        since_ms = self._attempt.since_ms(_path(kind), number)
        record = self._transport.read(self._attempt, path, {}, since_ms=since_ms)
        if not isinstance(record, dict) or record.get("Id") != number:
            raise NexudusError(f"Nexudus answered GET {path} with something that is not the record {number}")
        return kind.model_validate(record) if isinstance(kind, type) and issubclass(kind, Record) else record

    def _search(self, kind: Any, most: int, filters: Mapping[str, Any]) -> tuple[Any, ...]:
        if not 1 <= most <= LONGEST_SEARCH:
            raise ValueError(f"nexudus.search: most={most!r} is not between 1 and {LONGEST_SEARCH}")
        asked = {_field(name): _written(value) for name, value in sorted(filters.items())}
        page = self._transport.read(self._attempt, _path(kind), asked | {"page": 1, "size": most}, since_ms=0)
        rows = page.get("Records") if isinstance(page, dict) else None
        if not isinstance(rows, list) or any(not isinstance(row, dict) for row in rows):
            raise NexudusError(f"Nexudus answered the search of {_path(kind)} without records")
        for name, value in asked.items():
            if not all(passes(name, value, row) for row in rows):
                raise NexudusError(f"Nexudus does not know the filter {name}: it returned rows that do not fit it")
        return tuple(rows[:most])

    def _create(self, kind: Any, record: Mapping[str, Any]) -> int | None:
        answer = self._written("POST", _path(kind), record)
        value = answer.get("Value") if isinstance(answer, dict) else None
        number = value.get("Id") if isinstance(value, dict) else None
        return number if isinstance(number, int) else None

    def _change(self, kind: Any, number: int, fields: Mapping[str, Any]) -> None:
        self._refuse_writes()
        path = f"{_path(kind)}/{_number(number)}"
        self._transport.forget(path)
        whole = self._get(_path(kind), number)
        self._written("PUT", _path(kind), whole | {_field(name): value for name, value in fields.items()})
        self._transport.forget(path)

    def _delete(self, kind: Any, number: int) -> None:
        path = f"{_path(kind)}/{_number(number)}"
        self._refuse_writes()
        if command := _COMMANDS.get(_path(kind)):
            raise NexudusError(f"Nexudus does not delete {_path(kind)} by a call; run its command {command} instead")
        try:
            self._written("DELETE", path, None)
        except NexudusError as error:
            if not error.gone:
                raise
            if error.status != 404:
                # The answer may be an HTML page of a fault; then the list of such records fails, too.
                self._transport.read(self._attempt, _path(kind), {"page": 1, "size": 1}, since_ms=_now_ms())
        self._transport.forget(path)

    def _written(self, method: str, path: str, record: Mapping[str, Any] | None) -> Any:
        self._refuse_writes()
        return self._transport.write(self._attempt, method, path, record)

    def _refuse_writes(self) -> None:
        if not self._writes:
            raise NexudusError("this route may only read from Nexudus; write `nexudus: write` into it to allow more")


def _path(kind: object) -> str:
    path = kind.PATH if isinstance(kind, type) and issubclass(kind, Record) else kind
    if not isinstance(path, str) or not _KIND.fullmatch(path):
        raise ValueError(
            f"nexudus: {kind!r:.80} is not a kind of record; write spaces/coworkers, or a type that has a PATH"
        )
    return path


def _number(number: object) -> int:
    if type(number) is not int or not 0 < number < _LARGEST_ID:
        raise ValueError(f"nexudus: {number!r:.40} is not the number of a record")
    return number


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _field(name: str) -> str:
    if not _FIELD.fullmatch(name):
        raise ValueError(f"nexudus: {name[:60]!r} is not the name of a field")
    return name


def _written(value: object) -> str | int:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, int) else str(value)


def _refuse_on_a_loop(instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"this would hold up every other async handler; write `await nexudus.{instead}(...)`")
