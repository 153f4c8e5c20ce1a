"""From the text of routes.yaml to a routing table, or to everything that is wrong with it, each with its line."""

import hashlib
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from receiver.core.errors import Problem, RoutesError
from receiver.core.events import Business
from receiver.core.suggest import nearest
from receiver.routing.document import validation_messages, yaml_lines
from receiver.routing.document.shapes import (
    Defaults,
    Document,
    EnrichShape,
    ExampleShape,
    LocationShape,
    ReconcileShape,
    RouteShape,
)
from receiver.routing.document.values import NAME
from receiver.routing.document.yaml_lines import Marked
from receiver.routing.enrichment import Enrichment
from receiver.routing.flow_rules import GIVE_UP_MS, Flow
from receiver.routing.route import Example, Route
from receiver.routing.table import Reconciling, RoutingTable

MAX_BYTES = 1_048_576
"""Size of a routing file."""

_DOCUMENT_KEYS = tuple(Document.model_fields)
_DEFAULT_KEYS = tuple(Defaults.model_fields)
_LOCATION_KEYS = tuple(LocationShape.model_fields)
_RECONCILE_KEYS = tuple(ReconcileShape.model_fields)
_ROUTE_KEYS = tuple(field.alias or name for name, field in RouteShape.model_fields.items())
_ENRICH_KEYS = tuple(EnrichShape.model_fields)
_EXAMPLE_KEYS = tuple(ExampleShape.model_fields)


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
        problems.append(Problem(file, 0, f"{what}; it needs at least `routes:` and a list of routes"))
    if not isinstance(document.value, dict):
        raise RoutesError(tuple(problems))
    checked = _Check(document, file)
    value = checked.document(document.value)
    try:
        shape = Document.model_validate(value, context={"known_actions": known_actions})
    except ValidationError as error:
        problems += [
            validation_messages.problem(details, document, file) for details in error.errors(include_url=False)
        ]
        raise RoutesError(validation_messages.ordered([*problems, *checked.problems])) from None
    if problems or checked.problems:
        raise RoutesError(validation_messages.ordered([*problems, *checked.problems]))
    return _table(shape, document, text, file)


