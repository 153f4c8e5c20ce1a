"""`check`: everything that can be known to be wrong before anything runs. Made for a deployment pipeline."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated

from cyclopts import Parameter

from receiver.cli.health import alert_setup, handler_folders, unsigned
from receiver.cli.registrar.factory import check_public_url
from receiver.cli.routes import route_tests
from receiver.cli.ui import output
from receiver.core import outbound, settings
from receiver.core.errors import FrontdeskError, HandlerError, Problem, RoutesError, SettingsError
from receiver.core.settings import Settings
from receiver.nexudus import budget
from receiver.nexudus.actions import CODES, NAMES, entity_kind
from receiver.nexudus.client import Client
from receiver.nexudus.credentials import credentials
from receiver.nexudus.records.record import kind_of
from receiver.nexudus.webhooks import Webhooks
from receiver.process import logs
from receiver.registrar.ownership import Ownership
from receiver.registrar.planner import Survey
from receiver.routing import file
from receiver.routing.document import MAX_ROUTES
from receiver.routing.table import Route, RoutingTable, matches
from receiver.storage.model import keep_script
from receiver.storage.redis import connection, preflight, redis_url
from receiver.storage.spool import folder_test
from workers.nexudus.nexudus_transport import Switchboard
from workers.plugins import imports, loader
from workers.plugins.injection import Grant

ENVIRONMENT = "environment"
"""The `file` of a problem with a setting."""

_SHORT_KEY = 16
_MOST_NAMED = 3


def check(*, online: bool = False, json: Annotated[bool, Parameter(help="print one object")] = False) -> int:
    """Check settings, routes and handlers; exit 1 if anything is wrong. Nothing is changed, and no network is used;
    the folder for spools is tried with a file that is taken away again.

    Parameters
    ----------
    online
        also ask Redis whether it is what it must be, and Nexudus whether we may sign in and the locations are right
    """
    read, problems = _settings(os.environ)
    logs.configure(read.log_level, read.log_format)
    warnings = [*_weak_settings(read), *outbound.problems()]
    warnings += imports.shadowed(read.routes.absolute().parent)
    table = None
    problems += _public_url(read)
    problems += _alert_urls(read)
    for found in _spool(read):
        problems.append(found) if isinstance(found, Problem) else warnings.append(found)
    try:
        table = file.read(read.routes, known_actions=CODES)
    except RoutesError as error:
        problems += error.problems
    else:
        for found in _handlers(table, read):
            problems.append(found) if isinstance(found, Problem) else warnings.append(found)
        problems += route_tests.problems(table, read.routes.resolve().parent, read.max_body)
        warnings += _strays(table)
        warnings += _crowded(table)
    warnings[:0] = unsigned.warnings(read.webhook_secrets, table)
    if online:
        for found in _store(read):
            problems.append(found) if isinstance(found, Problem) else warnings.append(found)
        problems += _nexudus(read, table)
        if not _signs_in(read):
            warnings.append("Nexudus was not asked: no credentials are set (FRONTDESK_NEXUDUS_USERNAME or _TOKEN)")
    _report(problems, warnings, json=json)
    return 1 if problems else 0


def _settings(environ: Mapping[str, str]) -> tuple[Settings, list[Problem]]:
    """Return the settings without those that are wrong, and a problem for each of these.

    Reading stops at the first wrong one and names it; so it is taken away, and the rest is read again.
    """
    rest, problems = dict(environ), list[Problem]()
    while True:
        try:
            read = settings.from_environ(rest)
            if read.redis_url:
                redis_url.parse(read.redis_url.get_secret_value())
        except SettingsError as error:
            problems.append(Problem(ENVIRONMENT, 0, str(error)))
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


def _public_url(read: Settings) -> Iterator[Problem]:
    try:
        if read.public_url:
            check_public_url(read.public_url)
    except SettingsError as error:
        yield Problem(ENVIRONMENT, 0, str(error))


def _alert_urls(read: Settings) -> Iterator[Problem]:
    """Say which URL for alerts is none; that its service takes a message is told by `frontdesk alerts --test`."""
    try:
        alert_setup.outgoing(read)
    except SettingsError as error:
        yield Problem(ENVIRONMENT, 0, str(error))


def _spool(read: Settings) -> Iterator[Problem | str]:
    """Try the folder that a receiver spools in; that it cannot be made here is a warning, where it is not there yet."""
    if reason := folder_test.problem(read.data_dir, read.spool_max):
        sentence = (
            f"FRONTDESK_DATA_DIR: nothing can be spooled in {str(read.data_dir)!r} while the store is away: {reason}"
        )
        yield Problem(ENVIRONMENT, 0, sentence) if read.data_dir.exists() else sentence


def _handlers(table: RoutingTable, read: Settings) -> Iterator[Problem | str]:
    """Load the handler of each enabled route, as a worker would: it is there, takes its options, and they are set.

    Yields problems, and warnings as text.
    """
    folder, board = read.routes.resolve().parent, Switchboard(read)
    for route in table.routes:
        if not route.enabled:
            continue
        try:
            with contextlib.redirect_stdout(
                sys.stderr
            ):  # what a plugin prints when it is imported is no answer of ours
                grant = Grant(board, route.writes, route.timeout_ms / 1_000)
                handler = loader.load(route.handler, route.options, environ=os.environ, folder=folder, grant=grant)
        except HandlerError as error:
            line = route.option_lines.get(error.option or "", route.handler_line)
            yield Problem(table.file, line, f"route {route.name!r}: {error}")
        else:
            yield from (
                f"{table.file}:{route.option_lines.get(option, route.handler_line)}: route {route.name!r}: {sentence}"
                for option, path in handler.paths.items()
                for sentence in handler_folders.warnings({option: path})
            )
            yield from _other_records(table, route, kind_of(handler.record))


def _other_records(table: RoutingTable, route: Route, kind: str | None) -> Iterator[str]:
    """Yield a warning when actions of the route carry another kind of record than its handler takes."""
    if kind is None:
        return
    wanted = [name for name in NAMES if matches(route.actions, name)]
    others = [f"{name} carries a {entity_kind(name)}" for name in wanted if entity_kind(name) != kind]
    if others:
        more = f", and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        yield (
            f"{table.file}:{route.handler_line}: route {route.name!r}: its handler takes Event[{kind}], but as far as "
            f"is known {', '.join(others[:_MOST_NAMED])}{more}"
        )


def _strays(table: RoutingTable) -> Iterator[str]:
    if table.businesses == "all":
        return
    for route in table.routes:
        strays = sorted((route.businesses or frozenset()) - set(table.businesses))
        if route.enabled and strays:
            yield (
                f"{table.file}:{route.line}: route {route.name!r} wants business {', '.join(map(str, strays))}, which "
                "`businesses` does not list: nobody registers webhooks there"
            )


def _crowded(table: RoutingTable) -> Iterator[str]:
    """Yield a warning for each action that more routes want than one call to the store can serve."""
    enabled = [route for route in table.routes if route.enabled]
    costs = [keep_script.delivery_us(waits=bool(route.flow and route.flow.has_terms)) for route in enabled]
    if sum(costs) <= keep_script.LONGEST_CALL_US:
        return
    for name in NAMES:
        wanted = [cost for route, cost in zip(enabled, costs, strict=True) if matches(route.actions, name)]
        if sum(wanted) > keep_script.LONGEST_CALL_US:
            plain, waiting = (
                keep_script.LONGEST_CALL_US // keep_script.delivery_us(waits=waits) for waits in (False, True)
            )
            yield (
                f"{table.file}: {len(wanted)} routes want {name}; the store makes {plain} deliveries of an event in "
                f"one call ({waiting} where routes wait for an order, a delay or a limit), and more of them in further "
                f"calls, up to the {MAX_ROUTES} routes that a table may have"
            )


def _store(read: Settings) -> Iterator[Problem | str]:
    """Say what the server is not but must be; what it does not tell, as managed ones, is a warning."""
    url = connection.url_of(read)
    try:
        with connection.connect(url) as client:
            fitness = preflight.look(client)
    except FrontdeskError as error:
        yield Problem(ENVIRONMENT, 0, str(error))
    else:
        yield from (Problem(f"{redis_url.parse(url)}", 0, sentence) for sentence in fitness.wrong)
        yield from (f"{redis_url.parse(url)}: {sentence}" for sentence in fitness.unknown)


def _signs_in(read: Settings) -> bool:
    return bool(read.nexudus_token or read.nexudus_username or read.nexudus_password)


def _nexudus(read: Settings, table: RoutingTable | None) -> list[Problem]:
    """Sign in, and read what `plan` reads: the locations, the actions, the list of webhooks."""
    if not _signs_in(read):
        return []
    try:
        who = credentials(read, "check")
        limit = budget.local(read)
        with Client(read.nexudus_url, who, limit) as client:
            webhooks = Webhooks(client)
            webhooks.list()
            if table is not None:
                Survey(webhooks, Ownership(None, ()), "all").wanted(table)
    except RoutesError as error:
        return list(error.problems)
    except FrontdeskError as error:
        return [Problem(ENVIRONMENT, 0, str(error))]
    return []


def _report(problems: list[Problem], warnings: list[str], *, json: bool) -> None:
    if json:
        shown = [{"file": each.file, "line": each.line, "message": each.message} for each in problems]
        output.json_line({"ok": not problems, "problems": shown, "warnings": warnings})
        return
    for warning in warnings:
        output.warn(f"warning: {warning}")
    for problem in problems:
        output.warn(str(problem))
    output.say("Nothing is wrong." if not problems else f"{len(problems)} problem{'s' * (len(problems) > 1)}.")
