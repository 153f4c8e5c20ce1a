"""What commands print: tables for people, JSON for programs. Text from payloads can do nothing to a terminal."""

import codecs
import json
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from receiver.core import sanitize

_WHOLE = frozenset({"id", "at", "received", "business", "hook", "status", "state"})
"""Headings of columns that are never cut."""

_USUAL_WIDTH = 80
_LAST_WIDTH = 20
_LEAST_WIDTH = 6
_GAP = 2

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")

# JSON escapes the first 32 by itself; the rest of the controls it leaves as they are.
_JSON_CONTROLS = {code: f"\\u{code:04x}" for code in sanitize.ESCAPES if code >= 0x7F}


def _json_text(value: Mapping[str, Any], option: int) -> str:
    try:
        text = orjson.dumps(value, default=str, option=option).decode()
    except TypeError:  # a path that is not UTF-8
        text = orjson.dumps(sanitize.encodable(value), option=option).decode()
    text = text.translate(_JSON_CONTROLS)
    if text.isascii() or codecs.lookup(sys.stdout.encoding or "utf-8").name.startswith("utf"):
        return text
    return _BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)


def plain(value: object) -> str:
    """Return *value* as text with every control character escaped: no escape sequence reaches the terminal."""
    return sanitize.plain(value)


def json_line(value: Mapping[str, Any]) -> None:
    """Print one object on one line of standard output."""
    print(_json_text(value, 0), flush=True)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table that fits the terminal; cells are shown as they are, without markup.

    What does not fit is cut, in the widest column first, but never an id or a time: an id is there to be copied. Where
    there is no terminal nothing is cut, so that it can be searched.
    """
    cells = [[cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row] for row in rows]
    shown = Table(title=title, box=None, header_style="bold", pad_edge=False, expand=True)
    widths = [max(len(heading), *(row[at].cell_len for row in cells), 0) for at, heading in enumerate(headings)]
    whole = max(_USUAL_WIDTH, sum(widths) + _GAP * (len(widths) - 1))
    available = shutil.get_terminal_size((whole, 24)).columns
    fitted = _fitted(headings, widths, available)
    # Where not even the ids have room, the terminal breaks the lines: an id that is cut is of no use.
    last = fitted[-1] if headings[-1] in _WHOLE else 1
    console = Console(highlight=False, width=max(available, sum(fitted[:-1]) + _GAP * (len(fitted) - 1) + last))
    for heading, width in zip(headings[:-1], fitted, strict=False):
        shown.add_column(heading, width=width, no_wrap=True)
    shown.add_column(headings[-1], overflow="ellipsis", no_wrap=True, ratio=1)
    for row in cells:
        shown.add_row(*row)
    console.print(shown)


def _fitted(headings: Sequence[str], widths: Sequence[int], available: int) -> list[int]:
    """Return the widths of the columns, with room for something of the last one, which takes what is left."""
    fitted = [*widths[:-1], min(widths[-1], _LAST_WIDTH)]
    while sum(fitted) + _GAP * (len(fitted) - 1) > available:
        cut = [at for at, heading in enumerate(headings) if heading not in _WHOLE and fitted[at] > _LEAST_WIDTH]
        if not cut:
            break
        fitted[max(cut, key=fitted.__getitem__)] -= 1
    return fitted


def pretty(value: Mapping[str, Any]) -> None:
    """Print one object over several lines, with its control characters escaped and non-ASCII text readable."""
    print(_json_text(value, orjson.OPT_INDENT_2), flush=True)


def say(sentence: str) -> None:
    """Print one sentence for a person on standard output."""
    Console(highlight=False, markup=False).print(plain(sentence), soft_wrap=True)


def warn(sentence: str) -> None:
    """Print one sentence on standard error."""
    print(f"frontdesk: {plain(sentence)}", file=sys.stderr, flush=True)
