"""Compiles and evaluates expressions, with our functions in addition to the library's, and with numbers of one kind."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic_core import SchemaError, SchemaValidator, core_schema

from receiver.routing.cel import expressions, library, numbers
from receiver.routing.cel.expressions import FUNCTIONS, ExpressionRefused, Reading
from receiver.routing.cel.functions import RENAMED
from receiver.routing.cel.functions import functions as ours
from receiver.routing.cel.tokens import Token, tokens_of

if TYPE_CHECKING:
    from cel import Program

_PATTERN_SHARE = 50
"""A pattern must be so small that the regex library's limit (10 MiB compiled) holds it this many times."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One way of evaluating an expression: as it is written, or with all numbers as decimals."""

    program: "Program"
    functions: dict[str, Any]
    with_decimals: bool = False

    def run(self, context: Mapping[str, Any], source: str) -> tuple[Any, str | None]:
        """Return the result of the expression *source* and None, or None and why it has no result."""
        try:
            names = {**context, **self.functions}
            if self.with_decimals:
                names |= {name: numbers.as_decimals(one) for name, one in context.items() if isinstance(one, dict)}
            return self.program.execute(names), None
        except Exception as error:  # noqa: BLE001  # whatever the extension raises, this event's filter has failed
            return None, _why(error, source)
        except BaseException as error:
            # A panic in Rust is not an Exception. Exceptions that interrupt us on purpose are raised again.
            if type(error).__module__ != "pyo3_runtime":
                raise
            return None, "the CEL library failed on it"


def evaluations(
    source: str, tokens: Sequence[Token], reading: Reading, names: Collection[str]
) -> tuple[Evaluation, ...]:
    """Return the ways of evaluating an expression, in the order in which they are tried."""
    matches, edits = _own_patterns(reading)
    edits += [(one.start, one.end, RENAMED[one.text]) for one in _calls(tokens) if one.text in RENAMED]
    plain = Evaluation(compiled(_edited(source, edits)), {**matches, **ours(names)})
    if not reading.variables or not numbers.calculates(tokens):
        return (plain,)
    program = compiled(_edited(source, edits + numbers.literals(tokens)))
    functions = ours(names, as_decimals=True)
    return Evaluation(program, {**matches, **functions}, with_decimals=True), plain


def why_it_fails(part: str) -> str | None:
    """Return why a part of an expression that reads nothing fails; None if it does not fail."""
    tokens = tokens_of(part)
    program = compiled(part)
    reading = expressions.read(part, names=program.variables(), functions=program.functions())
    return evaluations(part, tokens, reading, program.functions())[0].run({"data": {}}, part)[1]


def _calls(tokens: Sequence[Token]) -> list[Token]:
    return [one for one, behind in pairwise(tokens) if one.kind == "name" and behind.text == "("]


def _edited(source: str, edits: Sequence[tuple[int, int, str]]) -> str:
    for start, end, text in sorted(edits, reverse=True):
        source = f"{source[:start]}{text}{source[end:]}"
    return source


_MIXED = re.compile(r"^Unsupported operation: (?:float|int|uint) . (?:float|int|uint)\b")
_FUNCTION = re.compile(r"^(?:Function '_?(\w+)' error|Undefined variable or function: '_?(\w+)')")


def _why(error: Exception, source: str) -> str:
    """Return why the evaluation failed. The library's messages quote the record, so they are not passed on."""
    if isinstance(error, KeyError):
        name = str(error.args[0]) if error.args else ""
        return f"there is no {name!r} in it" if name in source else "a key is missing"
    if isinstance(error, TypeError):
        if _MIXED.match(str(error)):
            return (
                "whole and decimal numbers meet in it; write double() around the whole one, or int() on both sides of %"
            )
        return "a value is null, or of another type than the expression asks for"
    if isinstance(error, IndexError):
        return "a list is shorter than the expression asks for"
    if isinstance(error, ArithmeticError):
        return "a number is out of range, or a division by zero"
    found = _FUNCTION.match(str(error))
    name = found.group(1) or found.group(2) if found else ""
    function = f"{name}()" if name in FUNCTIONS else "a function"
    return f"{function} cannot work with a value of the record (null, another type or another format)"


def compiled(source: str) -> "Program":
    """Compile an expression. Raises ExpressionRefused, which explains where the parser stopped and why."""
    try:
        return library.program(source)
    except ValueError as error:
        raise ExpressionRefused(f"is not CEL{_what_is_wrong(source, str(error))}") from None


def _what_is_wrong(source: str, message: str) -> str:
    """Return the parser's message in plain words instead of the terms of its grammar."""
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
    """A regular expression as a CEL function. Returns true, false, or for a value that is not text null, which
    fails."""

    __slots__ = ("_is_match",)

    def __init__(self, pattern: str) -> None:
        _validator(f"(?:{pattern}\n){{{_PATTERN_SHARE}}}")
        self._is_match = _validator(pattern).isinstance_python

    def __call__(self, text: object) -> bool | None:
        return self._is_match(text) if type(text) is str else None


def _validator(pattern: str) -> SchemaValidator:
    """Compile with the regex library inside pydantic. CEL uses the same, with linear time, but compiles at each
    call."""
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def _own_patterns(reading: Reading) -> tuple[dict[str, _Matches], list[tuple[int, int, str]]]:
    """Return our functions for the calls of matches(), and the edits of the source that call them instead."""
    functions: dict[str, _Matches] = {}
    edits = []
    for number, call in enumerate(reading.patterns):
        pattern = compiled(call.literal).execute()
        try:
            functions[f"matches_{number}"] = _Matches(pattern)
        except SchemaError as error:
            too_large = "size limit" in str(error)
            why = "is too large; count less, or write [a-z] for \\w" if too_large else "is not a regular expression"
            raise ExpressionRefused(f"the pattern {call.literal} {why}") from None
        edits.append((call.start, call.end, f"matches_{number}()"))
    return functions, edits
