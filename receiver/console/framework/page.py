"""Pages, the requests they answer, and operations.

A page is one function that returns facts, shown as HTML for people and as JSON for programs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from receiver.console.auth.sessions import Session
from receiver.console.framework import table_sort
from receiver.console.framework.services import Services
from receiver.console.framework.table_sort import Sorting, Tables
from receiver.core.errors import RequestRefused, UsageError
from receiver.web import bodies

ROOT: Final = "/console"
API: Final = "/console/api"

LARGEST_FORM = 2 * 1_048_576
"""Bytes: a pasted record may be as large as a body that the receiver takes, and is longer when it is URL-encoded."""

_MOST_FIELDS = 50
_LONGEST = 300

Facts = dict[str, Any]
Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """*query*, *path* and *form* hold the last value of each name; hostile until a page has looked at it."""

    services: Services
    session: Session
    query: Fields = field(default_factory=dict)
    path: Fields = field(default_factory=dict)
    form: Fields = field(default_factory=dict)

    def record(self, what: str, **detail: object) -> None:
        """Record an operation in the audit log, before it runs. Raises StorageUnavailable; then it must not run."""
        self.services.record(self.session, what, **detail)

    def asked(self, name: str) -> str | None:
        """Return a value of the query or the form, stripped; None when it is empty. Raises UsageError when too long."""
        value = (self.form.get(name) or self.query.get(name) or "").strip()
        if len(value) > _LONGEST:
            raise UsageError(f"{name}: {len(value)} characters are too many; the limit is {_LONGEST}")
        return value or None

    def number(self, name: str) -> int | None:
        """Return a whole number of the query or the form. Raises UsageError."""
        value = self.asked(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= 15):
            raise UsageError(f"{name}: {value!r} is not a whole number")
        return int(value)


@dataclass(frozen=True, slots=True)
class Page:
    """A page. *path* stands below the root; *title* is its name in the navigation, where *is_listed*.

    *facts* is everything that the page tells, in values that JSON has. *more* adds what only the template needs.
    *tables*: those of the facts that can be sorted, and by which columns.
    """

    path: str
    title: str
    template: str
    facts: Callable[[PageRequest], Facts]
    more: Callable[[PageRequest, Facts], Mapping[str, Any]] = field(default=lambda request, facts: {})
    is_listed: bool = True
    tables: Tables = field(default_factory=dict)

    def sorting(self, request: PageRequest) -> Sorting:
        """Return how the request wants the tables sorted. Raises UsageError."""
        return table_sort.sorting(self.tables, self.path, request.path, request.query)

    def sorted_facts(self, request: PageRequest) -> Facts:
        """Return the facts, each table as the request wants it sorted. Raises UsageError."""
        order = self.sorting(request)
        values = self.facts(request)
        return values | {name: order.rows(name, values[name]) for name in self.tables}


@dataclass(frozen=True, slots=True)
class Done:
    """An operation that ran: the sentence that is *said* about it, and the page (below the root) to show next."""

    said: str
    next: str
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """An operation whose answer is a page without an address: it cannot be bookmarked or shared."""

    page: Page
    facts: Facts


@dataclass(frozen=True, slots=True)
class Operation:
    """A change, or a look at personal data; for admins, unless *for_viewers*. A form posts to *path* below the root."""

    path: str
    run: Callable[[PageRequest], Done | Shown]
    for_viewers: bool = False


def query_of(request: Request) -> Fields:
    """Return the query."""
    return dict(list(request.query_params.multi_items())[:_MOST_FIELDS])


async def form_of(request: Request) -> Fields:
    """Read a form, or one JSON object with texts in it. Raises RequestRefused, UsageError."""
    declared = request.headers.get("content-length", "").encode("latin-1") or None
    body = await bodies.read(request.receive, declared, LARGEST_FORM)
    if not body:
        return {}
    if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
        return _json_fields(body)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise RequestRefused(400, "the form cannot be read") from None
    return dict(pairs)


def _json_fields(body: bytes) -> Fields:
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"the body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError("the body must be one JSON object")
    texts = {name: orjson.dumps(one).decode() if isinstance(one, dict | list) else one for name, one in value.items()}
    return {name: str(one) for name, one in list(texts.items())[:_MOST_FIELDS] if one is not None}
