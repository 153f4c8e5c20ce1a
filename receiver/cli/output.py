"""What commands print: tables for people, JSON for programs. Text from payloads can do nothing to a terminal."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from receiver import plaintext

# JSON escapes the first 32 by itself; the rest of the controls it leaves as they are.
_JSON_CONTROLS = {code: f"\\u{code:04x}" for code in plaintext.ESCAPES if code >= 0x7F}


def _json_text(value: Mapping[str, Any], option: int) -> str:
    return orjson.dumps(value, default=str, option=option).decode().translate(_JSON_CONTROLS)


def plain(value: object) -> str:
    """Return *value* as text with every control character escaped: no escape sequence reaches the terminal."""
    return plaintext.plain(value)


def json_line(value: Mapping[str, Any]) -> None:
    """Print one object on one line of standard output."""
    print(_json_text(value, 0), flush=True)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table that fits the terminal; cells are shown as they are, without markup."""
    shown = Table(title=title, box=None, header_style="bold", pad_edge=False, expand=True)
    for heading in headings[:-1]:
        shown.add_column(heading, no_wrap=True)
    # The last column takes what is left: whatever does not fit is cut there, never an id.
    shown.add_column(headings[-1], overflow="ellipsis", no_wrap=True, ratio=1)
    for row in rows:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    Console(highlight=False).print(shown)


def pretty(value: Mapping[str, Any]) -> None:
    """Print one object over several lines, with its control characters escaped and non-ASCII text readable."""
    print(_json_text(value, orjson.OPT_INDENT_2), flush=True)


def say(sentence: str) -> None:
    """Print one sentence for a person on standard output."""
    Console(highlight=False, markup=False).print(plain(sentence), soft_wrap=True)


def warn(sentence: str) -> None:
    """Print one sentence on standard error."""
    print(f"frontdesk: {plain(sentence)}", file=sys.stderr)
