"""`listen`: copies of live events, from the console's API, to a program on this machine."""

import asyncio
import hashlib
import os
import secrets
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import httpx2
import orjson
from cyclopts import Parameter

from receiver.cli.ui import output
from receiver.cli.up import console_access, generated_secrets
from receiver.core import settings as environment
from receiver.core.errors import StorageUnavailable, UsageError
from receiver.core.events import Event
from receiver.core.sanitize import plain
from receiver.process import logs
from workers.handlers import forward, http_options, outgoing
from workers.handlers.sender import NotDelivered, RequestRoute, Sender
from workers.templates import Template

_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 15.0
_TIMEOUT_S: Final = 30.0
_LARGEST: Final = 128 * 1_048_576
_FILE: Final = "listen.json"
_MOST_PLACES: Final = 50


@dataclass(frozen=True, kw_only=True)
class CopiedEvents:
    """Which events are copied, and how.

    Parameters
    ----------
    action
        only events of this action
    business
        only events of this location
    route
        only events with a delivery by this route
    since
        begin here, not where the last run stopped: a time, a date, or an age with its unit (2h)
    redact
        mask the texts of records
    """

    action: str | None = None
    business: int | None = None
    route: str | None = None
    since: str | None = None
    redact: bool = False

    def query(self) -> dict[str, str]:
        """Return what the API is asked for, without where to begin."""
        query = {"action": self.action, "business": self.business, "route": self.route}
        asked = {name: str(value) for name, value in query.items() if value is not None}
        return asked | ({"redact": "true"} if self.redact else {})


def listen(
    *,
    to: str,
    copied: Annotated[CopiedEvents, Parameter(name="*")] = CopiedEvents(),
    console: str | None = None,
    secret: str | None = None,
    once: bool = False,
) -> None:
    """Send copies of live events to a program on this machine, as `forward` would send them, until Ctrl-C.

    Workers and handlers notice nothing: the deliveries of the events go on as before. Each run begins where the last
    one with the same options stopped. The token is that of FRONTDESK_ADMIN_TOKEN, or with --redact that of
    FRONTDESK_VIEWER_TOKEN. The audit log records who listens.

    Parameters
    ----------
    to
        the URL that gets a POST for each event, such as http://127.0.0.1:3000/hooks
    console
        the console's URL, by default the one on this machine; elsewhere it must be https
    secret
        the secret that signs the requests (whsec_...); one is made and printed if it is not given
    once
        stop when there are no more events
    """
    read = console_access.with_running_console(generated_secrets.completed(environment.from_environ(os.environ)))
    logs.configure(read.log_level, read.log_format)
    base = console_access.api(read, console)
    target = _checked_target(to)
    signing = _signing(secret)
    asked = copied.query()
    places = _Places(read.data_dir / _FILE, f"{base} {to} {sorted(asked.items())}")
    token = console_access.own_token("listen", read, is_admin=not copied.redact)
    source = _Source(base, token, asked, copied.since, None if copied.since else places.known())
    output.say(f"Copies of events go to {plain(to)}, signed with {signing}. Ctrl-C stops it.")
    _copy(source, places, target, signing, once=once)


def _copy(source: "_Source", places: "_Places", target: str, signing: str, *, once: bool) -> None:
    """Send copies of what comes, and remember how far they went."""
    with asyncio.Runner() as runner:
        sender = Sender()
        while True:
            found, is_more = source.next()
            for shape in found:
                said = runner.run(_posted(sender, _event(shape), target, signing))
                output.say(f"{shape['received_at'][11:19]}  {shape['action']}  {shape['id']}  {said}")
            places.remember(source.cursor)
            if not is_more:
                if once:
                    return
                time.sleep(_PAUSE_S)


@dataclass(slots=True)
class _Source:
    """The console's API, asked for what comes next. A console that is away is waited for."""

    base: str
    token: str
    asked: Mapping[str, str]
    since: str | None
    cursor: str | None

    def next(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the next events, and whether there are more. Raises UsageError for what waiting does not help."""
        pause = _PAUSE_S
        while True:
            try:
                answer = self._ask()
            except StorageUnavailable as error:
                output.warn(f"{error}; waiting for it")
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            self.cursor = str(answer["cursor"])
            return list(answer["events"]), bool(answer["more"])

    def _ask(self) -> dict[str, Any]:
        query = {
            **self.asked,
            **({"cursor": self.cursor} if self.cursor else {"since": self.since} if self.since else {}),
        }
        try:
            answer = httpx2.get(
                f"{self.base}/copies",
                params=query,
                headers={"authorization": f"Bearer {self.token}"},
                timeout=_TIMEOUT_S,
                follow_redirects=False,
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise StorageUnavailable(f"the console at {self.base} does not answer: {type(error).__name__}") from None
        if answer.status_code >= 500 or answer.status_code == 429:
            raise StorageUnavailable(f"the console at {self.base} answered {answer.status_code}")
        shape = _read(answer.content)
        if answer.status_code in (401, 403) or answer.status_code != 200 or not {"events", "cursor"} <= shape.keys():
            said = plain(shape.get("detail") or "not what a console answers")[:200]
            raise UsageError(f"listen: the console at {self.base} answered {answer.status_code}: {said}")
        return shape


class _Places:
    """Remembers in the data directory how far each way of listening came."""

    def __init__(self, file: Path, what: str) -> None:
        self._file = file
        self._name = hashlib.blake2b(what.encode(), digest_size=8).hexdigest()

    def known(self) -> str | None:
        """Return where it stopped, if it is known."""
        found = self._all().get(self._name)
        return found if isinstance(found, str) else None

    def remember(self, cursor: str | None) -> None:
        """Remember a place. A folder that cannot be written costs only that."""
        places = {**self._all(), self._name: cursor}
        if self._all().get(self._name) == cursor:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial = self._file.with_suffix(".partial")
            partial.write_bytes(orjson.dumps(dict(list(places.items())[-_MOST_PLACES:])))
            partial.replace(self._file)
        except OSError as error:
            output.warn(f"{self._file}: cannot be written ({error.strerror}); the next start begins with new events")

    def _all(self) -> dict[str, Any]:
        try:
            return _read(self._file.read_bytes())
        except OSError:
            return {}


def _read(content: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content[:_LARGEST])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _checked_target(to: str) -> str:
    try:
        return http_options.checked_url(to)
    except ValueError as error:
        raise UsageError(f"--to {error}") from None


def _signing(secret: str | None) -> str:
    if secret is None:
        return f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"
    try:
        return http_options.checked_secret(secret)
    except ValueError as error:
        raise UsageError(f"--secret {error}") from None


def _event(shape: Mapping[str, Any]) -> Event:
    return Event(
        id=shape["id"],
        key=shape["id"],
        action=shape["action"],
        action_code=shape["action_code"],
        business_id=shape["business_id"],
        received_at=datetime.fromisoformat(shape["received_at"]),
        origin=shape["origin"],
        attempt=1,
        superseded=False,
        data=shape["data"] if isinstance(shape["data"], dict) else {},
    )


async def _posted(sender: Sender, event: Event, url: str, secret: str) -> str:
    """Send one event, and say how it was answered."""
    try:
        request = outgoing.made(event, url=Template(url))
        answer = await forward.post(sender, event, request, secret, RequestRoute(_TIMEOUT_S, allow_private=True))
    except NotDelivered as error:
        return f"not delivered: {error}"
    return str(answer.status)
