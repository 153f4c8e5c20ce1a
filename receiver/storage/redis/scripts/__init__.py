"""The Lua scripts: each is one atomic step of a delivery's life. `source` returns the text that Redis runs.

Redis makes every function of a script anew at each call, for a sixth of a microsecond each. So a script gets what it
uses of what scripts share, and nothing else; and what few calls need is made inside a function that only those call.
"""

import re
from functools import cache
from importlib.resources import files

_SHARED = ("prelude", "order", "flow", "leftovers", "lanes", "gates", "targets")
"""What scripts share, in an order in which everything stands behind what it uses."""

_SELDOM = {"open_gates", "open_lanes", "open_leftovers", "open_targets"}
"""The functions that few calls need. What only they use is made inside them."""

_NAMES = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)


@cache
def source(name: str) -> str:
    """Return the script *name* with what it uses in front of it."""
    text = (files(__name__) / f"{name}.lua").read_text()
    always = _used(text, [one for one in _statements() if not _declared(one) & _SELDOM])
    seldom = [one for one in _statements() if _declared(one) & _SELDOM & _words(text)]
    return "\n".join([*always, *(_filled(one, always) for one in seldom), text])


@cache
def _statements() -> tuple[str, ...]:
    """What is shared, one statement after another: each begins at the left margin, and no comment is left."""
    statements: list[list[str]] = []
    for part in _SHARED:
        for line in (files(__name__) / f"{part}.lua").read_text().splitlines():
            if line.startswith("local "):
                statements.append([])
            if line and not line.lstrip().startswith("--"):
                statements[-1].append(line)
    return tuple("\n".join(lines) for lines in statements)


def _used(text: str, statements: list[str]) -> list[str]:
    """Return those of *statements* that *text* uses, and what these use, in their order."""
    used: list[str] = []
    for statement in reversed(statements):
        if _declared(statement) & _words(text):
            text = f"{statement}\n{text}"
            used.insert(0, statement)
    return used


def _filled(function: str, there: list[str]) -> str:
    """Return a function with what it uses at its head, as far as it is not *there* already."""
    missing = [one for one in _used(function, list(_statements())) if one not in there and one != function]
    first, _, rest = function.partition("\n")
    return "\n".join([first, *missing, rest])


def _declared(statement: str) -> set[str]:
    return {name.strip() for names in _NAMES.findall(statement) for name in names.split(",")}


def _words(text: str) -> set[str]:
    return {word for line in text.splitlines() if not line.startswith("--") for word in re.findall(r"\w+", line)}
