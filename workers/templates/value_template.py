"""A tree of values whose strings are templates, such as a JSON body or the columns of a row; also, how to find them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from receiver.core.events import Event
from workers.templates.expression import Expression
from workers.templates.names import names_of
from workers.templates.template import Template

MOST_VALUES = 2_000
"""Values of one tree."""


class ValueTemplate:
    """A tree of mappings, lists and values, whose strings are templates; keys are as written.

    A string that is one expression keeps the type of its value.
    """

    __slots__ = ("_count", "_records", "tree")

    TAKES_CEL: ClassVar[bool] = False
    """Whether `{cel: EXPRESSION}`, as the value of a key at the top, is an expression."""

    def __init__(self, tree: Any, records: Collection[str] = ()) -> None:
        """*records* are the names of enriched records, which templates may name, too."""
        self._count = 0
        self._records = records
        self.tree = self._compiled(tree, "")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            lambda value, info: value if isinstance(value, cls) else cls(value, info.context or ())
        )

    def render(self, event: Event[Any]) -> Any:
        """Return the tree for *event*. Raises TemplateFailed."""
        names = names_of(event)
        return _filled(self.tree, lambda template: template.fill(names))

    def _compiled(self, value: Any, where: str) -> Any:
        self._count += 1
        if self._count > MOST_VALUES:
            raise ValueError(f"holds more than {MOST_VALUES} values")
        if isinstance(value, str):
            try:
                return Template(value, self._records)
            except ValueError as error:
                raise ValueError(f"{where or 'it'} {error}") from None
        if self.TAKES_CEL and isinstance(value, Mapping) and value.keys() == {"cel"} and self._is_at_top(where):
            return self._expression(value["cel"], where)
        if isinstance(value, Mapping):
            return {str(key): self._compiled(one, f"{where}.{key}".lstrip(".")) for key, one in value.items()}
        if isinstance(value, list):
            return [self._compiled(one, f"{where}[{number}]") for number, one in enumerate(value)]
        return value

    @staticmethod
    def _is_at_top(where: str) -> bool:
        return where != "" and "." not in where and "[" not in where

    def _expression(self, source: object, where: str) -> Expression:
        try:
            return Expression(source if isinstance(source, str) else "", self._records)
        except ValueError as error:
            raise ValueError(f"{where}.cel {error}") from None


class ColumnTemplates(ValueTemplate):
    """A mapping of columns to templates; `{cel: EXPRESSION}` is a CEL expression instead of one."""

    __slots__ = ()

    TAKES_CEL = True


def _filled(tree: Any, fill: Callable[[Template | Expression], Any]) -> Any:
    if isinstance(tree, Template | Expression):
        return fill(tree)
    if isinstance(tree, dict):
        return {key: _filled(one, fill) for key, one in tree.items()}
    return [_filled(one, fill) for one in tree] if isinstance(tree, list) else tree


def templates_in(value: Any, where: str = "") -> Iterator[tuple[str, Template | Expression]]:
    """Yield every template in the options of a handler, each with the path of its value: `body.customer.name`."""
    if isinstance(value, Template | Expression):
        yield where, value
    elif isinstance(value, ValueTemplate):
        yield from templates_in(value.tree, where)
    elif isinstance(value, BaseModel):
        yield from templates_in(dict(value), where)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from templates_in(one, f"{where}.{key}".lstrip("."))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for number, one in enumerate(value):
            yield from templates_in(one, f"{where}.{number}")
