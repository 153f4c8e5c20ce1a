"""What the options of `forward` may be; each is checked when the routes are loaded."""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import httpx2
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from workers.api import Seconds
from workers.templates import Template, ValueTemplate

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{0,4000}")
_OURS = {
    "connection", "content-length", "frontdesk-attempt", "host", "transfer-encoding", "webhook-id",
    "webhook-signature", "webhook-timestamp",
}  # fmt: skip
_SECRET = re.compile(r"(?:whsec_)?[A-Za-z0-9+/]+={0,2}")
_ORIGIN = re.compile(r"https?://[^/?#{}]+(?=[/?#]|$)", re.IGNORECASE)
_STATUS = re.compile(r"[1-5](?:[0-9]{2}|xx)")


def checked_url(text: str) -> str:
    """Return *text*, a URL that a request can be sent to. Raises ValueError, which does not quote it."""
    try:
        url = httpx2.URL(text)
        url.raw_host.decode("ascii")
    except (httpx2.InvalidURL, ValueError):
        raise ValueError("is not a URL") from None
    if url.scheme not in {"http", "https"} or not url.host or any(ord(character) <= 0x20 for character in text):
        raise ValueError("must be http:// or https:// and a host")
    if url.port is not None and not 0 < url.port < 65_536:
        raise ValueError("has no possible port")
    return text


def _url(template: Template) -> Template:
    if template.is_literal:
        checked_url(template.source)
    elif not _ORIGIN.match(template.source):
        raise ValueError("must be http:// or https:// and a host without a template in it; the path may have some")
    return template


def _proxy(text: str) -> str:
    if httpx2.URL(checked_url(text)).path not in ("", "/"):
        raise ValueError("is not the URL of a proxy; write http://HOST:PORT")
    return text


def checked_secret(text: str) -> str:
    """Return *text*, a secret that can sign. Raises ValueError, which does not quote it."""
    encoded = text.removeprefix("whsec_").rstrip("=")
    if not _SECRET.fullmatch(text) or len(encoded) % 4 == 1 or not b64decode(encoded + "=="):
        raise ValueError("is not base64, with or without whsec_ before it, as Standard Webhooks asks")
    return text


def _headers(headers: dict[str, Template]) -> Mapping[str, Template]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
            raise ValueError(f"{name!r} is not a header that can be set here")
        if not _HEADER_VALUE.fullmatch(value.source):
            raise ValueError(f"the value of {name!r} has control characters or is too long")
    return {name.lower(): value for name, value in headers.items()}


def _statuses(value: object) -> object:
    found = [str(one).lower() for one in (value if isinstance(value, list) else [value])]
    if not found or not all(_STATUS.fullmatch(one) for one in found):
        raise ValueError("must be statuses, like [2xx, 404]")
    return found


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


_Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,4000}$")]


class Basic(_Part):
    """A user and a password."""

    user: _Text
    password: _Text


class OAuth2(_Part):
    """OAuth2 client credentials (RFC 6749, 4.4). *client_auth*: how the client proves itself to the token's server."""

    token_url: Annotated[str, AfterValidator(checked_url)]
    client_id: _Text
    client_secret: _Text
    scope: str = ""
    audience: str = ""
    client_auth: Literal["basic", "body"] = "basic"


class Auth(_Part):
    """How we authenticate: exactly one of these."""

    basic: Basic | None = None
    bearer: _Text | None = None
    oauth2: OAuth2 | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(each is not None for each in (self.basic, self.bearer, self.oauth2)) != 1:
            raise ValueError("must be one of basic, bearer, oauth2")
        return self


def _body(value: Any) -> Any:
    if not isinstance(value, str | dict | list):
        raise ValueError("must be text, a mapping or a list")  # noqa: TRY004 - pydantic collects these
    return value


UrlTemplate = Annotated[Template, AfterValidator(_url)]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Secret = Annotated[str, AfterValidator(checked_secret)]
Headers = Annotated[dict[str, Template], AfterValidator(_headers)]
Body = Annotated[ValueTemplate, BeforeValidator(_body)]
Proxy = Annotated[str, AfterValidator(_proxy)]
Expect = Annotated[tuple[str, ...], BeforeValidator(_statuses)]
Timeout = Annotated[Seconds, Field(gt=0, le=600)]
