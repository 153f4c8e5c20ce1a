"""Reads YAML into plain values whose lines are known. The only module that uses the YAML library.

Only the library's parser is used: values are text, numbers, `true`, `false`, null, lists and mappings as in YAML 1.2,
so that `NO`, `on`, `1:30`, `010` and `2024-01-01` stay the text that was written. No object is ever built from a tag.
Aliases are followed and count as the values that they repeat; size and nesting are bounded."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from receiver.core.errors import FileProblem

MAX_DEPTH = 20
"""Levels of lists and mappings."""

MAX_VALUES = 200_000
"""Values in one file, aliases counted as often as they are used."""

Path = tuple[str | int, ...]
"""The place of a value: keys and positions, starting at the top."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where libyaml is installed
_NO_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,20}\.[0-9]{0,20}|\.[0-9]{1,20}|[0-9]{1,20}(?=[eE]))(?:[eE][-+]?[0-9]{1,2})?")
_CONSTANTS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}


@dataclass(slots=True)
class Marked:
    """The value of a YAML document, the line of each value in it, and the problems of its syntax."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[FileProblem] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Return the line of the value at *path*, or of the nearest one around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1


class _GiveUp(Exception):
    """Reading cannot continue; the problem is already in the list."""


def read(text: str, *, file: str) -> Marked:
    """Read one YAML document. Never raises: problems of *text* are in `problems`, and `value` may then be partial."""
    marked = Marked()
    unfit = _NO_YAML.search(text)
    if unfit:
        line = text.count("\n", 0, unfit.start()) + 1
        marked.problems.append(FileProblem(file, line, f"character {unfit[0]!a} is not allowed in YAML; remove it"))
        return marked
    try:
        events = yaml.parse(text, _LOADER)
        _Composer(events, marked, file).compose()
    except _GiveUp:
        pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line + 1 if mark else 1, max(1, len(text.splitlines())))
        marked.problems.append(FileProblem(file, line, _in_words(error, text, line)))
    except (yaml.YAMLError, ValueError) as error:
        marked.problems.append(FileProblem(file, 0, f"is not YAML: {error}"))
    return marked


class _Composer:
    """Builds values from the parser's events, one document, bounded."""

    def __init__(self, events: Iterator[Any], marked: Marked, file: str) -> None:
        self._events = events
        self._marked = marked
        self._file = file
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._values = 0

    def compose(self) -> None:
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "a second document begins here; remove the '---'", fatal=True)
                first = next(self._events)
                self._marked.lines[()] = first.start_mark.line + 1
                self._marked.value = self._value(first, ())

    def _refuse(self, event: Any, message: str, *, fatal: bool = False) -> None:
        self._marked.problems.append(FileProblem(self._file, event.start_mark.line + 1, message))
        if fatal:
            raise _GiveUp

    def _value(self, event: Any, path: Path) -> Any:
        self._count(event, 1)
        before = self._values
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if len(path) > MAX_DEPTH:
            self._refuse(event, f"is nested more than {MAX_DEPTH} levels deep", fatal=True)
        self._refuse_tag(event)
        value: Any
        if isinstance(event, yaml.SequenceStartEvent):
            value = self._list(path)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(path)
        else:
            value = _scalar(event.value) if event.implicit[0] else event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._values - before + 1)
        return value

    def _count(self, event: Any, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            self._refuse(event, f"the file holds more than {MAX_VALUES} values, aliases included", fatal=True)

    def _refuse_tag(self, event: Any) -> None:
        if event.tag == "!" or event.tag is None:
            return
        self._refuse(event, f"what begins with ! is a tag to YAML ({event.tag}); put the whole value in quotes")

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            self._refuse(
                event,
                f"*{event.anchor} is an alias to YAML, and no &{event.anchor} comes before it; is it text? quote it",
            )
            return None
        value, values = self._anchors[event.anchor]
        self._count(event, values)
        return value

    def _list(self, path: Path) -> list[Any]:
        items: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            inner = (*path, len(items))
            self._marked.lines[inner] = event.start_mark.line + 1
            items.append(self._value(event, inner))
        return items

    def _mapping(self, path: Path) -> dict[Any, Any]:
        pairs: dict[Any, Any] = {}
        lines: dict[Any, int] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, path)
            line = event.start_mark.line + 1
            if key in lines:
                self._refuse(event, f"key {key!r} is already given on line {lines[key]}")
                self._value(next(self._events), (*path, "(again)"))
                continue
            lines[key] = self._marked.lines[*path, key] = line
            pairs[key] = self._value(next(self._events), (*path, key))
        return pairs

    def _key(self, event: Any, path: Path) -> str | int:
        key = self._value(event, (*path, "(key)"))
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
            self._refuse(event, "merge keys (<<) are not read; repeat the keys, or use `defaults`")
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(event, "a key must be a word", fatal=True)
        if isinstance(key, bool) or not isinstance(key, str | int):
            return str(event.value)
        return key


def _scalar(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _in_words(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    """Return a message that tells an operator what to do; the parser's own speaks of tokens."""
    written = text.splitlines()[line - 1] if text.splitlines() else ""
    problem = error.problem or "it cannot be read"
    if re.match(r" *\t", written):
        return "the line is indented with a tab; use spaces"
    if "mapping values" in problem:
        return "is not YAML: a second ': ' in one line; put the value in quotes, or check the indentation"
    if "alias" in (error.context or ""):
        return 'is not YAML: a value that begins with * must be in quotes: "*"'
    if "cannot start any token" in problem:
        return "is not YAML: a value begins with a character that means something to YAML; put the value in quotes"
    if "block collection" in (error.context or ""):
        return "is not YAML: the line is not indented like the list that it belongs to"
    if "expected key" in problem or "block end" in problem:
        return "is not YAML: there is text after a quoted value, or the indentation is wrong; quote the whole value"
    context = f"{error.context}: " if error.context else ""
    return f"is not YAML: {context}{problem}"
