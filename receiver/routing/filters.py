"""Filters: CEL expressions over one event, compiled once, bounded in what they read and in how long they run.

A filter reads `data` (the record), `action` and `business_id`. It is true, false, or it fails: a missing field, a null
that is compared, a result that is not true or false. Failing is never an exception. Measured on one core (CEL 0.10):

- two fields compared: 6 µs; only the fields that the expression names are handed over (all 80 of a record: 170 µs);
- regular expressions run in linear time and are compiled here once (`matches` of the CEL package compiles at each
  call: 10 µs to 5 ms); the worst that is accepted takes 0.3 s over the longest text that is accepted;
- `filter` is quadratic (10,000 items: 2.8 s; 256: 2 ms; the worst that is accepted: 0.3 s), and so are comprehensions
  inside one another, which are refused, as is `map` (13 s were seen for two of them over 250 items);
- data 10,000 levels deep crashes the interpreter, and so do 16 brackets inside one another on a stack of 128 KiB.

Hence the bounds below and in `expressions`. They count, because nothing can interrupt an evaluation.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cel
from pydantic_core import SchemaError, SchemaValidator, core_schema

from receiver.routing import expressions, results
from receiver.routing.expressions import ExpressionRefused, Reading

MAX_DEPTH = 16
"""Levels of lists and mappings inside a field that an expression reads."""

MAX_ITEMS = 256
"""Items of one list or mapping, the record itself included where all of it is read."""

MAX_VALUES = 2_000
"""Values in all the fields that an expression reads."""

MAX_TEXT = 65_536
"""Characters in all these fields; a quarter of it where there is a comprehension."""

_PATTERN_SHARE = 50
"""A pattern must be so small that the regex library's limit (10 MiB compiled) holds it this many times."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a filter says of an event. *failure* None: it could be evaluated; else why not, without payload text."""

    is_true: bool
    failure: str | None = None


_TRUE, _FALSE = Verdict(is_true=True), Verdict(is_true=False)


class Filter:
    """One compiled expression. Safe to share between threads.

    Raises ExpressionRefused, one sentence, when *source* is no CEL, names what is not there, cannot be bounded, or
    does not end in true or false; or, when *is_key*, in what cannot tell events apart.
    """

    __slots__ = ("_fields", "_functions", "_max_text", "_program", "_reads_action", "_reads_business", "source")

    def __init__(self, source: str, *, is_key: bool = False) -> None:
        self.source = source
        expressions.measure(source)
        program = _compile(source)
        reading = expressions.read(source, names=program.variables(), functions=program.functions())
        self._functions, rewritten = _own_patterns(source, reading)
        self._program = _compile(rewritten) if self._functions else program
        self._fields = reading.fields if "data" in reading.variables else ()
        self._reads_action = "action" in reading.variables
        self._reads_business = "business_id" in reading.variables
        self._max_text = MAX_TEXT // 4 if reading.has_comprehension else MAX_TEXT
        if is_key:
            self._refuse_what_can_be_no_key()
        else:
            self._refuse_what_can_be_no_filter(is_constant=not reading.variables)

    def __repr__(self) -> str:
        return f"Filter({self.source!r})"

    @property
    def fields(self) -> tuple[str, ...] | None:
        """The fields of the record that the expression reads; None: all of them."""
        return self._fields

    def judge(self, business_id: int, action: str, record: Mapping[str, Any]) -> Verdict:
        """Say whether the expression is true for one event; total over whatever the record holds."""
        result, failure = self.evaluate(business_id, action, record)
        if result is True:
            return _TRUE
        if result is False:
            return _FALSE
        return Verdict(is_true=False, failure=failure or f"the result is {_kind(result)}, not true or false")

    def evaluate(self, business_id: int, action: str, record: Mapping[str, Any]) -> tuple[Any, str | None]:
        """Return what the expression yields for one event, or None and why it yields nothing; total, too."""
        names = record if self._fields is None else self._fields
        data = {name: record[name] for name in names if name in record}
        excess = _excess(data, self._max_text)
        if excess:
            return None, excess
        context: dict[str, Any] = {"data": data, **self._functions}
        if self._reads_action:
            context["action"] = action
        if self._reads_business:
            context["business_id"] = business_id
        try:
            return self._program.execute(context), None
        except Exception as error:  # noqa: BLE001  # whatever the extension raises, this event's filter has failed
            return None, self._why(error)
        except BaseException as error:
            # A panic in Rust is none of Exception's; what interrupts us on purpose is not caught.
            if type(error).__module__ != "pyo3_runtime":
                raise
            return None, "the CEL library failed on it"

    def _refuse_what_can_be_no_filter(self, *, is_constant: bool) -> None:
        """Raise ExpressionRefused when the expression does not end in true or false, as far as that can be known."""
        kind = results.other_than_true_or_false(self.source)
        if kind is None and is_constant:
            verdict = self.judge(1, "", {})
            if verdict.failure is not None:
                raise ExpressionRefused(f"fails for every event, since it reads nothing of it: {verdict.failure}")
        if kind is not None:
            raise ExpressionRefused(f"does not end in true or false, its result is {kind}; compare it with something")

    def _refuse_what_can_be_no_key(self) -> None:
        """Raise ExpressionRefused when the expression yields neither a text nor a number, as far as can be known."""
        kind = results.other_than_true_or_false(self.source)
        if kind is not None and kind not in results.KEYS:
            raise ExpressionRefused(f"yields neither a text nor a number, its result is {kind}")

    def _why(self, error: Exception) -> str:
        """Say why the evaluation failed. The library's own sentences quote the record, so none of them is used."""
        if isinstance(error, KeyError):
            name = str(error.args[0]) if error.args else ""
            return f"there is no {name!r} in it" if name in self.source else "a key is missing"
        if isinstance(error, TypeError):
            return "a value is null, or of another type than the expression asks for"
        if isinstance(error, IndexError):
            return "a list is shorter than the expression asks for"
        if isinstance(error, ArithmeticError):
            return "a number is out of range, or a division by zero"
        return "a function cannot work with a value of the record (null, another type or another format)"


