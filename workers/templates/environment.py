"""The sandbox: a small part of Jinja. Nothing is called or imported, nothing of Python is reached, all is bounded.

Jinja's own sandbox lets methods of text be called and loops turn without end; here what a template may hold is a list,
and whatever it makes on its way is measured. Values are plain (`names`), and a dot reads a field and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, nodes
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import pass_context
from jinja2.visitor import NodeTransformer

from receiver.core.suggest import hint, nearest
from workers.templates import limits
from workers.templates.template_errors import TemplateFailed
from workers.templates.template_filters import FILTERS, shown

_ALLOWED = {
    *("Template", "Output", "TemplateData", "Name", "Const", "Getattr", "Getitem", "Filter", "Test", "If", "For"),
    *("CondExpr", "Compare", "Operand", "And", "Or", "Not", "Neg", "Pos", "Add", "Sub", "Mul", "Div", "FloorDiv"),
    *("Mod", "Concat", "List", "Tuple", "Dict", "Pair", "Slice", "Assign", "Keyword"),
}
_OF_A_LOOP = frozenset({"index", "index0", "first", "last", "length", "revindex", "revindex0"})
_TESTS = (
    "!=", "<", "<=", "==", ">", ">=", "boolean", "defined", "divisibleby", "eq", "even", "false", "float", "ge", "gt",
    "in", "integer", "iterable", "le", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sequence", "string",
    "true", "undefined", "upper",
)  # fmt: skip
_OPERATORS = frozenset({"+", "-", "*", "/", "//", "%"})


class _Undefined(StrictUndefined):
    """What is not there: whatever a template does with it, but `default` and `is defined`, fails with a sentence."""

    __slots__ = ()


def _each(values: Any) -> Iterator[Any]:
    if isinstance(values, Undefined):
        str(values)  # raises
    for value in values or ():
        limits.step()
        yield value


def _concat(*parts: Any) -> str:
    return "".join(map(shown, parts))


@pass_context
def _inserted(context: Context, value: Any) -> str:
    """Return what is inserted into text for the value of an expression."""
    if isinstance(value, Undefined):
        str(value)  # raises
    text = shown(value)
    limits.bounded(text)
    return text if limits.current.escape is None else limits.current.escape(text)


class _Bounding(NodeTransformer):
    """Counts the turns of loops and the length of what `~` makes."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - Jinja's name
        self.generic_visit(node)
        node.iter = _filter(cast("nodes.Expr", node.iter), "_each", [], node)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        return _filter(node.nodes[0], "_concat", node.nodes[1:], node)


def _filter(value: nodes.Expr, name: str, arguments: list[nodes.Expr], at: nodes.Node) -> nodes.Filter:
    return nodes.Filter(value, name, arguments, [], None, None, lineno=at.lineno)


class Environment(SandboxedEnvironment):
    """Compiles templates. Raises TemplateSyntaxError for what may not stand in one."""

    intercepted_binops = _OPERATORS

    def __init__(self) -> None:
        super().__init__(undefined=_Undefined, optimized=False, finalize=_inserted, keep_trailing_newline=True)
        self.globals = {}
        self.filters = {
            **FILTERS,
            "_each": _each,
            "_concat": lambda *parts: limits.bounded(_concat(*parts)),
        }
        self.tests = {name: self.tests[name] for name in _TESTS}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        for node in parsed.find_all(nodes.Node):
            if reason := _why_not(node):
                raise TemplateSyntaxError(reason, node.lineno)
        _Bounding().visit(parsed)
        parsed.set_environment(self)
        return parsed

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a field of a mapping, or what a loop knows of itself; never an attribute of a Python object."""
        if isinstance(obj, LoopContext) and attribute in _OF_A_LOOP:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return a field of a mapping, an item or a part of a list or a text."""
        if isinstance(obj, Undefined):
            str(obj)  # raises
        if isinstance(obj, Mapping):
            return (
                obj[argument] if isinstance(argument, str | int) and argument in obj else self._missing(obj, argument)
            )
        if isinstance(obj, Sequence) and type(argument) in (int, slice):
            try:
                return obj[argument]
            except (IndexError, ValueError):
                return self.undefined(f"there is no item {argument} in it")
        what = "null" if obj is None else "what is no mapping"
        return self.undefined(f"{what} has no field {str(argument)[:60]!r}")

    def _missing(self, obj: Mapping[Any, Any], argument: Any) -> Undefined:
        name = str(argument)[:60]
        near = nearest(name, [key for key in obj if isinstance(key, str)])
        return self.undefined(f"there is no field {name!r}" + (f"; did you mean {near!r}?" if near else ""))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate with numbers; `+` also joins texts and lists."""
        for side in (left, right):
            if isinstance(side, Undefined):
                str(side)  # raises
        is_number = all(isinstance(side, int | float) for side in (left, right))
        joins = operator == "+" and any(isinstance(left, kind) and isinstance(right, kind) for kind in (str, list))
        if not is_number and not joins:
            raise TemplateFailed(f"{operator!r} takes two numbers" + ("; ~ joins texts" if operator == "+" else ""))
        try:
            return limits.bounded(super().call_binop(context, operator, left, right))
        except ArithmeticError:
            raise TemplateFailed(f"{operator!r} cannot be calculated: division by zero, or too large") from None


def _why_not(node: nodes.Node) -> str | None:
    """Return why a part of a template may not stand in it."""
    name = type(node).__name__
    if name == "Call":
        return "nothing can be called in a template; use a filter: {{ data.Name | upper }}"
    if name not in _ALLOWED:
        return f"{_WORDS.get(name, name.lower())} cannot stand in a template"
    if isinstance(node, nodes.Name) and node.name == "self":
        return "there is no 'self' in a template"
    if isinstance(node, nodes.For) and node.recursive:
        return "a loop cannot be recursive"
    if isinstance(node, nodes.Assign) and not isinstance(node.target, nodes.Name):
        return "set takes one name"
    if isinstance(node, nodes.Filter) and (node.name not in FILTERS or node.dyn_args or node.dyn_kwargs):
        return f"there is no filter {node.name!r}{hint(node.name, [*FILTERS])}"
    if isinstance(node, nodes.Test) and node.name not in _TESTS:
        return f"there is no test {node.name!r}{hint(node.name, _TESTS)}"
    return None


_WORDS = {"Pow": "**", "FromImport": "import", "CallBlock": "call", "AssignBlock": "a set block"}

ENVIRONMENT = Environment()
"""The one environment; compiling and rendering share nothing that changes."""


def reason_of(error: BaseException) -> str:
    """Return why a template could not be compiled or rendered, one sentence without quoting values of the event."""
    if isinstance(error, TemplateFailed):
        return str(error)
    if isinstance(error, TemplateError):
        return str(error.message or "cannot be read").rstrip(".")
    return f"{type(error).__name__}: a value is not of the kind that is needed there"