class _Check:
    """What pydantic cannot see or say: keys that do not belong, keys without a value, names that are given twice."""

    def __init__(self, document: Marked, file: str) -> None:
        self._document = document
        self._file = file
        self.problems: list[Problem] = []

    def document(self, value: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return *value* without what is reported here already."""
        tidy = self._tidy(value, (), _DOCUMENT_KEYS, "routes.yaml")
        if isinstance(tidy.get("defaults"), dict):
            tidy["defaults"] = self._tidy(tidy["defaults"], ("defaults",), _DEFAULT_KEYS, "defaults")
        if isinstance(tidy.get("locations"), dict):
            tidy["locations"] = {
                key: self._tidy(one, ("locations", key), _LOCATION_KEYS, "a location") if isinstance(one, dict) else one
                for key, one in tidy["locations"].items()
            }
        if isinstance(tidy.get("reconcile"), dict):
            tidy["reconcile"] = self._tidy(tidy["reconcile"], ("reconcile",), _RECONCILE_KEYS, "reconcile")
        if isinstance(tidy.get("queues"), list):
            self._refuse_twice(enumerate(tidy["queues"]), ("queues",))
        if isinstance(tidy.get("routes"), list):
            routes = tidy["routes"] = list(tidy["routes"])
            self._refuse_clashes([route if isinstance(route, dict) else {} for route in routes])
            for at, route in enumerate(routes):
                if isinstance(route, dict):
                    routes[at] = self._route(route, ("routes", at))
        return tidy

    def _route(self, route: Mapping[Any, Any], path: yaml_lines.Path) -> dict[str, Any]:
        tidy = self._tidy(route, path, _ROUTE_KEYS, "a route")
        if isinstance(tidy.get("tests"), list):
            tidy["tests"] = [
                self._tidy(one, (*path, "tests", at), _EXAMPLE_KEYS, "a test") if isinstance(one, dict) else one
                for at, one in enumerate(tidy["tests"])
            ]
        if isinstance(tidy.get("enrich"), dict):
            tidy["enrich"] = {
                name: self._tidy(one, (*path, "enrich", name), _ENRICH_KEYS, "an enriched record")
                if isinstance(one, dict)
                else one
                for name, one in tidy["enrich"].items()
            }
        return tidy

    def _report(self, path: yaml_lines.Path, message: str) -> None:
        self.problems.append(Problem(self._file, self._document.line(path), message))

    def _tidy(
        self, value: Mapping[Any, Any], path: yaml_lines.Path, known: tuple[str, ...], what: str
    ) -> dict[str, Any]:
        tidy: dict[str, Any] = {}
        for key, content in value.items():
            meant = key
            if key not in known:
                meant = "action" if key == "on" else nearest(str(key), known)
                self._report((*path, key), _unknown(key, meant, known, what))
            elif content is None:
                self._report((*path, key), f"{key}: is empty; give it a value, or remove the key")
            else:
                tidy[key] = content
                continue
            if meant in _PLACEHOLDERS and value.get(meant) is None:
                tidy[meant] = _PLACEHOLDERS[meant]
        return tidy

    def _refuse_twice(self, values: Iterator[tuple[int, Any]], path: yaml_lines.Path) -> None:
        seen: dict[str, int] = {}
        for at, value in values:
            if isinstance(value, str) and seen.setdefault(value, at) != at:
                self._report((*path, at), f"{value!r} stands in the list already")

    def _refuse_clashes(self, routes: list[dict[Any, Any]]) -> None:
        seen: dict[str, int] = {}
        for at, route in enumerate(routes):
            name = _name_of(route.get("name"), route.get("handler"))
            if name is None:
                continue
            if not re.fullmatch(NAME, name):
                self._report(("routes", at), "no name can be made from its handler's; give the route a `name`")
            elif name in seen:
                line = self._document.line(("routes", seen[name]))
                if "name" in route:
                    self._report(("routes", at, "name"), f"name: route {name!r} is already defined on line {line}")
                else:
                    message = f"would be called {name!r} like the route on line {line}; give this one a `name`"
                    self._report(("routes", at), message)
            else:
                seen[name] = at


_PLACEHOLDERS: dict[str, Any] = {"action": "*", "handler": "log", "routes": []}
"""What stands in for a needed key that is reported as empty or misspelt, so that it is not reported as missing too."""


def _name_of(name: object, handler: object) -> str | None:
    """Return the route's name: as given, else the handler's (of `module:function` the function's) made fit.

    None: there is neither, which is reported elsewhere.
    """
    if isinstance(name, str):
        return name if re.fullmatch(NAME, name) else None
    if name is not None or not isinstance(handler, str) or not handler:
        return None
    function = re.split(r"[:.]", handler)[-1] if ":" in handler else handler
    return re.sub(r"[^a-z0-9]+", "-", function.lower()).strip("-")[:40].strip("-")


def _unknown(key: object, meant: str | None, known: tuple[str, ...], what: str) -> str:
    if key == "on":
        return "'on' is no key here (and YAML 1.1 reads it as true); write `action`"
    hint = f"did you mean {meant!r}?" if meant else f"known keys: {', '.join(known)}"
    return f"unknown key {str(key)[:60]!r} in {what}; {hint}"


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


def _reconciling(shape: ReconcileShape) -> Reconciling:
    return Reconciling(shape.backfill, shape.window, shape.limit, shape.deletes)  # type: ignore[arg-type]  # checked


def _route(shape: RouteShape, defaults: Defaults, document: Marked, path: yaml_lines.Path) -> Route:
    return Route(
        name=str(_name_of(shape.name, shape.handler)),
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
    return RoutesError((Problem(str(path), line, message),))
