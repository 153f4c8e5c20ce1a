"""What `forward` sends for an event: the method, the URL, the headers and the body. Pure."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import httpcore2
import httpx2
import orjson
from standardwebhooks import Webhook

from workers import Event
from workers.api import traceparent
from workers.handlers.http_options import checked_url
from workers.templates import Template, TemplateFailed, ValueTemplate

FORM = "application/x-www-form-urlencoded"
LARGEST_BODY = 1_048_576
"""Bytes of a body that templates make."""

_LONGEST_URL = 8_000
_LONGEST_HEADER = 4_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WITHOUT_BODY = frozenset({"GET", "DELETE"})


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request, but for what differs between attempts (`stamped`) and who we are (authorization)."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def target(self) -> httpcore2.URL:
        """The URL as the transport takes it, without user and password."""
        parsed = httpx2.URL(self.url)
        return httpcore2.URL(
            scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path or b"/"
        )

    def with_headers(self, headers: Mapping[str, str]) -> "Outgoing":
        """Return it with these headers, too."""
        return replace(self, headers={**self.headers, **headers})


def made(
    event: Event,
    *,
    url: Template,
    method: str = "POST",
    headers: Mapping[str, Template] | None = None,
    body: ValueTemplate | None = None,
) -> Outgoing:
    """Return the request for *event*. Raises TemplateFailed. Without a *body*, it is the event with its context."""
    written = _url(event, url)
    parsed = httpx2.URL(written)
    own = {name: value.render(event, escape=_in_a_header).strip() for name, value in (headers or {}).items()}
    too_long = next((name for name, value in own.items() if len(value) > _LONGEST_HEADER), None)
    if too_long:
        raise TemplateFailed(f"the header {too_long} is longer than {_LONGEST_HEADER} characters")
    content, kind = _content(event, method, body, own.get("content-type", ""))
    sent = {"idempotency-key": event.key, **_basic(parsed), **({"content-type": kind} if kind else {}), **own}
    return Outgoing(method, written, {**sent, "host": parsed.netloc.decode("ascii")}, content)


def stamped(outgoing: Outgoing, event: Event, secret: str | None) -> Outgoing:
    """Return the request with the headers of this attempt, and signed by the Standard Webhooks scheme."""
    now = datetime.now(UTC)
    headers = {
        "webhook-id": event.key,
        "webhook-timestamp": str(int(now.timestamp())),
        "frontdesk-attempt": str(event.attempt),
    }
    if trace := traceparent():
        headers["traceparent"] = trace
    if secret is not None:
        headers["webhook-signature"] = Webhook(secret).sign(event.key, now, outgoing.body.decode("utf-8"))
    return outgoing.with_headers(headers)


def basic(user: str, password: str) -> str:
    """Return the value of an Authorization header."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")


def envelope(event: Event) -> bytes:
    """Return the event with its context, as the specification of Standard Webhooks shapes it."""
    return orjson.dumps(
        {
            "type": event.action,
            "timestamp": event.received_at,
            "data": event.data,
            "id": event.id,
            "key": event.key,
            "action_code": event.action_code,
            "business_id": event.business_id,
            "origin": event.origin,
        },
        option=orjson.OPT_UTC_Z,
    )


def _url(event: Event, url: Template) -> str:
    """Render a URL. A value fills a part of its path or query and cannot become more than that."""
    written = url.render(event, escape=_in_a_url)
    if url.is_literal:
        return written
    try:
        checked_url(written)
    except ValueError as error:
        raise TemplateFailed(f"the url {error}") from None
    if len(written) > _LONGEST_URL:
        raise TemplateFailed(f"the url is longer than {_LONGEST_URL} characters")
    return written


def _in_a_url(value: str) -> str:
    if value in (".", ".."):
        raise TemplateFailed("a value for the url is a dot, which would lead to another path")
    return quote(value, safe="")


def _in_a_header(value: str) -> str:
    return _CONTROL.sub(" ", value)


def _basic(url: httpx2.URL) -> dict[str, str]:
    return {"authorization": basic(url.username, url.password)} if url.userinfo else {}


def _content(event: Event, method: str, body: ValueTemplate | None, kind: str) -> tuple[bytes, str]:
    """Return the body and its type: text is text, a mapping is a form where the type says so, all else is JSON."""
    if body is None:
        return (b"", "") if method in _WITHOUT_BODY else (envelope(event), "application/json")
    value = body.render(event)
    if isinstance(value, str):
        content, default = value.encode(), "text/plain; charset=utf-8"
    elif kind.partition(";")[0].strip().lower() == FORM:
        content, default = _form(value), FORM
    else:
        content, default = orjson.dumps(value), "application/json"
    if len(content) > LARGEST_BODY:
        raise TemplateFailed(f"the body is larger than {LARGEST_BODY} bytes")
    return content, kind or default


def _form(value: Any) -> bytes:
    if not isinstance(value, dict) or any(isinstance(one, dict | list) for one in value.values()):
        raise TemplateFailed("the body is no form: a form is one mapping of names and plain values")
    fields = {name: "true" if one is True else "false" if one is False else one for name, one in value.items()}
    return urlencode({name: one for name, one in fields.items() if one is not None}).encode()
