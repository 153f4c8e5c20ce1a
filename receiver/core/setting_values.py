"""What a setting may be beside a number or a text: a list, a URL, a network, a shared secret, a token with a name."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, model_validator

from receiver.core.cleaning import whole_network

_BASE64 = re.compile(r"(?=.{16})(?:[A-Za-z0-9+/_-]{4})*[A-Za-z0-9+/_-]{2}(?:==|[A-Za-z0-9+/_-]=)")
"""The output of `openssl rand -base64`: the `=` of its padding does not separate a name from a token."""


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in re.split(r"[,\r\n]", value) if part.strip()]
    if not parts:
        raise ValueError("holds nothing but commas; write what they separate, or leave it empty")
    return parts


def _base_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise ValueError("must be http:// or https://, a host and perhaps a path, without a query")
    return value.rstrip("/")


class WebhookSecret(BaseModel):
    """A Nexudus shared secret. *business_id*: the only location whose hooks it signs; None: it signs those of all."""

    model_config = ConfigDict(frozen=True)

    business_id: int | None
    secret: SecretStr

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        business, equals, secret = (part.strip() for part in value.partition("="))
        if equals and re.fullmatch("[0-9]+", business):
            if not secret:
                raise ValueError(f"business {business[:20]} has an empty secret, which anybody could sign with")
            return {"business_id": int(business), "secret": secret}
        return {"business_id": None, "secret": value}


class NamedToken(BaseModel):
    """A token that signs somebody in to the console. *name* tells people apart in `frontdesk acts`."""

    model_config = ConfigDict(frozen=True)

    name: str
    token: SecretStr

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        name, equals, token = value.partition("=")
        if not equals or _BASE64.fullmatch(value):
            return {"name": "operator", "token": value}
        if not name or not token.strip("="):
            raise ValueError("a name or a token is empty; write a token, or name=token")
        return {"name": name, "token": token}


BaseUrl = Annotated[str, AfterValidator(_base_url)]
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(whole_network)]
Host = Annotated[str, AfterValidator(lambda host: re.sub(r"\A\[(.*)\]\Z", r"\1", host))]
"""An address or a name; an IPv6 address perhaps in brackets, as URLs write it."""

List = BeforeValidator(_split)
"""Marks a setting whose values are separated by commas or line breaks."""
