"""`frontdesk recipes`: routes to copy, each a file of the package that tests run."""

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any

import cyclopts

from receiver.cli.context import Context
from receiver.cli.ui import output
from receiver.core.errors import RoutesError, UsageError
from receiver.core.suggest import hint
from receiver.nexudus import actions
from receiver.routing import file as routes_file
from receiver.routing.document import yaml_lines

_REFERENCE = re.compile(r"\benv/([A-Za-z_][A-Za-z0-9_]*)")


def recipes(
    name: Annotated[str | None, cyclopts.Parameter(show_default=False)] = None,
    /,
    *,
    append: bool = False,
    json: Annotated[bool, cyclopts.Parameter(help="print one object per line")] = False,
) -> int:
    """List routes to copy; with a name, print that one.

    Parameters
    ----------
    name
        A recipe.
    append
        Add it to routes.yaml. The rest of the file stays as it is.
    """
    if name is None:
        if append:
            raise UsageError("recipes: --append needs the name of a recipe")
        for each in names():
            _list(each, json=json)
        return 0
    text = read(name)
    if append:
        _append(name, text, Context().settings.routes)
    elif json:
        output.json_line(_shown(name) | {"text": text})
    else:
        print(text, end="")
    return 0


def names() -> tuple[str, ...]:
    """Return the names of all recipes, sorted."""
    return tuple(sorted(one.name.removesuffix(".yaml") for one in _folder() if one.name.endswith(".yaml")))


def read(name: str) -> str:
    """Return a recipe: comments, and a list of routes. Raises UsageError for a name that is none."""
    if name not in names():
        raise UsageError(f"recipes: there is no recipe {output.plain(name)[:60]!r}{hint(name, names())}")
    return resources.files("receiver").joinpath("recipes", f"{name}.yaml").read_text(encoding="utf-8")


def added(text: str, recipe: str, *, file: str) -> str:
    """Return the routes.yaml *text* with the routes of *recipe* behind its own. Raises UsageError and RoutesError."""
    document = yaml_lines.read(text, file=file)
    if document.problems:
        raise RoutesError(tuple(document.problems))
    known = document.value if isinstance(document.value, dict) else {}
    routes = known.get("routes")
    if "routes" not in known:
        whole = f"{text.rstrip()}\n\nroutes:\n{_indented(recipe, 2)}".lstrip()
    elif isinstance(routes, list) and routes and (indent := _indent(text, document)) is not None:
        lines = text.splitlines()
        end = _end(lines, document.line(("routes", len(routes) - 1)))
        whole = "\n".join([*lines[:end], "", _indented(recipe, indent).rstrip(), *lines[end:]]) + "\n"
    else:
        raise UsageError(f"recipes: the routes of {file} are not a list with a line for each; write `- name:` lines")
    routes_file.parse(whole, file=file, known_actions=actions.NAMES)
    return whole


def _indent(text: str, document: yaml_lines.Marked) -> int | None:
    """Return how far the dashes of the routes stand from the left; None: the list is written in brackets."""
    line = text.splitlines()[document.line(("routes", 0)) - 1]
    found = re.match(r"( *)- ", line)
    return len(found[1]) if found else None


def _end(lines: list[str], last: int) -> int:
    """Return behind which line the list of routes ends, of which the last route begins at line *last*."""
    end = last
    for number, line in enumerate(lines[last:], last + 1):
        if line.strip() and not line.startswith((" ", "\t", "- ", "#")):
            break
        if line.strip() and not line.startswith("#"):
            end = number
    return end


def _indented(recipe: str, spaces: int) -> str:
    return "".join(f"{' ' * spaces}{line}" if line.strip() else line for line in recipe.splitlines(keepends=True))


def _append(name: str, recipe: str, path: Path) -> None:
    text = routes_file.read_text(path) if path.exists() else ""
    _write(path, added(text, recipe, file=str(path)))
    output.say(f"added {name} to {output.plain(path)}")
    missing = [each for each in _shown(name)["environment"] if not os.environ.get(each)]
    if missing:
        output.say(f"set {', '.join(missing)} in the environment of the workers")
    output.say("then: frontdesk check")


def _write(path: Path, text: str) -> None:
    """Replace a file whole: a process that reads it meanwhile sees the old one or the new one."""
    target = path.resolve()
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, delete=False) as file:
            file.write(text)
        Path(file.name).chmod(mode)
        Path(file.name).replace(target)
    except OSError as error:
        raise UsageError(f"recipes: {output.plain(path)} cannot be written: {error.strerror}") from None


def _list(name: str, *, json: bool) -> None:
    shown = _shown(name)
    if json:
        output.json_line(shown)
    else:
        output.say(f"{name:32}{shown['title']}")


def _shown(name: str) -> dict[str, Any]:
    text = read(name)
    return {
        "name": name,
        "title": text.partition("\n")[0].lstrip("# "),
        "environment": list(dict.fromkeys(_REFERENCE.findall(text))),
    }


def _folder() -> Iterator[Traversable]:
    return resources.files("receiver").joinpath("recipes").iterdir()
