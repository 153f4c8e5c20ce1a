"""One request of somebody who is signed in, as the pages see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from receiver.console.auth.sessions import Session
from receiver.console.framework.services import Desk
from receiver.core.errors import RequestRefused, UsageError
from receiver.web import bodies

LARGEST_FORM = 2 * 1_048_576
"""Bytes: a pasted record may be as large as a body that the receiver takes, and is longer when it is URL-encoded."""

_MOST_FIELDS = 50
_LONGEST = 300

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Visit:
    """*query*, *path* and *form* hold the last value of each name; hostile until a page has looked at it."""

    desk: Desk
    session: Session
    query: Fields = field(default_factory=dict)
    path: Fields = field(default_factory=dict)
    form: Fields = field(default_factory=dict)

    def record(self, what: str, **detail: object) -> None:
        """Record an act of this visitor. Raises StorageUnavailable; then it must not happen."""
        self.desk.record(self.session, what, **detail)

    def asked(self, name: str) -> str | None:
        """Return a value of the query or the form, stripped; None when it is empty. Raises UsageError when too long."""
        value = (self.form.get(name) or self.query.get(name) or "").strip()
        if len(value) > _LONGEST:
            raise UsageError(f"{name}: {len(value)} characters are too many")
        return value or None

    def number(self, name: str) -> int | None:
        """Return a whole number of the query or the form. Raises UsageError."""
        value = self.asked(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= 15):
            raise UsageError(f"{name}: {value!r} is no whole number")
        return int(value)


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
        raise UsageError(f"the body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError("the body must be one JSON object")
    texts = {name: orjson.dumps(one).decode() if isinstance(one, dict | list) else one for name, one in value.items()}
    return {name: str(one) for name, one in list(texts.items())[:_MOST_FIELDS] if one is not None}
