"""A template of a text or of one value: compiled once, rendered for each event."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from jinja2 import Template as Compiled
from jinja2 import meta, nodes
from jinja2.utils import consume
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from receiver.core.events import Event
from receiver.core.suggest import nearest
from workers.api import Reference
from workers.templates import limits
from workers.templates.environment import ENVIRONMENT, reason_of
from workers.templates.names import NAMES, names_of
from workers.templates.template_errors import TemplateFailed
from workers.templates.template_filters import shown

_RESULT = "result"
_MARKS = ("{{", "{%", "{#")


class Template:
    """One template. Raises ValueError, one sentence with its line, for what is none. Threads may share it.

    *reads* are the fields that it names, with their lines, `("data", "ResourceName", 1)`; *guarded* those of them for
    which it has another way (`default`, `is defined`).
    """

    __slots__ = ("_compiled", "_is_value", "_literal", "guarded", "reads", "source")

    def __init__(self, source: str, records: Collection[str] = ()) -> None:
        """*records* are the names of enriched records, which it may name, too."""
        self.source = source
        self.reads: tuple[tuple[str, str, int], ...] = ()
        self.guarded: frozenset[tuple[str, str]] = frozenset()
        self._literal: str | None = None
        self._is_value = False
        if isinstance(source, Reference) or not any(mark in source for mark in _MARKS):
            self._literal = str(source)  # what an environment variable holds is a value, whatever stands in it
            return
        if len(source) > limits.LONGEST_SOURCE:
            raise ValueError(f"is longer than {limits.LONGEST_SOURCE} characters")
        self._compile(source, (*NAMES, *records))

    def _compile(self, source: str, names: Collection[str]) -> None:
        try:
            parsed = ENVIRONMENT._parse(source, None, None)  # noqa: SLF001 - the way to look at a template
            _refuse_unknown(meta.find_undeclared_variables(parsed), names)
            self.reads, self.guarded = _reads(parsed)
            if (expression := _alone(parsed)) is not None:
                self._is_value = True
                target = nodes.Name(_RESULT, "store", lineno=1)
                parsed = nodes.Template([nodes.Assign(target, expression, lineno=1)], lineno=1)
                parsed.set_environment(ENVIRONMENT)
            self._compiled: Compiled = ENVIRONMENT.from_string(parsed)
        except (RecursionError, MemoryError, SyntaxError):
            raise ValueError("is nested too deep") from None
        except Exception as error:  # noqa: BLE001 - whatever the parser says, with its line
            line = getattr(error, "lineno", 1)
            raise ValueError(f"is no template, line {line}: {reason_of(error)}") from None

    def __repr__(self) -> str:
        return f"Template({self.source[:60]!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(cls._validated)

    @classmethod
    def _validated(cls, value: object, info: core_schema.ValidationInfo) -> Self:
        if isinstance(value, cls):
            return value
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError("must be text")  # noqa: TRY004 - pydantic collects these
        return cls(value if isinstance(value, str) else str(value), info.context or ())

    @property
    def is_literal(self) -> bool:
        """Whether it is the same for every event."""
        return self._literal is not None

    def render(self, event: Event[Any], *, escape: Callable[[str], str] | None = None) -> str:
        """Return the text for *event*; *escape* is applied to each value that is inserted. Raises TemplateFailed."""
        if self._literal is not None:
            return self._literal
        text = shown(self.fill(names_of(event), escape=escape))
        return escape(text) if self._is_value and escape else text

    def value(self, event: Event[Any]) -> Any:
        """Return the value for *event*: that of its one expression, with its type, else text. Raises TemplateFailed."""
        return self._literal if self._literal is not None else self.fill(names_of(event))

    def fill(self, names: Mapping[str, Any], *, escape: Callable[[str], str] | None = None) -> Any:
        """Return the value for these *names*. Raises TemplateFailed."""
        if self._literal is not None:
            return self._literal
        limits.begin(escape)
        try:
            context = self._compiled.new_context(dict(names))
            if self._is_value:
                consume(self._compiled.root_render_func(context))
                return _plain(context.vars[_RESULT])
            return _joined(self._compiled.root_render_func(context))
        except Exception as error:  # noqa: BLE001 - whatever a filter raises for a value of the record
            line = self._line(error.__traceback__)
            raise TemplateFailed(f"the template fails{line}: {reason_of(error)}") from None

    def _line(self, trace: TracebackType | None) -> str:
        line = 0
        while trace:
            if trace.tb_frame.f_code.co_filename == "<template>":
                line = self._compiled.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        return f" in line {line}" if line > 1 else ""


def _refuse_unknown(names: Iterable[str], known: Collection[str]) -> None:
    for name in sorted(set(names) - set(known)):
        near = nearest(name, known) or f"data.{name}"
        raise TemplateFailed(f"unknown name {name[:60]!r}; did you mean {near}?")


def _joined(chunks: Iterator[str]) -> str:
    made, length = [], 0
    for chunk in chunks:
        length += len(chunk)
        if length > limits.LONGEST_TEXT:
            raise TemplateFailed(f"makes a text longer than {limits.LONGEST_TEXT} characters")
        made.append(chunk)
    return "".join(made)


def _plain(value: Any) -> Any:
    """Return the value of an expression. Raises what an undefined one raises."""
    if isinstance(value, Iterator):
        return list(value)
    if not isinstance(value, str | int | float | list | dict | tuple | None):
        str(value)
    return value


def _alone(parsed: nodes.Template) -> nodes.Expr | None:
    """Return the one expression that a template consists of, if it does."""
    if len(parsed.body) != 1 or not isinstance(parsed.body[0], nodes.Output):
        return None
    found = parsed.body[0].nodes
    return found[0] if len(found) == 1 and not isinstance(found[0], nodes.TemplateData) else None


def _reads(parsed: nodes.Template) -> tuple[tuple[tuple[str, str, int], ...], frozenset[tuple[str, str]]]:
    reads = tuple(
        (*path, node.lineno) for node in parsed.find_all((nodes.Getattr, nodes.Getitem)) if (path := _path(node))
    )
    guards = [one.node for one in parsed.find_all(nodes.Filter) if one.name in ("default", "d")]
    guards += [one.node for one in parsed.find_all(nodes.Test) if one.name in ("defined", "undefined")]
    return reads, frozenset(path for node in guards if node is not None and (path := _path(node)))


def _path(node: nodes.Node) -> tuple[str, str] | None:
    """Return `("data", "Name")` for `data.Name` and `data["Name"]`."""
    if not isinstance(node, nodes.Getattr | nodes.Getitem) or not isinstance(node.node, nodes.Name):
        return None
    if isinstance(node, nodes.Getattr):
        return node.node.name, node.attr
    is_word = isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str)
    return (node.node.name, node.arg.value) if is_word else None  # type: ignore[attr-defined]
