"""OAuth2 tokens: fetched once for all threads and event loops of a process, and renewed before they run out."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from workers.handlers.exchange import TargetResponse
from workers.handlers.http_options import OAuth2
from workers.handlers.outgoing import FORM, basic
from workers.handlers.sender import NotDelivered

_MOST_TOKENS = 1_000
_UNKNOWN_LIFE_S = 300.0
_LONGEST_LIFE_S = 86_400.0
_RENEWED_BEFORE_S = 30.0
_LONGEST_TOKEN = 16_000

Fetch = Callable[[], Awaitable[tuple[str, float]]]
"""Returns a token and how many seconds it is good for."""


class _Abandoned(Exception):
    """Whoever fetched a token was cancelled; another one fetches it."""


@dataclass(slots=True)
class _Entry:
    token: str = ""
    until: float = 0.0
    pending: Future[str] | None = field(default=None)


class Tokens:
    """The tokens of a process, by what they are fetched with. Threads and event loops may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[OAuth2, _Entry] = {}

    async def get(self, auth: OAuth2, fetch: Fetch) -> str:
        """Return a token that is good now. While one fetches it, the others wait for the same answer."""
        while True:
            with self._lock:
                entry = self._entries.setdefault(auth, _Entry())
                if entry.token and self._clock() < entry.until:
                    return entry.token
                pending, mine = entry.pending, entry.pending is None
                if pending is None:
                    pending = entry.pending = Future()
                    pending.set_running_or_notify_cancel()  # one who gives up waiting does not cancel it for all
                if len(self._entries) > _MOST_TOKENS:
                    self._entries.pop(next(iter(self._entries)))
            if mine:
                return await self._fetched(entry, pending, fetch)
            try:
                return await asyncio.wrap_future(pending)
            except _Abandoned:
                continue

    async def _fetched(self, entry: _Entry, pending: Future[str], fetch: Fetch) -> str:
        try:
            token, life_s = await fetch()
        except BaseException as error:
            with self._lock:
                entry.pending = None
            pending.set_exception(error if isinstance(error, Exception) else _Abandoned())
            raise
        with self._lock:
            entry.token, entry.pending = token, None
            entry.until = self._clock() + max(life_s - _RENEWED_BEFORE_S, life_s / 2)
        pending.set_result(token)
        return token

    def refused(self, auth: OAuth2, token: str) -> None:
        """Forget *token*, which the target does not accept, unless there is a newer one."""
        with self._lock:
            entry = self._entries.get(auth)
            if entry and entry.token == token:
                entry.token = ""


def request_of(auth: OAuth2) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body that ask for a token."""
    fields = {"grant_type": "client_credentials"}
    headers = {"content-type": FORM, "accept": "application/json"}
    if auth.scope:
        fields["scope"] = auth.scope
    if auth.audience:
        fields["audience"] = auth.audience
    if auth.client_auth == "basic":
        headers["authorization"] = basic(quote(auth.client_id, safe=""), quote(auth.client_secret, safe=""))
    else:
        fields |= {"client_id": auth.client_id, "client_secret": auth.client_secret}
    return headers, urlencode(fields).encode()


def token_in(answer: TargetResponse, where: str) -> tuple[str, float]:
    """Return the token in an answer of 200, and its life in seconds. Raises NotDelivered."""
    try:
        said: Any = orjson.loads(answer.body)
    except ValueError:
        said = None
    token = said.get("access_token") if isinstance(said, dict) else None
    if (
        not isinstance(token, str)
        or not 0 < len(token) <= _LONGEST_TOKEN
        or not token.isascii()
        or not token.isprintable()
    ):
        raise NotDelivered(f"{where} was asked for a token, and there is none in its answer")
    life = said.get("expires_in", _UNKNOWN_LIFE_S)
    try:
        seconds = float(life)
    except (TypeError, ValueError):
        seconds = _UNKNOWN_LIFE_S
    return token, min(max(seconds, 0.0), _LONGEST_LIFE_S)