def _compile(source: str) -> cel.Program:
    try:
        return cel.compile(source)
    except ValueError as error:
        raise ExpressionRefused(f"is no CEL{_what_is_wrong(source, str(error))}") from None


def _what_is_wrong(source: str, message: str) -> str:
    """Say in words what the parser says in the terms of its grammar."""
    found = re.search(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?(.*)", message)
    if found is None:
        return ": it cannot be read"
    line, column, what = found.groups()
    where = f" at character {column}" + (f" of line {line}" if "\n" in source.rstrip() else "")
    what = what.partition(" expecting ")[0]
    if "'<EOF>'" in what:
        return f"{where}: it ends too early" if source.strip() else ": it is empty"
    if re.search(r"[^=!<>]=[^=]", source):
        return f"{where}: {what}; write == to compare"
    return f"{where}: {what}"


class _Matches:
    """A regular expression as a CEL function: true, false, or null (which then fails) for what is no text."""

    __slots__ = ("_is_match",)

    def __init__(self, pattern: str) -> None:
        _validator(f"(?:{pattern}\n){{{_PATTERN_SHARE}}}")
        self._is_match = _validator(pattern).isinstance_python

    def __call__(self, text: object) -> bool | None:
        return self._is_match(text) if type(text) is str else None


def _validator(pattern: str) -> SchemaValidator:
    """Compile with the regex library inside pydantic: the same as CEL's, in linear time, but kept compiled."""
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def _own_patterns(source: str, reading: Reading) -> tuple[dict[str, _Matches], str]:
    """Return our functions for the calls of matches(), and *source* rewritten to call them."""
    functions: dict[str, _Matches] = {}
    for number, call in reversed(list(enumerate(reading.patterns))):
        pattern = _compile(call.literal).execute()
        try:
            functions[f"matches_{number}"] = _Matches(pattern)
        except SchemaError as error:
            too_large = "size limit" in str(error)
            why = "is too large; count less, or write [a-z] for \\w" if too_large else "is no regular expression"
            raise ExpressionRefused(f"the pattern {call.literal} {why}") from None
        source = f"{source[: call.start]}matches_{number}(){source[call.end :]}"
    return functions, source


def _excess(data: dict[str, Any], max_text: int) -> str | None:
    """Say which bound *data* breaks, if any. Flat records, the usual ones, cost a tenth of a microsecond a field."""
    text = values = 0
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for container in level:
            values += len(container)
            if len(container) > MAX_ITEMS:
                return f"a list or mapping in it has more than {MAX_ITEMS} items"
            if values > MAX_VALUES:
                return f"the fields hold more than {MAX_VALUES} values"
            for value in container.values() if isinstance(container, dict) else container:
                if type(value) is str:
                    text += len(value)
                elif isinstance(value, dict | list | tuple):
                    below.append(value)
        if text > max_text:
            return f"the fields hold more than {max_text} characters"
        if not below:
            return None
        level = below
    return f"a field is nested more than {MAX_DEPTH} levels deep"


def _kind(value: object) -> str:
    names = {type(None): "null", str: "a text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return names.get(type(value), "something else")
