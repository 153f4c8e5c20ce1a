"""From facts to HTML: templates that escape everything, and the format of times, numbers and records."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jinja2
import orjson
from markupsafe import Markup, escape

from receiver.console.framework import charts
from receiver.console.framework.page import ROOT
from receiver.core import timestamps
from receiver.core.errors import UsageError
from receiver.core.sanitize import ESCAPES, counted, plain
from receiver.storage.shared.business_names import place

_HERE: Final = Path(__file__).parents[1]
STATIC: Final = _HERE / "static"

_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|(true|false|null)|(<\d+ characters>)')
_MASKED = re.compile(r'"<(\d+ characters|number|true or false)>"')
_MOST_LINES = 20_000
_JSON_ESCAPES: Final = {code: f"\\u{code:04x}" for code in ESCAPES if chr(code) not in "\n\r\t"}

_WAITING: Final = {
    "order": "for an earlier delivery with the same key",
    "limit": "for the limit of its route",
    "concurrency": "until fewer deliveries of its route run",
    "pause": "because its route is paused",
    "retry-after": "as its target asked",
    "target down": "because its target is down",
    "delay": "for the delay of its route",
    "its time": "for the time of its record (at)",
    "debounce": "in case a newer event arrives (debounce)",
    "unknown route": "for a worker that knows its route and handler",
}
"""What a delivery waits for, in the words that follow `waits`."""


class Templates:
    """Renders the templates of the console. Every text is escaped, control characters included.

    *names* returns those of the locations.
    """

    def __init__(self, names: Callable[[], Mapping[int, str]] = dict) -> None:
        self._environment = jinja2.Environment(
            autoescape=True,
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            undefined=jinja2.StrictUndefined,
            finalize=_harmless,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "ago": ago,
            "count": count,
            "span": span,
            "lines": record_lines,
            "editable": editable,
            "waiting": lambda word: _WAITING.get(word, word),
            "number": lambda number, noun: counted(number, noun).replace(",", "\u202f"),
            "place": lambda business_id: place(business_id, names()),
            "words": lambda text: str(text).replace("_", " "),
        }
        self._environment.globals |= {
            "root": ROOT,
            "version": _version(),
            "stacked_bars": charts.stacked_bars,
        }
        for name in self._environment.list_templates():
            self._environment.get_template(name)  # compiled now, not when somebody waits for a page

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        """Return a page."""
        return self._environment.get_template(template).render(values)


def ago(value: str | int | None, now_ms: int | None = None) -> str:
    """Return how long ago a time was (RFC 3339, or Unix ms), in one unit; or how far it is ahead."""
    if value is None or value == "":
        return "never"
    try:
        at_ms = value if isinstance(value, int) else timestamps.parse("time", value)
    except UsageError:
        return str(value)
    seconds = ((now_ms or int(time.time() * 1_000)) - (at_ms or 0)) / 1_000
    shown = span(abs(seconds) * 1_000)
    return f"in {shown}" if seconds < -1 else "just now" if seconds < 1 else f"{shown} ago"


def span(milliseconds: float | None) -> str:
    """Return a length of time in the unit that suits it."""
    if milliseconds is None:
        return "none"
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if milliseconds >= length * (2 if unit == "d" else 1):
            return f"{milliseconds / length:.1f}".removesuffix(".0") + f" {unit}"
    return f"{milliseconds:.0f} ms"


def count(value: float) -> str:
    """Return a number with thin spaces between thousands."""
    return f"{value:,.0f}".replace(",", "\u202f") if value == int(value) else f"{value:,.1f}".replace(",", "\u202f")


def record_lines(value: Any) -> Iterator[list[tuple[str, str]]]:
    """Yield the lines of a value as JSON, each as pieces with the name of their kind, for the eye only."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()
    lines = text.split("\n")
    for line in lines[:_MOST_LINES]:
        yield list(_pieces(line))
    if len(lines) > _MOST_LINES:
        yield [("note", f"... and {len(lines) - _MOST_LINES} more lines; `frontdesk show` prints them all")]


def editable(text: str) -> Markup:
    """Return JSON text for an editor: its lines stay, and what could mislead the eye is written as JSON escapes it."""
    return escape(text.translate(_JSON_ESCAPES))


def _pieces(line: str) -> Iterator[tuple[str, str]]:
    at = 0
    for match in _TOKEN.finditer(line):
        if match.start() > at:
            yield "", line[at : match.start()]
        text, colon, number, word, _ = match.groups()
        if text and colon:
            yield "key", text
            yield "", colon
        elif text:
            yield ("masked" if _MASKED.fullmatch(text) else "text"), text
        else:
            yield ("number" if number else "word"), number or word or match[0]
        at = match.end()
    if at < len(line):
        yield "", line[at:]


def _harmless(value: Any) -> Any:
    """What a template writes: markup of ours as it is, and texts without anything that could mislead the eye."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else plain(value)


def _version() -> str:
    """Name the static files by what is in them, so that browsers may keep them for long."""
    digest = hashlib.sha256()
    for file in sorted(STATIC.iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
