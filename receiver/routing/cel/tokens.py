"""Splits a CEL expression into tokens, and finds the brackets around them. The grammar is that of cel-spec
(https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<space>  \s+ | //[^\n]* )
    | (?P<text>   [bB]? (?: [rR] (?: \"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n\r]*" | '[^'\n\r]*' )
                  | \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3}
                  | "(?:\\.|[^"\\\n\r])*" | '(?:\\.|[^'\\\n\r])*' ) )
    | (?P<name>   [A-Za-z_]\w* )
    | (?P<number> 0x[0-9a-fA-F]+[uU]? | (?: \d+ (?:\.\d+)? | \.\d+ ) (?:[eE][+-]?\d+)? [uU]? )
    | (?P<sign>   . )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)

_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an expression: a text, name, number or sign, and its position."""

    kind: str
    text: str
    start: int
    end: int


def tokens_of(expression: str) -> list[Token]:
    """Return the tokens of *expression* without the spaces and comments between them."""
    matches = _TOKEN.finditer(expression)
    return [Token(str(m.lastgroup), m[0], m.start(), m.end()) for m in matches if m.lastgroup != "space"]


def depths_of(tokens: Sequence[Token]) -> list[int]:
    """Return for each token how many brackets are open around it. A bracket itself counts as outside."""
    depths, depth = [], 0
    for token in tokens:
        depth -= token.text in _CLOSING
        depths.append(depth)
        depth += token.text in _OPENING
    return depths


def end_of(depths: Sequence[int], start: int) -> int:
    """Return the position at which the bracket that opens at *start* is closed."""
    return next((at for at in range(start + 1, len(depths)) if depths[at] == depths[start]), -1)
