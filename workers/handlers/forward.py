"""Forwards events by HTTP, signed by the Standard Webhooks scheme (https://www.standardwebhooks.com).

The target gets a POST with the headers `webhook-id` (the event's key: the same for every attempt and replay, so that
the target can detect duplicates), `webhook-timestamp` (when this attempt was made), with a secret `webhook-signature`,
`frontdesk-attempt`, and with traces `traceparent`. The body is the same for every attempt:

    {"type": "BookingCreate", "timestamp": "2026-03-14T15:09:26.535000Z", "data": {"Id": 77, ...},
     "id": "...", "key": "...", "action_code": 41, "business_id": 1001, "origin": "webhook"}

`type`, `timestamp` (when Nexudus's request came in) and `data` (the record as Nexudus sent it) are the specification's.

Any answer but 2xx fails the attempt. Redirects are not followed. After 429 or 503 with `Retry-After`, the delivery
waits that long, from a second to a day, and the attempt does not count. 410, by the specification a request to stop,
fails like any other answer and ends as a dead delivery that somebody sees: discarding would silently lose the events of
a target that is only misconfigured.
"""

import functools
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import httpcore2
import httpx2
import orjson
from pydantic import AfterValidator, Field
from standardwebhooks import Webhook

from workers import Event, Retry
from workers.api import Seconds, seconds_to_wait, traceparent
from workers.handlers.sender import NotDelivered, Sender, TargetResponse, shown

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{0,4000}")
_OURS = {
    "connection", "content-length", "content-type", "frontdesk-attempt", "host", "transfer-encoding", "webhook-id",
    "webhook-signature", "webhook-timestamp",
}  # fmt: skip
_SECRET = re.compile(r"(?:whsec_)?[A-Za-z0-9+/]+={0,2}")


def checked_url(text: str) -> str:
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


def checked_secret(text: str) -> str:
    encoded = text.removeprefix("whsec_").rstrip("=")
    if not _SECRET.fullmatch(text) or len(encoded) % 4 == 1 or not b64decode(encoded + "=="):
        raise ValueError("is not base64, with or without whsec_ before it, as Standard Webhooks asks")
    return text


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
            raise ValueError(f"{name!r} is not a header that can be set here")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of {name!r} has control characters or is too long")
    return {name.lower(): value.strip() for name, value in headers.items()}


Url = Annotated[str, AfterValidator(checked_url)]
Secret = Annotated[str, AfterValidator(checked_secret)]
Headers = Annotated[dict[str, str], AfterValidator(_headers)]
Timeout = Annotated[Seconds, Field(gt=0, le=600)]


async def forward(
    event: Event,
    *,
    url: Url,
    secret: Secret | None = None,
    headers: Headers | None = None,
    timeout: Timeout = 10.0,  # noqa: ASYNC109 - an option of the route; the deadline is set inside
    allow_private: bool = False,
) -> None:
    """POST the event and its context to *url* as JSON; see the top of this module for what the target gets.

    *secret* signs it. *headers* are sent too. *timeout* covers all of it, including the look-up of the address. An
    address outside the public internet is refused unless *allow_private*.
    """
    await send(
        _sender(), event, url=url, secret=secret, headers=headers or {}, timeout_s=timeout, allow_private=allow_private
    )


@functools.cache
def _sender() -> Sender:
    return Sender()


async def send(
    sender: Sender,
    event: Event,
    *,
    url: str,
    secret: str | None,
    headers: Mapping[str, str],
    timeout_s: float,
    allow_private: bool,
) -> None:
    """Do what `forward` promises, through *sender*. Raises NotDelivered, or Retry when the target asks to wait."""
    answer = await post(
        sender, event, url=url, secret=secret, headers=headers, timeout_s=timeout_s, allow_private=allow_private
    )
    judge(answer, _shown(url), now=datetime.now(UTC))


async def post(
    sender: Sender,
    event: Event,
    *,
    url: str,
    secret: str | None,
    headers: Mapping[str, str],
    timeout_s: float,
    allow_private: bool,
) -> TargetResponse:
    """Send the request of `forward`, and return the target's answer, whatever it is. Raises NotDelivered."""
    parsed = httpx2.URL(url)
    target = httpcore2.URL(
        scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path or b"/"
    )
    body = _body(event)
    sent = {**_basic(parsed), **headers, "host": parsed.netloc.decode("ascii"), **_ours(event, body, secret)}
    return await sender.post(target, sent, body, timeout_s=timeout_s, allow_private=allow_private)


def _shown(url: str) -> str:
    parsed = httpx2.URL(url)
    return shown(httpcore2.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=b"/"))


def _basic(url: httpx2.URL) -> dict[str, str]:
    if not url.userinfo:
        return {}
    return {"authorization": "Basic " + b64encode(f"{url.username}:{url.password}".encode()).decode("ascii")}


def _body(event: Event) -> bytes:
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


def _ours(event: Event, body: bytes, secret: str | None) -> dict[str, str]:
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": event.key,
        "webhook-timestamp": str(int(now.timestamp())),
        "frontdesk-attempt": str(event.attempt),
    }
    if trace := traceparent():
        headers["traceparent"] = trace
    if secret is not None:
        headers["webhook-signature"] = Webhook(secret).sign(event.key, now, body.decode("utf-8"))
    return headers


def judge(answer: TargetResponse, where: str, *, now: datetime) -> None:
    """Return for 2xx. Raises Retry, uncharged, when the target asks to wait, and NotDelivered for anything else."""
    if 200 <= answer.status < 300:
        return
    wait = seconds_to_wait(answer.retry_after, now) if answer.status in {429, 503} else None
    if wait is not None:
        raise Retry(f"{where} answered {answer.status} and asks to wait {wait:g} s", after=wait, charged=False)
    note = {3: "; redirects are not followed, so name the final URL"}.get(answer.status // 100, "")
    if answer.status == 410:
        note = "; it wants no more of these: disable the route or correct its url"
    raise NotDelivered(f"{where} answered {answer.status}{note}", target_down=answer.status >= 500)
