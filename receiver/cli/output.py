"""What commands print: tables for people, JSON for programs. Text from payloads can do nothing to a terminal."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

_CONTROLS = {code: f"\\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0)]}
# Bidirectional overrides reorder what a reader sees; line and paragraph separators break a table.
_CONTROLS |= {code: f"\\u{code:04x}" for code in [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029]}


def plain(value: object) -> str:
    """Return *value* as text with every control character escaped: no escape sequence reaches the terminal."""
    return str(value).translate(_CONTROLS)


def json_line(value: Mapping[str, Any]) -> None:
    """Print one object on one line of standard output."""
    sys.stdout.buffer.write(orjson.dumps(value, default=str) + b"\n")
    sys.stdout.buffer.flush()


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table that fits the terminal; cells are shown as they are, without markup."""
    shown = Table(title=title, box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        shown.add_column(heading, overflow="ellipsis", no_wrap=True)
    for row in rows:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    Console(highlight=False).print(shown)


def say(sentence: str) -> None:
    """Print one sentence for a person on standard output."""
    Console(highlight=False, markup=False).print(plain(sentence), soft_wrap=True)


def warn(sentence: str) -> None:
    """Print one sentence on standard error."""
    print(f"frontdesk: {plain(sentence)}", file=sys.stderr)
