"""Forwards events by HTTP, signed by the Standard Webhooks scheme (https://www.standardwebhooks.com).

The target gets a POST with the headers `webhook-id` (the event's key: the same for every attempt and replay, so that
the target can detect duplicates), `webhook-timestamp` (when this attempt was made), with a secret `webhook-signature`,
`frontdesk-attempt`, and with traces `traceparent`. The body is the same for every attempt:

    {"type": "BookingCreate", "timestamp": "2026-03-14T15:09:26.535000Z", "data": {"Id": 77, ...},
     "id": "...", "key": "...", "action_code": 41, "business_id": 1001, "origin": "webhook"}

`type`, `timestamp` (when Nexudus's request came in) and `data` (the record as Nexudus sent it) are the specification's.
With the options `method`, `url`, `headers` and `body`, the request is that of somebody else's API instead.

Any answer but 2xx, or those that `expect` names, fails the attempt, with the beginning of what it said. Redirects are
not followed. After 429 or 503 with `Retry-After`, the delivery waits that long, from a second to a day, and the attempt
does not count. 410, by the specification a request to stop, fails like any other answer and ends as a dead delivery
that somebody sees: discarding would silently lose the events of a target that is only misconfigured.
"""

import asyncio
import functools
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import httpcore2
import httpx2

from workers import Event, Retry
from workers.api import previewed_by, seconds_to_wait
from workers.handlers import access_tokens, outgoing
from workers.handlers.access_tokens import Tokens
from workers.handlers.exchange import TargetResponse
from workers.handlers.http_options import (
    Auth,
    Body,
    Expect,
    Headers,
    Method,
    OAuth2,
    Proxy,
    Secret,
    Timeout,
    UrlTemplate,
)
from workers.handlers.outgoing import Outgoing
from workers.handlers.sender import NotDelivered, RequestRoute, Sender, shown
from workers.templates import Template

SUCCESS = ("2xx",)


def _preview(
    event: Event,
    *,
    url: UrlTemplate,
    method: Method = "POST",
    headers: Headers | None = None,
    body: Body | None = None,
    secret: Secret | None = None,
    auth: Auth | None = None,
    **how: Any,
) -> Mapping[str, Any]:
    """Return the request that would be sent; a token is not fetched for it, and secrets are not shown."""
    del how
    request = outgoing.made(event, url=url, method=method, headers=headers, body=body)
    if auth:
        request = request.with_headers({"authorization": "***"})
    stamped = outgoing.stamped(request, event, secret)
    hidden = {"authorization", "proxy-authorization"}
    told = {name: "***" if name in hidden else value for name, value in stamped.headers.items()}
    return {"method": method, "url": _without_user(request.url), "headers": told, "body": request.body.decode()}


@previewed_by(_preview)
async def forward(
    event: Event,
    *,
    url: UrlTemplate,
    method: Method = "POST",
    headers: Headers | None = None,
    body: Body | None = None,
    secret: Secret | None = None,
    auth: Auth | None = None,
    proxy: Proxy | None = None,
    expect: Expect = SUCCESS,
    timeout: Timeout = 10.0,  # noqa: ASYNC109 - an option of the route; the deadline is set inside
    allow_private: bool = False,
) -> None:
    """Send the event to *url*; see the top of this module for what the target gets.

    *secret* signs it. *headers* are sent too. *body* takes the place of the event. *auth* says who we are. *proxy* is
    the URL of one that the request goes through. *expect* are the statuses that count as success. *timeout* covers all
    of it, including the look-up of the address. An address outside the public internet is refused unless
    *allow_private*.
    """
    request = outgoing.made(event, url=url, method=method, headers=headers, body=body)
    route = RequestRoute(timeout, allow_private=allow_private, proxy=proxy)
    try:
        async with asyncio.timeout(timeout):
            answer = await _answer(event, request, secret, auth, route)
    except TimeoutError:
        raise NotDelivered(f"{shown(request.target)} gave no answer within {timeout:g} s", target_down=True) from None
    judge(answer, shown(request.target), now=datetime.now(UTC), expect=expect)


@functools.cache
def _sender() -> Sender:
    return Sender()


@functools.cache
def _tokens() -> Tokens:
    return Tokens()


def _without_user(url: str) -> str:
    return str(httpx2.URL(url).copy_with(username=None, password=None)) if "@" in url else url


async def _answer(
    event: Event, request: Outgoing, secret: str | None, auth: Auth | None, route: RequestRoute
) -> TargetResponse:
    """Send the request; a second time with a new token, when the target does not accept the one that we have."""
    sender = _sender()
    if auth is None or auth.oauth2 is None:
        return await post(sender, event, _authorized(request, auth), secret, route)
    oauth2 = auth.oauth2
    for is_last in (False, True):
        token = await _tokens().get(oauth2, functools.partial(_new_token, sender, oauth2, route))
        bearing = request.with_headers({"authorization": f"Bearer {token}"})
        answer = await post(sender, event, bearing, secret, route)
        if answer.status != 401 or is_last:
            return answer
        _tokens().refused(oauth2, token)
    raise AssertionError("the last turn returns")


def _authorized(request: Outgoing, auth: Auth | None) -> Outgoing:
    if auth is None:
        return request
    told = outgoing.basic(auth.basic.user, auth.basic.password) if auth.basic else f"Bearer {auth.bearer}"
    return request.with_headers({"authorization": told})


async def _new_token(sender: Sender, auth: OAuth2, route: RequestRoute) -> tuple[str, float]:
    headers, body = access_tokens.request_of(auth)
    url = httpx2.URL(auth.token_url)
    target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path or b"/")
    answer = await sender.send("POST", target, headers | {"host": url.netloc.decode("ascii")}, body, route)
    judge(answer, f"{shown(target)} was asked for a token and", now=datetime.now(UTC))
    return access_tokens.token_in(answer, shown(target))


async def post(
    sender: Sender, event: Event, request: Outgoing, secret: str | None, route: RequestRoute
) -> TargetResponse:
    """Send one request for *event*, signed with *secret*. Raises NotDelivered when there is no answer."""
    stamped = outgoing.stamped(request, event, secret)
    return await sender.send(request.method, request.target, stamped.headers, request.body, route)


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
    """Do what `forward` promises of an event as it is, through *sender*. Raises NotDelivered and Retry as it does."""
    written = {name: Template(value) for name, value in headers.items()}
    request = outgoing.made(event, url=Template(url), headers=written)
    answer = await post(sender, event, request, secret, RequestRoute(timeout_s, allow_private=allow_private))
    judge(answer, shown(request.target), now=datetime.now(UTC))


def judge(answer: TargetResponse, where: str, *, now: datetime, expect: Collection[str] = SUCCESS) -> None:
    """Return for a status that is expected. Raises Retry, uncharged, when the target asks to wait, and NotDelivered,
    with the beginning of what the target said, for anything else."""
    if str(answer.status) in expect or f"{answer.status // 100}xx" in expect:
        return
    wait = seconds_to_wait(answer.retry_after, now) if answer.status in {429, 503} else None
    if wait is not None:
        raise Retry(f"{where} answered {answer.status} and asks to wait {wait:g} s", after=wait, charged=False)
    note = {3: "; redirects are not followed, so name the final URL"}.get(answer.status // 100, "")
    if answer.status == 410:
        note = "; it wants no more of these: disable the route or correct its url"
    said = f"; it said ({answer.content_type or 'no type'}): {answer.excerpt}" if answer.excerpt else ""
    raise NotDelivered(f"{where} answered {answer.status}{note}{said}", target_down=answer.status >= 500)
