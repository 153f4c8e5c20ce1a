"""What pydantic cannot see or say of the keys of routes.yaml: unknown keys, empty ones, names that are given twice.

A handler's own options, below `with:`, are checked in `workers/plugins/option_types.py`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from receiver.core.errors import FileProblem
from receiver.core.suggest import nearest
from receiver.routing.document import yaml_lines
from receiver.routing.document.shapes import (
    Defaults,
    Document,
    EnrichShape,
    ExampleShape,
    LocationShape,
    ReconcileShape,
    RouteShape,
    keys_of,
)
from receiver.routing.document.values import NAME
from receiver.routing.document.yaml_lines import Marked


class KeyChecks:
    """What pydantic cannot see or say: keys that do not belong, keys without a value, names that are given twice."""

    def __init__(self, document: Marked, file: str) -> None:
        self._document = document
        self._file = file
        self.problems: list[FileProblem] = []

    def document(self, value: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return *value* without what is reported here already."""
        tidy = self._tidy(value, (), Document, "routes.yaml")
        if isinstance(tidy.get("defaults"), dict):
            tidy["defaults"] = self._tidy(tidy["defaults"], ("defaults",), Defaults, "defaults")
        if isinstance(tidy.get("locations"), dict):
            tidy["locations"] = {
                key: self._tidy(one, ("locations", key), LocationShape, "a location") if isinstance(one, dict) else one
                for key, one in tidy["locations"].items()
            }
        if isinstance(tidy.get("reconcile"), dict):
            tidy["reconcile"] = self._tidy(tidy["reconcile"], ("reconcile",), ReconcileShape, "reconcile")
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
        tidy = self._tidy(route, path, RouteShape, "a route")
        if isinstance(tidy.get("tests"), list):
            tidy["tests"] = [
                self._tidy(one, (*path, "tests", at), ExampleShape, "a test") if isinstance(one, dict) else one
                for at, one in enumerate(tidy["tests"])
            ]
        if isinstance(tidy.get("enrich"), dict):
            tidy["enrich"] = {
                name: self._tidy(one, (*path, "enrich", name), EnrichShape, "an enriched record")
                if isinstance(one, dict)
                else one
                for name, one in tidy["enrich"].items()
            }
        return tidy

    def _report(self, path: yaml_lines.Path, message: str) -> None:
        self.problems.append(FileProblem(self._file, self._document.line(path), message))

    def _tidy(
        self, value: Mapping[Any, Any], path: yaml_lines.Path, shape: type[BaseModel], what: str
    ) -> dict[str, Any]:
        known, tidy = keys_of(shape), dict[str, Any]()
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
            name = name_of(route.get("name"), route.get("handler"))
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


def name_of(name: object, handler: object) -> str | None:
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
