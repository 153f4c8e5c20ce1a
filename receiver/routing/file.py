"""From the text of routes.yaml to a routing table, or to everything that is wrong with it, each with its line."""

import hashlib
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from receiver.core.errors import FileProblem, RoutesError
from receiver.core.events import Business
from receiver.routing.document import pydantic_messages, yaml_lines
from receiver.routing.document.key_checks import KeyChecks, name_of
from receiver.routing.document.shapes import Defaults, Document, LocationShape, ReconcileShape, RouteShape
from receiver.routing.document.yaml_lines import Marked
from receiver.routing.enrichment import Enrichment
from receiver.routing.flow_rules import GIVE_UP_MS, Flow
from receiver.routing.route import Example, Route
from receiver.routing.table import BackfillSettings, RoutingTable

MAX_BYTES = 1_048_576
"""Size of a routing file."""


def read(path: Path, *, known_actions: Collection[str]) -> RoutingTable:
    """Read the file at *path*. Raises RoutesError with every problem, also when the file cannot be read."""
    return parse(read_text(path), file=str(path), known_actions=known_actions)


def read_text(path: Path, *, most: int = MAX_BYTES) -> str:
    """Return the text of the file at *path*, UTF-8 and of *most* bytes. Raises RoutesError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _one(path, 0, "is not a file")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise _one(path, 0, f"cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise _one(path, 0, "cannot be read: there is a null character in its name") from None
    if len(content) > most:
        raise _one(path, 0, f"is larger than {most} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _one(path, line, "is not UTF-8 from here on; save the file as UTF-8") from None


def parse(text: str, *, file: str, known_actions: Collection[str]) -> RoutingTable:
    """Make the table that *text* describes. Raises RoutesError with every problem; *file* is for the messages only.

    *known_actions* are the names that Nexudus documents; a route that names another one is wrong.
    """
    document = yaml_lines.read(text, file=file)
    problems = list(document.problems)
    if not problems and not isinstance(document.value, dict):
        what = "is empty" if document.value is None else "does not begin with keys"
        problems.append(FileProblem(file, 0, f"{what}; it needs at least `routes:` and a list of routes"))
    if not isinstance(document.value, dict):
        raise RoutesError(tuple(problems))
    checked = KeyChecks(document, file)
    value = checked.document(document.value)
    try:
        shape = Document.model_validate(value, context={"known_actions": known_actions})
    except ValidationError as error:
        problems += [pydantic_messages.problem(details, document, file) for details in error.errors(include_url=False)]
        raise RoutesError(pydantic_messages.ordered([*problems, *checked.problems])) from None
    if problems or checked.problems:
        raise RoutesError(pydantic_messages.ordered([*problems, *checked.problems]))
    return _table(shape, document, text, file)


def _table(shape: Document, document: Marked, text: str, file: str) -> RoutingTable:
    routes = tuple(_route(route, shape.defaults, document, ("routes", at)) for at, route in enumerate(shape.routes))
    queues = dict.fromkeys([*shape.queues, *(route.queue for route in routes)])
    return RoutingTable(
        routes=routes,
        queues=tuple(queues) or (shape.defaults.queue,),
        businesses=shape.businesses or "all",
        hash=hashlib.sha256(text.encode()).hexdigest()[:16],
        text=text,
        file=file,
        default_business=Business("", shape.defaults.time_zone, shape.defaults.currency),
        locations={number: _business(one, shape.defaults) for number, one in shape.locations.items()},
        reconcile=_reconciling(shape.reconcile),
    )


def _business(shape: LocationShape, defaults: Defaults) -> Business:
    return Business(shape.name, shape.time_zone or defaults.time_zone, shape.currency or defaults.currency)


def _reconciling(shape: ReconcileShape) -> BackfillSettings:
    return BackfillSettings(shape.backfill, shape.window, shape.limit, shape.deletes)  # type: ignore[arg-type]  # checked


def _route(shape: RouteShape, defaults: Defaults, document: Marked, path: yaml_lines.Path) -> Route:
    return Route(
        name=str(name_of(shape.name, shape.handler)),
        actions=tuple(dict.fromkeys(shape.action)),
        businesses=None if shape.business is None else frozenset(shape.business),
        where=shape.where,
        enrich=tuple(Enrichment(name, one.kind, one.id) for name, one in shape.enrich.items()),
        handler=shape.handler,
        options=shape.options,
        queue=shape.queue or defaults.queue,
        timeout_ms=defaults.timeout if shape.timeout is None else shape.timeout,
        retry_ms=defaults.retry if shape.retry is None else shape.retry,
        enabled=shape.enabled,
        confirms_replay=shape.replay == "confirm",
        shadow=shape.shadow,
        writes=shape.nexudus == "write",
        backfill=shape.backfill,  # type: ignore[arg-type]  # checked
        max_age_ms=shape.max_age or 0,
        flow=_flow(shape),
        tests=tuple(
            Example(one.record, one.action, one.business, one.match, document.line((*path, "tests", at)))
            for at, one in enumerate(shape.tests)
        ),
        line=document.line(path),
        handler_line=document.line((*path, "handler")),
        option_lines=dict(_option_lines(shape.options, document, (*path, "with")))
        | {f"enrich.{name}": document.line((*path, "enrich", name)) for name in shape.enrich},
    )


def _option_lines(value: Any, document: Marked, path: yaml_lines.Path, name: str = "") -> Iterator[tuple[str, int]]:
    """Yield the line of each option and of each value within it, by its path: `body.customer.name`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        below = f"{name}.{key}".lstrip(".")
        yield below, document.line((*path, key))
        yield from _option_lines(one, document, (*path, key), below)


def _flow(shape: RouteShape) -> Flow | None:
    """Return what makes the route's deliveries wait; None, which is what most routes say, for nothing."""
    flow = Flow(
        order=shape.order,
        debounce_ms=shape.debounce or 0,
        delay_ms=shape.delay or 0,
        limit=shape.limit,
        concurrency=shape.concurrency or 0,
        per=shape.per,
        give_up_ms=shape.give_up or GIVE_UP_MS,
        at=shape.at,
        cancelled_by=tuple(dict.fromkeys(shape.cancelled_by or ())),
    )
    return None if flow == Flow() else flow


def _one(path: Path, line: int, message: str) -> RoutesError:
    return RoutesError((FileProblem(str(path), line, message),))
