"""Sends a message about an event: by mail, to Slack, Teams, Discord, Telegram, by SMS, ... through Apprise.

Each target is a URL of Apprise (https://github.com/caronc/apprise/wiki), which holds passwords, so it is given as
`env/NAME` or `file/PATH` only. A target that refuses fails the attempt; those that have taken the message are
remembered, so that a retry sends it to the others only. A replay sends it to all of them again.
"""

import hashlib
import html
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import import_module
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator

from workers import Discard, Event, once
from workers.api import Reference, previewed_by
from workers.templates import Template, TemplateFailed

Format = Literal["text", "markdown", "html"]

_MOST_TARGETS: Final = 20
_LONGEST_TITLE: Final = 250
_LONGEST_REASON: Final = 300
# Apprise takes an apostrophe for the end of a name, and would write to somebody else; it cannot send SMTPUTF8.
_ONE_RECIPIENT: Final = re.compile(r"[\w.+-]{1,64}@[\w.-]{1,253}|\+?[0-9][0-9 ()-]{3,20}[0-9]", re.ASCII)
_MARKS: Final = re.compile(r"([\\`*_\[\]<>#|])")


class NotSent(Exception):
    """A service has not taken the message; the text says which, and what it said."""


def _references(value: object) -> object:
    targets = [value] if isinstance(value, str) else value
    if not isinstance(targets, list) or not 1 <= len(targets) <= _MOST_TARGETS:
        raise ValueError(f"must be a target, or a list of up to {_MOST_TARGETS}")
    for number, one in enumerate(targets, 1):
        if not isinstance(one, Reference):
            raise ValueError(f"target {number} must be env/NAME or file/PATH, because its URL holds a secret")  # noqa: TRY004
    return targets


def _understood(targets: list[str]) -> list[str]:
    for number, url in enumerate(targets, 1):
        if _service(url.strip()) is None:
            raise ValueError(
                f"target {number} is no URL that Apprise understands; its wiki lists the services and their URLs"
            )
    return [url.strip() for url in targets]


Targets = Annotated[list[str], AfterValidator(_understood), BeforeValidator(_references)]


def _preview(
    event: Event,
    *,
    to: Targets,
    message: Template,
    title: Template | None = None,
    recipient: Template | None = None,
    format: Format = "text",  # noqa: A002 - as below
) -> Mapping[str, Any]:
    """Return what would be sent, and to which services."""
    whom = _recipient(event, recipient)
    services = [f"{_known(url).service_name}{f' to {whom}' if whom else ''}" for url in to]
    return {"to": services, "title": _title(event, title), "message": _text(event, message, format), "format": format}


@previewed_by(_preview)
def notify(
    event: Event,
    *,
    to: Targets,
    message: Template,
    title: Template | None = None,
    recipient: Template | None = None,
    format: Format = "text",  # noqa: A002 - an option of the route
) -> None:
    """Send *message* with its *title* to each of the targets *to*; nothing is sent when the message is empty.

    *recipient*, an address or a number, takes the place of the one in the URLs of mail and SMS. *format* says what the
    message is written in: values of the record are escaped for it.
    """
    text = _text(event, message, format)
    if not text.strip():
        raise Discard("the message is empty for this event")
    heading, whom = _title(event, title), _recipient(event, recipient)
    refused = []
    for url in [_addressed(url, whom) for url in to]:
        try:
            _send_once(event, url, heading, text, format)
        except NotSent as error:
            refused.append(str(error))
    if refused:
        raise NotSent("; ".join(refused))


def _text(event: Event, message: Template, form: Format) -> str:
    return message.render(event, escape=_ESCAPES[form])


def _title(event: Event, title: Template | None) -> str:
    return " ".join(title.render(event).split())[:_LONGEST_TITLE] if title else ""


def _recipient(event: Event, recipient: Template | None) -> str | None:
    """Return one address or number. Nobody can become several: what the record holds may be made by a stranger."""
    if recipient is None:
        return None
    whom = recipient.render(event).strip()
    if not whom:
        raise Discard("there is no recipient for this event")
    if not _ONE_RECIPIENT.fullmatch(whom):
        raise TemplateFailed("the recipient is neither one mail address in ASCII nor one phone number")
    return whom


def _addressed(url: str, whom: str | None) -> str:
    if whom is None:
        return url
    base, _, query = url.partition("?")
    kept = [part for part in query.split("&") if part and part.partition("=")[0].lower() != "to"]
    kept.append("to=" + quote(whom, safe="@"))
    return f"{base}?{'&'.join(kept)}"


_ESCAPES: Final[Mapping[Format, Callable[[str], str] | None]] = {
    "text": None,
    "markdown": lambda value: _MARKS.sub(r"\\\1", value),
    "html": html.escape,
}


def _send_once(event: Event, url: str, title: str, text: str, form: Format) -> None:
    """Send to one target, unless an earlier attempt of this run has. Raises NotSent."""
    with once(event, f"to-{hashlib.sha256(url.encode()).hexdigest()[:16]}") as step:
        # What is remembered is the attempt: an attempt with the same number or a lower one belongs to a replay.
        if step.done and isinstance(step.result, int) and step.result < event.attempt:
            return
        service = _known(url)
        with _what_is_said() as said:
            try:
                taken = service.notify(body=text, title=title, body_format=form)
            except Exception as error:  # noqa: BLE001 - a stranger's plugin
                taken, said = False, [type(error).__name__]
        if not taken:
            reason = said[-1] if said else "it gave no reason"
            raise NotSent(f"{service.service_name} has not taken the message: {reason[:_LONGEST_REASON]}")
        step.result = event.attempt


def _known(url: str) -> Any:
    found = _service(url)
    if found is None:
        raise NotSent("its target is no URL that Apprise understands")
    return found


@cache
def _apprise() -> Any:
    """Return Apprise; its log, which quotes what it sends, goes nowhere but to the thread that sends."""
    module: Any = import_module("apprise")
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # below, it tells paths of URLs, which are secrets
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    logger.addHandler(_Listening())
    return module


@lru_cache(maxsize=256)
def _service(url: str) -> Any:
    """Return the service of a URL, or None when Apprise knows none."""
    module = _apprise()
    asset = module.AppriseAsset(app_id="Frontdesk", app_desc="Frontdesk", async_mode=False)
    return module.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)


class _Said(threading.local):
    lines: list[str] | None = None


_said = _Said()


class _Listening(logging.Handler):
    """Keeps what Apprise says for the thread that sends."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        if _said.lines is not None and len(_said.lines) < 100:
            _said.lines.append(record.getMessage()[:1_000])


@contextmanager
def _what_is_said() -> Iterator[list[str]]:
    _said.lines = lines = list[str]()
    try:
        yield lines
    finally:
        _said.lines = None
