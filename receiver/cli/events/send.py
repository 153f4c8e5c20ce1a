"""`frontdesk send`: post signed samples to a running receiver, as Nexudus does."""

import asyncio
import json as jsonlib
import os
import re
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import httpx2
import orjson
from cyclopts import Parameter

from receiver.cli.events.send_report import SendReport
from receiver.cli.ui import option_values, output, terminal
from receiver.cli.up import generated_secrets
from receiver.core import settings
from receiver.core.errors import UsageError
from receiver.core.settings import Settings
from receiver.core.suggest import nearest
from receiver.nexudus import hook_urls, payload, samples, signature

_IN_FLIGHT = 64
_MOST = 10_000_000
_TIMEOUT_S = 40.0
"""Above the 30 s that a receiver may take to say that a body is too slow."""

_ACTION = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)

Body = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to post, and how to sign."""

    url: str
    secret: str | None
    reading: signature.Reading = "dotnet-ascii"


@dataclass(frozen=True, kw_only=True)
class Load:
    """How many events.

    Parameters
    ----------
    count
        How many.
    rate
        How many per second; without it, as fast as the receiver answers.
    """

    count: int = 1
    rate: float | None = None

    def check(self) -> None:
        """Raise UsageError when that cannot be done."""
        if not 1 <= self.count <= _MOST:
            raise UsageError(f"--count {self.count}: must be between 1 and {_MOST}")
        if self.rate is not None and not 0 < self.rate <= 1e6:
            raise UsageError(f"--rate {self.rate:g}: must be above 0 and at most a million per second")


LoadOptions = Annotated[Load, Parameter(name="*")]
ONE = Load()


def send(
    action: str,
    file: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    load: LoadOptions = ONE,
    business: int = 1001,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Post signed events to a running receiver, each with its own Id, and print their status.

    Parameters
    ----------
    action
        What happens, such as BookingCreate.
    file
        A body to send unchanged instead of the sample; "-" reads standard input. With --count above 1 it must hold one
        record, which gets a new Id each time.
    business
        The location that the events come from.
    url
        The receiver's base URL; default: from FRONTDESK_HOST and FRONTDESK_PORT.
    json
        Print one JSON object.
    """
    current = generated_secrets.completed(settings.from_environ(os.environ))
    current.need("url_keys")
    load.check()
    if not 1 <= business < 10**18:
        raise UsageError(f"--business {business}: a location is a positive whole number")
    body = _sample(action) if file is None else _from_file(action, file, load.count)
    report = asyncio.run(_send_all(_target(current, url, business, action), body, load, is_quiet=json))
    if json:
        output.json_line(report.summary())
    else:
        report.tell()
    return 1 if report.refused else 0


def _sample(action: str) -> Body:
    if action not in samples.names():
        near = nearest(action, samples.names())
        hint = f"; did you mean {near}?" if near else "; give a FILE to send it anyway"
        raise UsageError(f"{action!r} is not one of Nexudus's actions{hint}")
    # Ten digits, as at Nexudus, and far enough apart that two runs do not repeat each other.
    first = secrets.randbelow(8_000_000_000)
    # In ASCII both readings of the signature are one: a sample passes, and teaches no receiver how Nexudus signs.
    return lambda number: _ascii(samples.body(action, now=datetime.now(UTC), number=first + number))


def _ascii(body: bytes) -> bytes:
    return jsonlib.dumps(orjson.loads(body), separators=(",", ":")).encode("ascii")


def _from_file(action: str, file: Path, count: int) -> Body:
    if str(file).startswith("--"):
        raise UsageError(f"{file} is not an option of send; see frontdesk send --help")
    if not _ACTION.fullmatch(action) or action == "None":
        raise UsageError(f"{action!r} cannot be an action: it has to be a word of letters and digits")
    try:
        body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    if count == 1:
        return lambda _: body
    try:
        (record,) = payload.split(body)
    except ValueError as error:
        raise UsageError(f"{file}: with --count it must hold one record: {error}") from None
    first = secrets.randbelow(8_000_000_000)
    return lambda number: orjson.dumps([record.data | {"Id": first + number}])


def _target(current: Settings, url: str | None, business: int, action: str) -> _Target:
    base = url or option_values.base_url(current.host, current.port)
    if not re.match(r"https?://[^/]", base):
        raise UsageError(f"--url {base}: must begin with http:// or https://")
    own = [each for each in current.webhook_secrets if each.business_id == business]
    usable = own or [each for each in current.webhook_secrets if each.business_id is None]
    key = current.url_keys[0].get_secret_value()
    secret = usable[0].secret.get_secret_value() if usable else None
    return _Target(hook_urls.url(base, key, business, action), secret, current.reading or "dotnet-ascii")


async def _send_all(target: _Target, body: Body, load: Load, *, is_quiet: bool) -> SendReport:
    """Post all of them, each at its time whatever became of those before: a slow receiver is not spared."""
    report = SendReport()
    limits = httpx2.Limits(max_connections=_IN_FLIGHT, max_keepalive_connections=_IN_FLIGHT)
    started = time.perf_counter()
    async with httpx2.AsyncClient(timeout=_TIMEOUT_S, limits=limits, trust_env=False) as client:
        await _send_one(client, target, body(0), report, is_first=True)
        with terminal.bar("sending", lambda: load.count, shown=load.count > 1 and not is_quiet) as advance:
            advance(1)
            places = asyncio.Semaphore(_IN_FLIGHT)
            async with asyncio.TaskGroup() as group:
                for number in range(1, load.count):
                    if load.rate is not None:
                        await asyncio.sleep(max(0.0, started + number / load.rate - time.perf_counter()))
                    await places.acquire()
                    task = group.create_task(_send_one(client, target, body(number), report))
                    task.add_done_callback(lambda _: advance(1))
                    task.add_done_callback(lambda _: places.release())
    report.lasted = time.perf_counter() - started
    return report


async def _send_one(
    client: httpx2.AsyncClient, target: _Target, body: bytes, report: SendReport, *, is_first: bool = False
) -> None:
    headers = {"Content-Type": "application/json"}
    if target.secret is not None:
        headers[signature.HEADER] = signature.sign(body, target.secret, target.reading)
    report.sent += 1
    started = time.perf_counter()
    try:
        answer = await client.post(target.url, content=body, headers=headers)
    except httpx2.HTTPError as error:
        if is_first and isinstance(error, httpx2.ConnectError):
            base = target.url.partition(hook_urls.PREFIX)[0]
            raise UsageError(f"{base}: no receiver answers; start `frontdesk serve`, or set --url") from None
        report.refused[f"no answer ({type(error).__name__})"] += 1
        return
    report.took(time.perf_counter() - started)
    events = _events(answer)
    if events is None:
        report.refused[f"{answer.status_code} {answer.reason_phrase}".strip()] += 1
        return
    report.kept(events)


def _events(answer: httpx2.Response) -> list[dict[str, str]] | None:
    """Return what a receiver says became of the events, or None for any other answer."""
    if answer.status_code != 202:
        return None
    try:
        events = [{"id": str(event["id"]), "status": str(event["status"])} for event in answer.json()["events"]]
    except (ValueError, KeyError, TypeError):
        return None
    return events
