"""Filters: CEL expressions over one event, compiled once, with limits on what they read and how long they run.

A filter reads `data` (the record), `action`, `business_id` and the records that a route enriches. Its result is true,
false, or a failure: a missing field, a comparison with null, a result that is not true or false. A failure is never an
exception; `table` decides what follows. Measured on one core (CEL 0.10):

- a comparison of two fields: 6 µs; only the fields that the expression names are passed (all 80 of a record: 170 µs);
- regular expressions run in linear time and are compiled here once (`matches` of the CEL package compiles at each
  call: 10 µs to 5 ms); the slowest accepted pattern takes 0.3 s over the longest accepted text;
- `filter` is quadratic (10,000 items: 2.8 s; 256 items: 2 ms; the slowest accepted: 0.3 s), and so are nested
  comprehensions, which are refused, as is `map` (two of them over 250 items took 13 s);
- data 10,000 levels deep crashes the interpreter, and so do 16 nested brackets on a stack of 128 KiB.

Hence the limits below and in `expressions`. They are essential, because nothing can interrupt an evaluation.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from receiver.routing.cel import calls, evaluation, expressions, result_types
from receiver.routing.cel.expressions import ExpressionRefused
from receiver.routing.cel.tokens import tokens_of

MAX_DEPTH = 16
"""Levels of lists and mappings inside a field that an expression reads."""

MAX_ITEMS = 256
"""Items of one list or mapping. The record itself counts as one if the expression reads all of it."""

MAX_VALUES = 2_000
"""Values in all the fields that an expression reads."""

MAX_TEXT = 65_536
"""Characters in all these fields; a quarter of it if the expression has a comprehension."""


@dataclass(frozen=True, slots=True)
class FilterResult:
    """The result of a filter for an event. *failure*: why it could not be evaluated, without payload text; else
    None."""

    is_true: bool
    failure: str | None = None


_NONE: Mapping[str, Any] = MappingProxyType({})
_TRUE, _FALSE = FilterResult(is_true=True), FilterResult(is_true=False)


class Filter:
    """One compiled expression. Safe to share between threads.

    Raises ExpressionRefused, with one sentence, if *source* is not CEL, uses an unknown name, or its cost cannot be
    bounded; also if its result cannot be what it *yields*: true or false, a key (a text or a number), a time, or any
    value. *records*: the names of the records beside `data` that it may read.
    """

    __slots__ = ("_evaluations", "_fields", "_max_text", "_reads_action", "_reads_business", "records", "source")

    def __init__(
        self,
        source: str,
        *,
        yields: Literal["filter", "key", "time", "value"] = "filter",
        records: Collection[str] = (),
    ) -> None:
        self.source = source
        expressions.measure(source)
        program = evaluation.compiled(source)
        tokens = tokens_of(source)
        reading = expressions.read(source, names=program.variables(), functions=program.functions(), records=records)
        calls.check(tokens)
        self._evaluations = evaluation.evaluations(source, tokens, reading, program.functions())
        self._fields = {"data": (), **reading.fields}
        self.records = frozenset(reading.fields) - {"data"}
        """The records beside `data` that it reads; one that reads any cannot be evaluated at a receiver."""
        self._reads_action = "action" in reading.variables
        self._reads_business = "business_id" in reading.variables
        self._max_text = MAX_TEXT // 4 if reading.has_comprehension else MAX_TEXT
        match yields:
            case "key":
                self._refuse_what_can_be_no_key()
            case "time":
                self._refuse_what_can_be_no_time(is_constant=not reading.variables)
            case "filter":
                self._refuse_what_can_be_no_filter(is_constant=not reading.variables)
        calls.try_constant_parts(source, tokens, evaluation.why_it_fails)

    def __repr__(self) -> str:
        return f"Filter({self.source!r})"

    @property
    def fields(self) -> tuple[str, ...] | None:
        """The fields of the record that the expression reads; None: all of them."""
        return self._fields["data"]

    def named_fields(self) -> Iterator[tuple[str, str]]:
        """Yield the fields that the expression names, of each record: `("data", "ResourceName")`."""
        for name, fields in self._fields.items():
            yield from ((name, field) for field in fields or ())

    def judge(
        self, business_id: int, action: str, record: Mapping[str, Any], records: Mapping[str, Any] = _NONE
    ) -> FilterResult:
        """Say whether the expression is true for one event; total over whatever the records hold."""
        result, failure = self.evaluate(business_id, action, record, records)
        if result is True:
            return _TRUE
        if result is False:
            return _FALSE
        return FilterResult(is_true=False, failure=failure or f"the result is {_kind(result)}, not true or false")

    def evaluate(
        self, business_id: int, action: str, record: Mapping[str, Any], records: Mapping[str, Any] = _NONE
    ) -> tuple[Any, str | None]:
        """Return what the expression yields for one event, or None and why it yields nothing; total, too."""
        context: dict[str, Any] = {"data": _read(record, self._fields["data"])}
        for name in self.records:
            one = records.get(name)
            context[name] = None if one is None else _read(one, self._fields[name])
        for read in context.values():
            excess = None if read is None else _excess(read, self._max_text)
            if excess:
                return None, excess
        if self._reads_action:
            context["action"] = action
        if self._reads_business:
            context["business_id"] = business_id
        result, failure = None, None
        for one in self._evaluations:
            result, failure = one.run(context, self.source)
            if failure is None:
                break
        return result, failure

    def _refuse_what_can_be_no_filter(self, *, is_constant: bool) -> None:
        """Raise ExpressionRefused if it is certain that the result is neither true nor false."""
        kind = result_types.other_than_true_or_false(self.source)
        if kind is None and is_constant:
            verdict = self.judge(1, "", {})
            if verdict.failure is not None:
                raise ExpressionRefused(f"fails for every event, since it reads nothing of it: {verdict.failure}")
        if kind is not None:
            raise ExpressionRefused(f"does not end in true or false, its result is {kind}; compare it with something")

    def _refuse_what_can_be_no_time(self, *, is_constant: bool) -> None:
        """Raise ExpressionRefused when the expression yields no time, as far as can be known."""
        kind = result_types.other_than_a_time(self.source)
        if kind is not None:
            hint = "write timestamp() around a field, like timestamp(data.FromTime) - duration('1h')"
            raise ExpressionRefused(f"yields no time, its result is {kind}; {hint}")
        if is_constant:
            raise ExpressionRefused("is the same for every event, since it reads nothing of it")

    def _refuse_what_can_be_no_key(self) -> None:
        """Raise ExpressionRefused if it is certain that the result is neither a text nor a number."""
        kind = result_types.other_than_true_or_false(self.source)
        if kind is not None and kind not in result_types.KEYS:
            raise ExpressionRefused(f"yields neither a text nor a number, its result is {kind}")


def _read(record: Mapping[str, Any], fields: tuple[str, ...] | None) -> dict[str, Any]:
    return {name: record[name] for name in (record if fields is None else fields) if name in record}


def _excess(data: dict[str, Any], max_text: int) -> str | None:
    """Return which limit *data* exceeds, if any. For flat records, it costs a tenth of a microsecond a field."""
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
