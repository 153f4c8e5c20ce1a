"""Analyses a CEL expression before it runs: which fields it reads, and whether its cost can be bounded.

A CEL expression always terminates, but not always soon: nested comprehensions multiply, and a hostile list could block
the interpreter for minutes. Therefore the tokens of each expression are checked once, when the routes are loaded. The
grammar of the tokens is that of cel-spec (https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from receiver.core.suggest import nearest
from receiver.routing.cel.tokens import Token, tokens_of

MAX_LENGTH = 1_000
"""Characters in an expression."""

MAX_SIGNS = 120
"""Operators, dots and brackets in an expression (`&&`, `||` and commas not counted). A long chain of them is evaluated
by recursion; a depth of 150 still fits into the 128 KiB stack of a thread under musl."""

MAX_BRACKETS = 12
"""Levels of nested brackets. The parser needs 8 KiB of stack for each."""

MAX_COMPREHENSIONS = 3
"""Comprehensions (`all`, `exists`, `exists_one`, `filter`) in an expression, side by side."""

MAX_SUMS = 4
"""`+` in an expression with a comprehension. Each may double a text or a list for every item."""

VARIABLES = ("data", "action", "business_id")
"""The variables that an expression can use."""

GETTERS = frozenset(
    {"getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours", "getMilliseconds"}
    | {"getMinutes", "getMonth", "getSeconds"}
)
"""The methods that read a part of a time. The last four, whose names end in a unit, read a duration too."""

_CONVERSIONS = frozenset({"bool", "bytes", "double", "dyn", "duration", "int", "string", "timestamp", "type", "uint"})

ARGUMENTS: dict[str, tuple[frozenset[int], frozenset[int]]] = {
    "size": (frozenset({1}), frozenset({0})),
    "none": (frozenset(), frozenset({0})),
    **dict.fromkeys(_CONVERSIONS, (frozenset({1}), frozenset())),
    **dict.fromkeys(("contains", "endsWith", "startsWith"), (frozenset(), frozenset({1}))),
    **dict.fromkeys(GETTERS, (frozenset(), frozenset({0, 1}))),
    **dict.fromkeys(("hasValue", "value"), (frozenset(), frozenset({0}))),
    **dict.fromkeys(("of", "ofNonZeroValue", "or", "orValue"), (frozenset(), frozenset({1}))),
}
"""How many arguments each function takes when called as `function(…)`, and as `value.method(…)`."""

FUNCTIONS = frozenset(ARGUMENTS) | {"matches"}
"""The functions that exist. The library reports an unknown function only when it runs, we when routes are loaded."""

COMPREHENSIONS = frozenset({"all", "exists", "existsOne", "exists_one", "filter", "map"})

RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop"}
    | {"namespace", "null", "package", "return", "true", "var", "void", "while"}
)
"""Words that CEL keeps for itself."""

TYPES = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "optional", "string", "type", "uint"})


class ExpressionRefused(ValueError):
    """An expression whose cost cannot be bounded, or that uses an unknown name. The message is one sentence."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A call `.matches(literal)`: the regular expression as it is written, and the position of the call."""

    literal: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What an expression reads. *fields* of each record, by its name; None: the whole record, because the expression
    uses its name without a field."""

    variables: frozenset[str]
    fields: Mapping[str, tuple[str, ...] | None]
    patterns: tuple[Pattern, ...]
    has_comprehension: bool


_NOTHING = Token("", "", 0, 0)


@dataclass(slots=True)
class _Walk:
    """One pass over the tokens of an expression, and its findings."""

    tokens: list[Token]
    records: Collection[str] = ("data",)
    variables: Collection[str] = VARIABLES
    fields: dict[str, set[str]] = field(default_factory=dict)
    items: set[str] = field(default_factory=set)
    patterns: list[Pattern] = field(default_factory=list)
    bodies: list[bool] = field(default_factory=list)  # of each open bracket: does it hold a comprehension's body?
    whole: set[str] = field(default_factory=set)
    comprehensions: int = 0

    def token(self, at: int) -> Token:
        return self.tokens[at] if 0 <= at < len(self.tokens) else _NOTHING

    def walk(self) -> None:
        for at, token in enumerate(self.tokens):
            if token.kind == "name":
                self._name(at)
            elif token.text in ("(", "[", "{"):
                body = token.text == "(" and self._is_method(at - 1) and self.token(at - 1).text in COMPREHENSIONS
                if body:
                    self._comprehension(at, nested=any(self.bodies))
                self.bodies.append(body)
            elif token.text in (")", "]", "}") and self.bodies:
                self.bodies.pop()

    def _is_method(self, at: int) -> bool:
        return self.token(at).kind == "name" and self.token(at - 1).text == "." and self.token(at + 1).text == "("

    def _name(self, at: int) -> None:
        name = self.token(at).text
        if name == "matches" and self.token(at + 1).text == "(":
            self._matches(at)
        elif name in self.records and self.token(at - 1).text != ".":
            self._record(at, name)

    def _comprehension(self, at: int, *, nested: bool) -> None:
        if nested:
            raise ExpressionRefused(
                f"{self.token(at - 1).text}() stands inside another comprehension; nested ones are refused, "
                "because a long list in one event would hold up all others"
            )
        if self.token(at - 1).text == "map":
            raise ExpressionRefused("map() is refused, because it copies what it has made for every item; use exists()")
        item = self.token(at + 1).text
        if item in self.variables:
            raise ExpressionRefused(f"{item} is a variable already; give the items of a list another name")
        self.items.add(item)
        self.comprehensions += 1

    def _matches(self, at: int) -> None:
        literal = self.token(at + 2)
        is_text = literal.kind == "text" and literal.text[0] not in "bB" and self.token(at + 3).text == ")"
        if not (self._is_method(at) and is_text):
            raise ExpressionRefused('write matches() as data.Name.matches("pattern"), with the pattern in quotes')
        if any(self.bodies) and not self._belongs_to_item(at - 2):
            raise ExpressionRefused("matches() on anything but the item must not be in a comprehension; move it out")
        self.patterns.append(Pattern(literal.text, self.token(at).start, self.token(at + 3).end))

    def _belongs_to_item(self, at: int) -> bool:
        """Return whether the name at this token is `item`, or the end of `item.Name.Name`."""
        while self.token(at - 1).text == ".":
            at -= 2
        return self.token(at).kind == "name" and self.token(at).text in self.items

    def _record(self, at: int, name: str) -> None:
        """Note the fields read: one for `data.Name`, `data["Name"]` and `"Name" in data`, otherwise all of them."""
        before, behind, beyond = self.token(at - 1), self.token(at + 1), self.token(at + 2)
        fields = self.fields.setdefault(name, set())
        if behind.text == "." and beyond.kind == "name" and not self._is_method(at + 2):
            fields.add(beyond.text)
        elif behind.text == "[" and _is_plain(beyond) and self.token(at + 3).text == "]":
            fields.add(beyond.text[1:-1])
        elif before.text == "in" and _is_plain(self.token(at - 2)) and behind.text not in (".", "["):
            fields.add(self.token(at - 2).text[1:-1])
        elif name == "data" or not self._is_compared_with_null(at):
            self.whole.add(name)

    def _is_compared_with_null(self, at: int) -> bool:
        return [self.token(at + one).text for one in (1, 2, 3)] in (["=", "=", "null"], ["!", "=", "null"])


def measure(expression: str) -> None:
    """Raise ExpressionRefused for an expression that is too large for the parser."""
    if len(expression) > MAX_LENGTH:
        raise ExpressionRefused(f"is {len(expression)} characters long; {MAX_LENGTH} are allowed")
    tokens = tokens_of(expression)
    signs = sum(token.kind == "sign" and token.text not in "&|,)]}" for token in tokens)
    if signs > MAX_SIGNS:
        raise ExpressionRefused(f"has {signs} operators, dots and brackets; {MAX_SIGNS} are allowed")
    depth = 0
    for token in tokens:
        depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        if depth > MAX_BRACKETS:
            raise ExpressionRefused(f"has more than {MAX_BRACKETS} brackets inside one another")


def read(
    expression: str, *, names: Collection[str], functions: Collection[str], records: Collection[str] = ()
) -> Reading:
    """Analyse *expression*. The library says that it uses these variable *names* and *functions*.

    *records*: the names of further records that it may read. Raises ExpressionRefused if its cost cannot be bounded or
    a name is unknown.
    """
    known = (*VARIABLES, *records)
    walk = _Walk(tokens_of(expression), ("data", *records), known)
    walk.walk()
    if walk.comprehensions > MAX_COMPREHENSIONS:
        raise ExpressionRefused(f"has {walk.comprehensions} comprehensions; at most {MAX_COMPREHENSIONS} are allowed")
    if walk.comprehensions and sum(token.text == "+" for token in walk.tokens) > MAX_SUMS:
        raise ExpressionRefused(f"has more than {MAX_SUMS} '+' beside a comprehension")
    _refuse_unknown_names(set(names) - walk.items, known)
    _refuse_unknown_functions(functions)
    used = frozenset(names) & set(known)
    return Reading(
        variables=used,
        fields={
            name: tuple(sorted(walk.fields[name])) if name in walk.fields and name not in walk.whole else None
            for name in used & {"data", *records}
        },
        patterns=tuple(walk.patterns),
        has_comprehension=walk.comprehensions > 0,
    )


def _is_plain(token: Token) -> bool:
    """Return whether *token* is a text in one pair of quotation marks, without escapes."""
    return (
        token.kind == "text"
        and token.text[0] in "\"'"
        and token.text[:3] not in ('"""', "'''")
        and "\\" not in token.text
    )


def _refuse_unknown_names(names: Collection[str], known: Collection[str]) -> None:
    for name in sorted(set(names) - set(known) - TYPES):
        near = nearest(name, known) or f"data.{name.lstrip('.')}"
        raise ExpressionRefused(f"unknown variable {name!r}; did you mean {near}?")


def _refuse_unknown_functions(functions: Collection[str]) -> None:
    for name in sorted(set(functions) - FUNCTIONS):
        if name in COMPREHENSIONS:
            raise ExpressionRefused(f"write {name}() as data.Names.{name}(item, condition)")
        if name.isidentifier():  # operators are functions too: `_==_`, `!_`, `@in`
            near = nearest(name, FUNCTIONS | COMPREHENSIONS | {"has"})
            raise ExpressionRefused(f"unknown function {name}()" + (f"; did you mean {near}()?" if near else ""))
