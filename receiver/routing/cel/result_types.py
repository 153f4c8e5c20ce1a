"""Finds out from its tokens what type a CEL expression returns: a filter must return true or false, and a key must not
return a list, a mapping or a time.

Nothing is evaluated. A field of a record may have any type, so results that depend on a field are checked for each
event.
"""

from collections.abc import Sequence

from receiver.routing.cel.tokens import Token, depths_of, end_of, tokens_of

_VALUES = {"null": "null", "action": "a text", "business_id": "a number", "data": "a mapping"}
_KINDS = {"text": "a text", "number": "a number"}
_CALLS = dict.fromkeys(("size", "int", "uint", "double"), "a number")
_CALLS |= {"string": "a text", "filter": "a list", "type": "a type", "bytes": "bytes"}
_CALLS |= {"duration": "a duration", "timestamp": "a time"}

KEYS = frozenset({"a text", "a number", "a number or a text"})
"""The results that a filter cannot have and a key can."""


def other_than_true_or_false(expression: str) -> str | None:
    """Return the type that *expression*, or one of its branches, returns if that is surely not true or false; else
    None."""
    return _kind(tokens_of(expression))


def other_than_a_time(expression: str) -> str | None:
    """Return what *expression* results in when that is no time; None when it may be one.

    A field of a record is none: JSON has no times. What adds or subtracts may yield one.
    """
    tokens = tokens_of(expression)
    while tokens and tokens[0].text == "(" and end_of(depths_of(tokens), 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    depths = depths_of(tokens)
    signs = {token.text for token, depth in zip(tokens, depths, strict=True) if depth == 0}
    if "?" in signs or signs & {"+", "-"}:
        return None
    if signs & {"|", "&", "=", "<", ">", "in", "!"}:
        return "true or false"
    if len(tokens) > 2 and tokens[0].text == "data" and all(token.text != "(" for token in tokens):
        return "what the record holds, a text"
    kind = _kind(tokens)
    return None if kind == "a time" else kind


def _kind(tokens: Sequence[Token]) -> str | None:
    depths = depths_of(tokens)
    if tokens and tokens[0].text == "(" and end_of(depths, 0) == len(tokens) - 1:
        return _kind(tokens[1:-1])
    top = [at for at, depth in enumerate(depths) if depth == 0]
    signs = {tokens[at].text for at in top}
    if "?" in signs:
        question, colon = _branches(tokens, top)
        return _kind(tokens[question + 1 : colon]) or _kind(tokens[colon + 1 :])
    if signs & {"|", "&", "=", "<", ">", "in"} or (tokens and tokens[0].text == "!"):
        return None
    if signs & {"+", "-", "*", "/", "%"}:
        return "a number or a text"
    return _of_operand(tokens, depths)


def _of_operand(tokens: Sequence[Token], depths: Sequence[int]) -> str | None:
    """Return the type of an expression without an operator: a literal, a variable or a call."""
    if len(tokens) == 1:
        return _KINDS.get(tokens[0].kind) or _VALUES.get(tokens[0].text)
    if tokens and tokens[0].text in "[{" and end_of(depths, 0) == len(tokens) - 1:
        return "a list" if tokens[0].text == "[" else "a mapping"
    if tokens and tokens[-1].text == ")":
        opening = max(at for at, depth in enumerate(depths[:-1]) if depth == 0 and tokens[at].text == "(")
        name = tokens[opening - 1].text if opening else ""
        return "a number" if name.startswith("get") else _CALLS.get(name)
    return None


def _branches(tokens: Sequence[Token], top: Sequence[int]) -> tuple[int, int]:
    """Return the position of the first `?` outside brackets, and that of its `:`."""
    question = next(at for at in top if tokens[at].text == "?")
    waiting = 0
    for at in top:
        if at > question and tokens[at].text == "?":
            waiting += 1
        elif at > question and tokens[at].text == ":":
            if not waiting:
                return question, at
            waiting -= 1
    return question, len(tokens)
