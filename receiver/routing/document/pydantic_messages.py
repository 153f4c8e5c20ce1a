"""Translates pydantic's errors about routes.yaml into sentences that an operator can act on."""

from collections.abc import Mapping
from typing import Any

from receiver.core.errors import FileProblem
from receiver.routing.document import yaml_lines
from receiver.routing.document.yaml_lines import Marked

_SENTENCES = {
    "missing": "is missing",
    "model_type": "must be a mapping, like {key: value}",
    "invalid_key": "a key must be a word",
}


def problem(details: Mapping[str, Any], document: Marked, file: str) -> FileProblem:
    """Return one of pydantic's errors as a problem of the file, with its line."""
    path: yaml_lines.Path = details["loc"]
    keys = [part for part in path if isinstance(part, str) and part != "routes"]
    where = ".".join(keys) + (f"[{path[-1]}]" if keys and isinstance(path[-1], int) else "")
    if where.endswith("[0]") and path not in document.lines:
        where = where.removesuffix("[0]")  # a single value that was read as a list of one
    sentence = _SENTENCES.get(details["type"]) or details["msg"].removeprefix("Value error, ")
    if details["type"] == "too_long":
        sentence = (
            f"has {details['ctx'].get('actual_length') or 'more'} items, and may have {details['ctx']['max_length']}"
        )
    if details["type"] == "missing":
        sentence = (
            f"a {'test' if 'tests' in keys else 'route'} needs `{keys[-1]}`"
            if len(path) > 1
            else "`routes` is missing; it holds the list of routes"
        )
        where = ""
    elif len(path) == 1 and path[0] == "routes":
        where = "routes"
    elif not keys:
        where = "route"
    return FileProblem(file, document.line(path), f"{where}: {sentence}" if where else sentence)


def ordered(problems: list[FileProblem]) -> tuple[FileProblem, ...]:
    """Return each problem once, in the order of the file."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda one: one.line))
