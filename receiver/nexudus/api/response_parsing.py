"""Interprets an answer of the Nexudus API. Pure: bytes in, a value or one NexudusError out.

The rules and their sources: `WasSuccessful` may be false on 200; a validation error is 400 with `Errors[].PropertyName`
(https://developers.nexudus.com/rest-api/sys/post-webhooks); throttling is 409 with `Retry-After` and an empty body
(https://developers.nexudus.com/reference/api-limitations), or 429 whose body says "Wait 7.5 seconds"; an unknown record
is 404 on some accounts, 500 with a page of HTML on others; a JSON 500 "Ooops!..." may come again at each repetition.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from receiver.core.errors import NexudusError

_LONGEST_MESSAGE = 300
_LONGEST_WAIT_S = 120.0
_WAIT = re.compile(rb"wait\s{1,4}(\d{1,9}(?:\.\d{1,6})?)\s{0,4}s", re.IGNORECASE)
_WAIT_WITHIN = 1_000
_OOOPS = re.compile(r"o{2,9}ps\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_throttled(self) -> bool:
        """Whether Nexudus asks us to slow down; it has then not carried out the call.

        A 409 without `Retry-After` is a conflict in the data, and repeating the call would not help.
        """
        return self.status == 429 or (self.status in (409, 503) and "retry-after" in self.headers)

    @property
    def is_passing(self) -> bool:
        """Whether the error may be temporary; it is then unknown whether the call was carried out."""
        return self.status >= 500 or self.status == 408

    @property
    def is_gone(self) -> bool:
        """Whether this is an answer for a record that does not exist; a page of HTML may also mean a fault of
        Nexudus."""
        return self.status == 404 or (self.status == 500 and self.is_html)

    @property
    def is_html(self) -> bool:
        """Whether the body is a page of HTML."""
        return self.body.lstrip()[:1] == b"<"

    @property
    def is_ooops(self) -> bool:
        """Whether Nexudus reports a fault of its own as "Ooops!" in JSON; repeating the call may give the same
        answer."""
        return self.status == 500 and bool(_OOOPS.match(_message(_json(self))))

    @property
    def retry_after(self) -> float | None:
        """The seconds to wait by `Retry-After`, else by the body, within bounds; None when neither can be read.

        A date is compared with the answer's own `Date`, so that the two clocks need not agree.
        """
        value = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", value):
            return min(float(value), _LONGEST_WAIT_S)
        until, now = _moment(value), _moment(self.headers.get("date", ""))
        if until is None:
            told = _WAIT.search(self.body[:_WAIT_WITHIN]) if self.is_throttled else None
            return min(float(told[1]), _LONGEST_WAIT_S) if told else None
        seconds = (until - (now or datetime.now(UTC))).total_seconds()
        return min(max(0.0, seconds), _LONGEST_WAIT_S)


def read(answer: Answer, *, call: str, role: str = "") -> Any:
    """Return the JSON value of a successful answer, None for an empty one.

    Raises NexudusError, which says which *call* was refused and why. *role* is the Nexudus role that the call needs;
    the error names it when the API user lacks permission.
    """
    value = _json(answer)
    if not 200 <= answer.status < 300:
        raise NexudusError(
            f"Nexudus answered {answer.status} to {call}: {_reason(answer, value, role)}",
            status=answer.status,
            properties=_properties(value),
            throttled=answer.is_throttled,
            gone=answer.is_gone,
            ooops=answer.is_ooops,
        )
    if value is None and answer.body.strip():
        raise NexudusError(
            f"Nexudus answered {answer.status} to {call}, but not with JSON; is FRONTDESK_NEXUDUS_URL right?",
            status=answer.status,
        )
    if isinstance(value, dict) and value.get("WasSuccessful") is False:
        raise NexudusError(
            f"Nexudus answered {answer.status} to {call}, but did not do it: {_message(value) or 'no reason given'}",
            status=answer.status,
            properties=_properties(value),
        )
    return value


def _moment(date: str) -> datetime | None:
    """Return the time of an HTTP date."""
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _json(answer: Answer) -> Any:
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None


def _reason(answer: Answer, value: Any, role: str) -> str:
    if answer.status in (401, 403):
        need = f" and the role {role}" if role else ""
        return f"the credentials are refused, or the API user lacks something: it needs API access{need}"
    if answer.is_throttled:
        return "it asks us to slow down, and went on asking; lower FRONTDESK_NEXUDUS_CALLS_PER_MINUTE"
    if 300 <= answer.status < 400:
        return "a redirect, which is never followed; is FRONTDESK_NEXUDUS_URL right?"
    if message := _message(value):
        return message
    if answer.is_html:
        return "a page of HTML instead of JSON, as it does for records that do not exist and when it fails"
    return "without a reason"


def _message(value: Any) -> str:
    """Return what Nexudus says about an error, on one line and bounded."""
    if not isinstance(value, dict):
        return ""
    for name in ("Message", "error_description", "error"):
        if isinstance(value.get(name), str) and value[name].strip():
            return _one_line(value[name])
    return _one_line("; ".join(f"{name}: {message}" for name, message in _properties(value).items()))


def _one_line(text: str) -> str:
    """Return *text* cut to a bound, without line breaks and control characters."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * _LONGEST_MESSAGE])
    return " ".join(printable.split())[:_LONGEST_MESSAGE]


def _properties(value: Any) -> dict[str, str]:
    errors = value.get("Errors") if isinstance(value, dict) else None
    if not isinstance(errors, list):
        return {}
    return {
        str(error.get("PropertyName"))[:100]: str(error.get("Message"))[:_LONGEST_MESSAGE]
        for error in errors[:50]
        if isinstance(error, dict)
    }
