"""What a CEL expression can result in, as far as its words tell: one that does not end in true or false is no filter,
and one that ends in a list, a mapping or a time is no key.

Nothing is evaluated. A field of a record may be anything, so what depends on one is left to each event.
"""

from collections.abc import Sequence

from receiver.routing.expressions import Word, words_of

_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_VALUES = {"null": "null", "action": "a text", "business_id": "a number", "data": "a mapping"}
_KINDS = {"text": "a text", "number": "a number"}
_CALLS = dict.fromkeys(("size", "int", "uint", "double"), "a number")
_CALLS |= {"string": "a text", "filter": "a list", "type": "a type", "bytes": "bytes"}
_CALLS |= {"duration": "a duration", "timestamp": "a time"}

KEYS = frozenset({"a text", "a number", "a number or a text"})
"""The results that are no filter's and can be what tells deliveries apart."""


def other_than_true_or_false(expression: str) -> str | None:
    """Return what *expression*, or a branch of it, results in when that is not true or false; None when it may be."""
    return _kind(words_of(expression))


def _kind(words: Sequence[Word]) -> str | None:
    depths = _depths(words)
    if words and words[0].text == "(" and _end(depths, 0) == len(words) - 1:
        return _kind(words[1:-1])
    top = [at for at, depth in enumerate(depths) if depth == 0]
    signs = {words[at].text for at in top}
    if "?" in signs:
        question, colon = _branches(words, top)
        return _kind(words[question + 1 : colon]) or _kind(words[colon + 1 :])
    if signs & {"|", "&", "=", "<", ">", "in"} or (words and words[0].text == "!"):
        return None
    if signs & {"+", "-", "*", "/", "%"}:
        return "a number or a text"
    return _of_operand(words, depths)


def _of_operand(words: Sequence[Word], depths: Sequence[int]) -> str | None:
    """Return what an expression without an operator results in: a literal, a variable, a call."""
    if len(words) == 1:
        return _KINDS.get(words[0].kind) or _VALUES.get(words[0].text)
    if words and words[0].text in "[{" and _end(depths, 0) == len(words) - 1:
        return "a list" if words[0].text == "[" else "a mapping"
    if words and words[-1].text == ")":
        opening = max(at for at, depth in enumerate(depths[:-1]) if depth == 0 and words[at].text == "(")
        name = words[opening - 1].text if opening else ""
        return "a number" if name.startswith("get") else _CALLS.get(name)
    return None


def _depths(words: Sequence[Word]) -> list[int]:
    """Return for each word how many brackets are open around it; brackets count as outside of themselves."""
    depths, depth = [], 0
    for word in words:
        depth -= word.text in _CLOSING
        depths.append(depth)
        depth += word.text in _OPENING
    return depths


def _end(depths: Sequence[int], start: int) -> int:
    """Return where the bracket that opens at *start* is closed."""
    return next((at for at in range(start + 1, len(depths)) if depths[at] == depths[start]), -1)


def _branches(words: Sequence[Word], top: Sequence[int]) -> tuple[int, int]:
    """Return where the first `?` outside of brackets stands, and the `:` that belongs to it."""
    question = next(at for at in top if words[at].text == "?")
    waiting = 0
    for at in top:
        if at > question and words[at].text == "?":
            waiting += 1
        elif at > question and words[at].text == ":":
            if not waiting:
                return question, at
            waiting -= 1
    return question, len(words)
