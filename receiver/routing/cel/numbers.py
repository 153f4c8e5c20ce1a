"""Lets expressions mix whole and decimal numbers. JSON has one kind of number, CEL has three that do not mix:
`150 * 1.21` fails, `150.5 * 1.21` does not.

Nexudus writes 150.0 as 150, so whether a filter can be evaluated would depend on the amount. Therefore an expression
that calculates is evaluated with decimals only: the numbers of the record, those in the expression, and the results of
size() and the getters.
"""

import re
from collections.abc import Sequence
from typing import Any

from receiver.routing.cel.tokens import Token

_ARITHMETIC = frozenset("+-*/%")
_WHOLE = re.compile(r"0x[0-9a-fA-F]+|\d+")


def calculates(tokens: Sequence[Token]) -> bool:
    """Return whether kinds of numbers can matter in the expression. Never for one that asks for the type of a value."""
    return any(token.text in _ARITHMETIC for token in tokens) and not any(token.text == "type" for token in tokens)


def literals(tokens: Sequence[Token]) -> list[tuple[int, int, str]]:
    """Return the positions of whole numbers that must become decimals, each with its decimal text.

    An index into a list stays whole.
    """
    behind = [*tokens[1:], None]
    before = [None, None, *tokens]
    found = []
    for token, next_token, opening, holder in zip(tokens, behind, before[1:], before, strict=False):
        is_index = opening and opening.text == "[" and next_token and next_token.text == "]" and _has_items(holder)
        if token.kind == "number" and _WHOLE.fullmatch(token.text) and not is_index:
            found.append((token.start, token.end, f"{int(token.text, 0) if 'x' in token.text else int(token.text)}.0"))
    return found


def as_decimals(value: Any) -> Any:
    """Return *value* with every whole number in it as a decimal. Raises OverflowError for a number that is too large.

    It recurses, so the depth of *value* must be bounded.
    """
    if type(value) is int:
        return float(value)
    if isinstance(value, dict):
        return {key: as_decimals(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_decimals(item) for item in value]
    return value


def _has_items(token: Token | None) -> bool:
    return token is not None and (token.kind == "name" or token.text in (")", "]"))
