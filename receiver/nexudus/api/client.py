"""The HTTP client of the Nexudus API: signs in, keeps to the call budget, and repeats calls after throttling and
faults. Time, tries and the size of answers are bounded.

The calls themselves are in `webhooks` and `entities` beside it; `response_parsing` interprets what comes back.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import httpx2
import orjson
import structlog

from receiver import __version__
from receiver.core import outbound
from receiver.core.errors import CredentialsRefused, NexudusError
from receiver.nexudus.api import response_parsing
from receiver.nexudus.api.call_limits import CallBudget
from receiver.nexudus.api.oauth import BearerToken, Password, PasswordTokens, TokenSource
from receiver.nexudus.api.response_parsing import Answer

_LARGEST_ANSWER = 32 * 1_048_576
"""Bytes. 500 hooks are about 0.3 MB."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is tried, and how long we wait between tries and for an answer.

    *silence_s* bounds the wait for each piece of an answer; after *give_up_s* no further try is started. While Nexudus
    only asks us to slow down, *throttles* (tries) and *throttled_s* (seconds) are the limits instead: Nexudus counts
    the calls of a minute, ours and those of all other users of the account, while its `Retry-After` always says one
    second. A call that is answered "Ooops!" is tried *ooops* times."""

    attempts: int = 6
    ooops: int = 3
    throttles: int = 20
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    connect_s: float = 10.0
    silence_s: float = 30.0
    whole_answer_s: float = 120.0
    give_up_s: float = 40.0
    throttled_s: float = 90.0

    def pause(self, attempt: int, asked: float | None) -> float:
        """Return the seconds to wait after the failed *attempt*: doubled each time, and at least what was *asked*.

        Jitter keeps processes that failed at the same time from returning at the same time.
        """
        backoff = min(self.longest_pause_s, self.first_pause_s * 2.0 ** (attempt - 1))
        spread: float = random.uniform(0.5, 1.0)  # noqa: S311 -- jitter, not a secret
        return max(backoff * spread, (asked or 0.0) + self.first_pause_s * spread)


@dataclass(slots=True)
class _Tries:
    """How often one call has been tried, and since when."""

    patience: Patience
    most: int
    started: float = field(default_factory=time.monotonic)
    faults: int = 0
    throttles: int = 0

    def is_last(self, answer: Answer | None) -> bool:
        """Count a failed try, with its answer if there was one; return whether no further try may follow."""
        seconds = time.monotonic() - self.started
        if answer is not None and answer.is_throttled:
            self.throttles += 1
            return self.throttles >= self.patience.throttles or seconds > self.patience.throttled_s
        self.faults += 1
        most = min(self.most, self.patience.ooops) if answer is not None and answer.is_ooops else self.most
        return self.faults >= most or seconds > self.patience.give_up_s


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API. *repeatable*: it may be carried out twice, so after an unknown outcome it is repeated.

    *within_s*: how long the answer of each try may take, when that is less than our usual patience.
    """

    method: str
    path: str
    params: Mapping[str, str | int] | None = None
    record: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    repeatable: bool = True
    attempts: int | None = None
    role: str = ""
    within_s: float | None = None

    @property
    def is_write(self) -> bool:
        """Whether Nexudus counts the call as a write: POST, PUT and DELETE, the token request included."""
        return self.method != "GET"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Client:
    """Calls the API at *base_url*. Threads may share it. Close it, or use it as a context manager."""

    def __init__(
        self,
        base_url: str,
        credentials: BearerToken | Password,
        budget: CallBudget,
        *,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._budget = budget
        self._patience = patience or Patience()
        self._sleep = sleep
        self._log = structlog.get_logger()
        timeout = httpx2.Timeout(self._patience.silence_s, connect=self._patience.connect_s)
        with outbound.explained():
            self._http = httpx2.Client(timeout=timeout, follow_redirects=False, headers=_HEADERS)
        self._tokens: TokenSource = (
            credentials if isinstance(credentials, BearerToken) else PasswordTokens(credentials, self._request_token)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def do(self, call: Call) -> Any:
        """Carry out *call*, signed in, and return the JSON of the answer.

        Raises NexudusError. If its status is 0 or at least 500 and the call is not `repeatable`, Nexudus may have
        carried out the call nevertheless.
        """
        token = self._tokens.current()
        answer = self._try(call, token)
        if answer.status == 401:
            other = self._tokens.after_refusal(token)
            if other is not None:
                answer = self._try(call, other)
        return response_parsing.read(answer, call=str(call), role=call.role)

    def _request_token(self, form: Mapping[str, str], headers: Mapping[str, str]) -> Any:
        call = Call("POST", "/api/token", form=form, headers=headers)
        answer = self._try(call, None)
        if answer.status in (400, 401):
            raise CredentialsRefused(
                f"Nexudus refused the credentials ({answer.status});"
                " check FRONTDESK_NEXUDUS_USERNAME, _PASSWORD and _TOTP",
                status=answer.status,
            )
        return response_parsing.read(answer, call=str(call))

    def _try(self, call: Call, token: str | None) -> Answer:
        """Send the call until its answer is neither throttling nor a temporary fault, or no further try is allowed."""
        tries = _Tries(self._patience, call.attempts or self._patience.attempts)
        while True:
            answer: Answer | None = None
            try:
                answer = self._send(call, token)
            except (httpx2.InvalidURL, ValueError) as error:
                raise NexudusError(f"Nexudus cannot be sent {call}: {_UNSENDABLE}") from error
            except httpx2.RequestError as error:
                # Without a connection nothing was sent. After that it is unknown what Nexudus has received.
                again = call.repeatable or isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
                if not again or tries.is_last(None):
                    raise NexudusError(_no_answer(call, self._base_url, error)) from error
            else:
                again = answer.is_throttled or (call.repeatable and answer.is_passing)
                if not again or tries.is_last(answer):
                    return answer
            pause = self._patience.pause(tries.faults + tries.throttles, answer.retry_after if answer else None)
            self._log.debug("nexudus.repeated", call=str(call), status=answer.status if answer else 0)
            self._sleep(pause)

    def _send(self, call: Call, token: str | None) -> Answer:
        self._budget.take(write=call.is_write)
        headers = dict(call.headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        content = None
        if call.record is not None:
            content = orjson.dumps(call.record)
            headers["Content-Type"] = "application/json"
        with self._http.stream(
            call.method,
            self._base_url + call.path,
            params=call.params,
            content=content,
            data=call.form,
            headers=headers,
            timeout=httpx2.USE_CLIENT_DEFAULT if call.within_s is None else httpx2.Timeout(call.within_s),
        ) as response:
            within_s = min(self._patience.whole_answer_s, call.within_s or self._patience.whole_answer_s)
            return Answer(response.status_code, dict(response.headers), self._body(response, within_s))

    def _body(self, response: httpx2.Response, within_s: float) -> bytes:
        deadline = time.monotonic() + within_s
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _LARGEST_ANSWER:
                raise httpx2.ReadError(f"the answer is larger than {_LARGEST_ANSWER} bytes")
            if time.monotonic() > deadline:
                raise httpx2.ReadTimeout(f"the answer took longer than {within_s:g} s")
        return bytes(body)


_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"frontdesk/{__version__}",
}


_UNSENDABLE = "FRONTDESK_NEXUDUS_URL, _TOKEN or _CLIENT_ID holds what no request can carry; correct it"


def _no_answer(call: Call, base_url: str, error: httpx2.RequestError) -> str:
    what = str(error) or type(error).__name__
    proxy = outbound.proxy_for(base_url)
    doubt = f"is the proxy right that {proxy} names" if proxy else "is FRONTDESK_NEXUDUS_URL right"
    return f"Nexudus gave no answer to {call} at {base_url}: {what}; is it up, and {doubt}?"
