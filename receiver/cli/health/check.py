"""`check`: find what is wrong before anything runs. Made for a deployment pipeline."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated

from cyclopts import Parameter

from receiver.cli.health import alerts, handler_folders, route_warnings, sql_tables, template_check
from receiver.cli.registrar.factory import check_public_url
from receiver.cli.routes import route_tests
from receiver.cli.ui import output
from receiver.core import outbound, settings
from receiver.core.errors import FileProblem, FrontdeskError, HandlerError, RoutesError, SettingsError
from receiver.core.settings import Settings
from receiver.nexudus.api import call_limits
from receiver.nexudus.api.client import Client
from receiver.nexudus.api.credentials import credentials
from receiver.nexudus.api.webhooks import Webhooks
from receiver.nexudus.records.record import kind_of
from receiver.observation import unsigned
from receiver.process import logs
from receiver.registrar.hooks_at_nexudus import Planner
from receiver.registrar.ownership import Ownership
from receiver.routing.loading import read_table
from receiver.routing.table import RoutingTable
from receiver.storage.redis import connection, preflight, redis_url
from receiver.storage.spool import folder_check
from workers.nexudus.nexudus_transport import NexudusTransport
from workers.plugins import handler_lookup, route_handler

ENVIRONMENT = "environment"
"""The `file` of a problem with a setting."""

_SHORT_KEY = 16


def check(
    *,
    online: bool = False,
    create_tables: bool = False,
    json: Annotated[bool, Parameter(help="print one object")] = False,
) -> int:
    """Check settings, routes and handlers, and exit 1 if anything is wrong. It changes nothing and uses no network.

    It tests the spool folder with a file that it removes again.

    Parameters
    ----------
    online
        also check that Redis is set up as it must be, that Nexudus lets us sign in, that the locations exist, and
        that the tables of routes with the handler sql are there and fit
    create_tables
        make the tables of routes with the handler sql that are not there
    """
    read, problems = _settings(os.environ)
    logs.configure(read.log_level, read.log_format)
    warnings = [*_weak_settings(read), *outbound.problems()]
    warnings += handler_lookup.shadowed(read.routes.absolute().parent)
    table = None
    problems += _public_url(read)
    problems += _alert_urls(read)
    for found in _spool(read):
        problems.append(found) if isinstance(found, FileProblem) else warnings.append(found)
    try:
        table = read_table(read.routes)
    except RoutesError as error:
        problems += error.problems
    else:
        for found in _routes(table, read, tables=online or create_tables, create=create_tables):
            problems.append(found) if isinstance(found, FileProblem) else warnings.append(found)
    warnings[:0] = unsigned.warnings(read.webhook_secrets, table)
    for found in _online(read, table) if online else ():
        problems.append(found) if isinstance(found, FileProblem) else warnings.append(found)
    _report(problems, warnings, json=json)
    return 1 if problems else 0


def _routes(table: RoutingTable, read: Settings, *, tables: bool, create: bool) -> Iterator[FileProblem | str]:
    yield from _handlers(table, read, tables=tables, create=create)
    yield from route_tests.problems(table, read.routes.resolve().parent, read.max_body)
    yield from route_warnings.strays(table)
    yield from route_warnings.crowded(table)
    yield from route_warnings.untimely(table)


def _online(read: Settings, table: RoutingTable | None) -> Iterator[FileProblem | str]:
    yield from _store(read)
    yield from _nexudus(read, table)
    if not _signs_in(read):
        yield "Nexudus was not checked: no credentials are set (FRONTDESK_NEXUDUS_USERNAME or _TOKEN)"


def _settings(environ: Mapping[str, str]) -> tuple[Settings, list[FileProblem]]:
    """Return the settings without those that are wrong, and a problem for each of these.

    Reading stops at the first wrong one and names it; so it is taken away, and the rest is read again.
    """
    rest, problems = dict(environ), list[FileProblem]()
    while True:
        try:
            read = settings.from_environ(rest)
            if read.redis_url:
                redis_url.parse(read.redis_url.get_secret_value())
        except SettingsError as error:
            problems.append(FileProblem(ENVIRONMENT, 0, str(error)))
            named = re.match(rf"{settings.PREFIX}\w+", str(error))
            wrong = {named[0], f"{named[0]}_FILE"} & rest.keys() if named else set[str]()
            if not wrong:
                return settings.from_environ({}), problems
            rest = {name: value for name, value in rest.items() if name not in wrong}
        else:
            return read, problems


def _weak_settings(read: Settings) -> Iterator[str]:
    for number, key in enumerate(read.url_keys, 1):
        if len(key.get_secret_value()) < _SHORT_KEY:
            which = f"key {number} of FRONTDESK_URL_KEYS" if len(read.url_keys) > 1 else "FRONTDESK_URL_KEYS"
            yield f"{which} has less than {_SHORT_KEY} characters; `openssl rand -hex 32` makes one that nobody guesses"


def _public_url(read: Settings) -> Iterator[FileProblem]:
    try:
        if read.public_url:
            check_public_url(read.public_url)
    except SettingsError as error:
        yield FileProblem(ENVIRONMENT, 0, str(error))


def _alert_urls(read: Settings) -> Iterator[FileProblem]:
    """Say which URL for alerts is none; that its service takes a message is told by `frontdesk alerts --test`."""
    try:
        alerts.outgoing(read)
    except SettingsError as error:
        yield FileProblem(ENVIRONMENT, 0, str(error))


def _spool(read: Settings) -> Iterator[FileProblem | str]:
    """Try the folder that a receiver spools in; that it cannot be made here is a warning, where it is not there yet."""
    if reason := folder_check.problem(read.data_dir, read.spool_max):
        sentence = (
            f"FRONTDESK_DATA_DIR: nothing can be spooled in {str(read.data_dir)!r} while the store is away: {reason}"
        )
        yield FileProblem(ENVIRONMENT, 0, sentence) if read.data_dir.exists() else sentence


def _handlers(table: RoutingTable, read: Settings, *, tables: bool, create: bool) -> Iterator[FileProblem | str]:
    """Load the handler of each enabled route, as a worker would: it is there, takes its options, and they are set.

    With *tables*, also looks at those of the handler sql, and makes them to *create* them. Yields problems, and
    warnings as text.
    """
    folder, state = read.routes.resolve().parent, NexudusTransport(read)
    for route in table.routes:
        if not route.enabled:
            continue
        try:
            with contextlib.redirect_stdout(
                sys.stderr
            ):  # what a plugin prints when it is imported is no answer of ours
                handler = route_handler.load(route, environ=os.environ, folder=folder, transport=state)
        except HandlerError as error:
            line = route.option_lines.get(error.option or "", route.handler_line)
            yield FileProblem(table.file, line, f"route {route.name!r}: {error}")
        else:
            yield from (
                f"{table.file}:{route.option_lines.get(option, route.handler_line)}: route {route.name!r}: {sentence}"
                for option, path in handler.paths.items()
                for sentence in handler_folders.warnings({option: path})
            )
            yield from template_check.warnings(table, route, handler)
            if tables:
                yield from sql_tables.problems(table, route, handler, create=create)
            yield from route_warnings.other_records(table, route, kind_of(handler.record))


def _store(read: Settings) -> Iterator[FileProblem | str]:
    """Say what the server is not but must be; what it does not tell, as managed ones, is a warning."""
    url = connection.url_of(read)
    try:
        with connection.connect(url) as client:
            fitness = preflight.look(client)
    except FrontdeskError as error:
        yield FileProblem(ENVIRONMENT, 0, str(error))
    else:
        yield from (FileProblem(f"{redis_url.parse(url)}", 0, sentence) for sentence in fitness.wrong)
        yield from (f"{redis_url.parse(url)}: {sentence}" for sentence in fitness.unknown)


def _signs_in(read: Settings) -> bool:
    return bool(read.nexudus_token or read.nexudus_username or read.nexudus_password)


def _nexudus(read: Settings, table: RoutingTable | None) -> list[FileProblem]:
    """Sign in, and read what `plan` reads: the locations, the actions, the list of webhooks."""
    if not _signs_in(read):
        return []
    try:
        who = credentials(read, "check")
        limit = call_limits.local(read)
        with Client(read.nexudus_url, who, limit) as client:
            webhooks = Webhooks(client)
            webhooks.list()
            if table is not None:
                Planner(webhooks, Ownership(None, ()), "all").wanted(table)
    except RoutesError as error:
        return list(error.problems)
    except FrontdeskError as error:
        return [FileProblem(ENVIRONMENT, 0, str(error))]
    return []


def _report(problems: list[FileProblem], warnings: list[str], *, json: bool) -> None:
    if json:
        shown = [{"file": each.file, "line": each.line, "message": each.message} for each in problems]
        output.json_line({"ok": not problems, "problems": shown, "warnings": warnings})
        return
    for warning in warnings:
        output.warn(f"warning: {warning}")
    for problem in problems:
        output.warn(str(problem))
    output.say("Nothing is wrong." if not problems else f"{len(problems)} problem{'s' * (len(problems) > 1)}.")
