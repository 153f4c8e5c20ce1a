"""The Lua scripts. Each is one atomic step, such as storing a batch (keep.lua), claiming deliveries (claim.lua) or
recording results (acknowledge.lua); duplicates, limits and order are decided here. `source` returns the text that Redis
runs.

How to read them. The head of a script says what it does, its arguments and what it returns. An event has an id of 20
characters, its delivery `{id}-{n}`, the RQ job of an attempt `{id}-{n}-{serial}`. `n .. 's'` is the field s of delivery
n in the event's state `fd:d:{id}`; `storage/redis/keys.py` explains the letters and every key. `now_ms` is the server's
clock (Unix ms) when the script began. `iso` is the time as RQ writes it into its jobs. Names of keys are made in the
scripts, so only two take KEYS: there is no cluster (docs/decisions/no-cluster.md). A number that is written into a key
goes through string.format, because Lua would write a large one as 1e+14.

The first lines of a script name the files of `shared/` that it uses: `-- include: keys, time`, and after `-- on
demand:` those that few of its calls need. A shared file may include others. At each call, Redis creates every function
of a script again, for a sixth of a microsecond each. So a script gets only those declarations of shared files that it
reaches. A file on demand is one function, `open_{file}`, which also contains the functions that only it reaches. Lines
of comment are left out of what Redis gets."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_INCLUDE = "-- include: "
_ON_DEMAND = "-- on demand: "
_DECLARED = re.compile(r"local (function )?(\w+)")
_WORD = re.compile(r"\w+")


class _Item(NamedTuple):
    """A declaration of a shared file: a function, or a value."""

    name: str
    is_function: bool
    text: str


class _Part(NamedTuple):
    """A file: the names of the files that it includes and opens on demand, and its statements without comments."""

    include: tuple[str, ...]
    on_demand: tuple[str, ...]
    text: str


@cache
def source(name: str) -> str:
    """Return the script *name* with what it uses of the files that it includes before it."""
    script = _read(f"{name}.lua")
    included = _closure(script.include)
    offered = _items(included)
    inside = {one: _items(_closure(_shared(one).include, included)) for one in script.on_demand}
    wanted = set[str]().union(*(_reached(offered + inside[one], _shared(one).text) for one in script.on_demand))
    # Values stay outside: what one function on demand changes is there for the others.
    values = {item.name for item in offered if item.name in wanted and not item.is_function}
    own = _reached(offered, " ".join([script.text, *values]))
    opened = [
        _filled(one, [item for item in offered if item.name not in own] + inside[one]) for one in script.on_demand
    ]
    return "\n".join([*(item.text for item in offered if item.name in own), *opened, script.text])


@cache
def mending(name: str) -> str:
    """Return the script *name* as it is run again when it met a value that no call can use (`mending.lua`)."""
    return f"{source('mending')}\n{source(name)}"


def _closure(names: Iterable[str], there: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return *names* and the files that they include, except those that are *there* already."""
    found: list[str] = []
    for name in names:
        if name not in there and name not in found:
            found += _closure(_shared(name).include, (*there, *found))
            found.append(name)
    return tuple(found)


def _filled(name: str, offered: Sequence[_Item]) -> str:
    """Return the function in the file *name*, with what it reaches of *offered* at its beginning."""
    text = _shared(name).text
    opening = f"local function open_{name}("
    before, _, rest = text.partition(opening)
    arguments, _, body = rest.partition("\n")
    wanted = _reached(offered, text)
    inside = [item.text for item in offered if item.name in wanted]
    return "\n".join([before + opening + arguments, *inside, body])


def _items(names: Iterable[str]) -> list[_Item]:
    """Return what shared files declare at their left margin, in their order."""
    found: list[_Item] = []
    for name in names:
        for line in _shared(name).text.splitlines():
            if declared := _DECLARED.match(line):
                found.append(_Item(declared[2], bool(declared[1]), line))
            else:
                found[-1] = found[-1]._replace(text=f"{found[-1].text}\n{line}")
    return found


def _reached(items: Iterable[_Item], text: str) -> set[str]:
    """Return the names of the items that *text* uses, and that these use."""
    texts = {item.name: item.text for item in items}
    found: set[str] = set()
    new = [text]
    while new:
        named = texts.keys() & set(_WORD.findall(new.pop())) - found
        found |= named
        new += [texts[one] for one in named]
    return found


def _shared(name: str) -> _Part:
    return _read(f"shared/{name}.lua")


@cache
def _read(path: str) -> _Part:
    lines = files(__name__).joinpath(path).read_text().splitlines()
    code = "\n".join(line for line in lines if line and not line.lstrip().startswith("--"))
    return _Part(_names(lines, _INCLUDE), _names(lines, _ON_DEMAND), code)


def _names(lines: Iterable[str], head: str) -> tuple[str, ...]:
    found = (line.removeprefix(head) for line in lines if line.startswith(head))
    return tuple(name.strip() for line in found for name in line.split(","))
