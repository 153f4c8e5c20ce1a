"""Finds errors in an expression that do not depend on the record: invalid calls, and parts that always fail.

Each of them would make the filter fail for every event, and the message would blame the record. Pure, except that the
parts that read nothing of the event are evaluated.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

from receiver.routing.cel.expressions import ARGUMENTS, GETTERS, ExpressionRefused
from receiver.routing.cel.functions import time_zone
from receiver.routing.cel.tokens import Token, depths_of, end_of

_TAKE_A_TEXT = frozenset({"contains", "endsWith", "startsWith"}) | GETTERS
_SEPARATORS = frozenset({"&", "|", "?", ":", "=", "<", ">", "in", ","})
_NO_VARIABLES = frozenset({"true", "false", "null", "in"})

_FORMATS = {
    "duration": "a duration is written in h, m, s and ms, like duration('24h')",
    "timestamp": "a time is written like timestamp('2026-11-29T08:00:00Z')",
}


def check(tokens: Sequence[Token]) -> None:
    """Raise ExpressionRefused for a call with a wrong number or type of arguments, and for a division by zero."""
    depths = depths_of(tokens)
    for at, token in enumerate(tokens[:-1]):
        if token.kind == "name" and tokens[at + 1].text == "(" and token.text in ARGUMENTS:
            _check_call(token.text, _arguments(tokens, depths, at + 1), is_method=_is_dot(tokens, at - 1))
        if token.text in ("/", "%") and _is_zero(tokens[at + 1]):
            raise ExpressionRefused(f"divides by zero: {token.text} {tokens[at + 1].text}")


def try_constant_parts(source: str, tokens: Sequence[Token], why_it_fails: Callable[[str], str | None]) -> None:
    """Raise ExpressionRefused if a part that reads nothing of the event fails. *why_it_fails* evaluates a part."""
    for start, end in [*_constant_parts(tokens), *_literal_times(tokens)]:
        part = source[start:end]
        why = why_it_fails(part)
        if why is not None:
            raise ExpressionRefused(f"{part} fails for every event: {_FORMATS.get(part.partition('(')[0], why)}")


def _check_call(name: str, arguments: Sequence[Sequence[Token]], *, is_method: bool) -> None:
    counts = ARGUMENTS[name][is_method]
    call = f"value.{name}()" if is_method else f"{name}()"
    if not counts:
        other = f"{name}(value)" if is_method else f"value.{name}()"
        raise ExpressionRefused(f"there is no {call}; write it as {other}")
    if len(arguments) not in counts:
        wanted = " or ".join(str(count) for count in sorted(counts))
        raise ExpressionRefused(f"{call} takes {wanted} argument{'s' * (wanted != '1')}, not {len(arguments)}")
    if arguments and name in GETTERS:
        _check_time_zone(name, arguments[0])
    elif arguments and name in _TAKE_A_TEXT and len(arguments[0]) == 1 and _is_no_text(arguments[0][0]):
        raise ExpressionRefused(f"{call} takes a text, not {arguments[0][0].text}")


def _check_time_zone(name: str, argument: Sequence[Token]) -> None:
    """Refuse a time zone that is not a literal: one from a record would be looked up on the disk at every event."""
    text = argument[0].text
    with suppress(ValueError):
        if len(argument) == 1 and argument[0].kind == "text":
            time_zone(text[1:-1])
            return
    raise ExpressionRefused(f"{name}() takes a time zone in quotes, like 'Europe/Madrid' or '+02:00', not {text}")


def _arguments(tokens: Sequence[Token], depths: Sequence[int], opening: int) -> list[Sequence[Token]]:
    """Return the arguments of the call whose bracket opens at *opening*."""
    closing = end_of(depths, opening)
    commas = [at for at in range(opening, closing) if tokens[at].text == "," and depths[at] == depths[opening] + 1]
    edges = [opening, *commas, closing]
    found = [tokens[left + 1 : right] for left, right in pairwise(edges)]
    return [argument for argument in found if argument]


def _constant_parts(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Yield the positions of the largest parts that read nothing of the event and are more than a literal.

    A part ends at a bracket, or at an operator with lower precedence than arithmetic.
    """
    depths = depths_of(tokens)
    start = 0
    for at in range(len(tokens) + 1):
        if at < len(tokens) and (depths[at] or tokens[at].text not in _SEPARATORS):
            continue
        part = tokens[start : at - (at > start and tokens[at - 1].text == "!")]  # the ! of a !=
        if not _is_constant(part):
            for opening, closing in _brackets(part):
                yield from _constant_parts(part[opening + 1 : closing])
        elif len(part) > 1:
            yield part[0].start, part[-1].end
        start = at + 1


def _literal_times(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Yield where durations and times stand that are written down, like duration('1h')."""
    for name, opening, text, closing in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False):
        if name.text in _FORMATS and opening.text == "(" and text.kind == "text" and closing.text == ")":
            yield name.start, closing.end


def _brackets(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    depths = depths_of(tokens)
    for at, token in enumerate(tokens):
        if depths[at] == 0 and token.text in ("(", "[", "{"):
            yield at, end_of(depths, at)


def _is_constant(part: Sequence[Token]) -> bool:
    """Return whether the part contains no names other than those of functions."""
    behind = [*(token.text for token in part), ""][1:]
    names = [(token.text, after) for token, after in zip(part, behind, strict=False) if token.kind == "name"]
    return all(name in _NO_VARIABLES or after == "(" for name, after in names)


def _is_dot(tokens: Sequence[Token], at: int) -> bool:
    return at >= 0 and tokens[at].text == "."


def _is_zero(token: Token) -> bool:
    return token.kind == "number" and not token.text.lower().strip("0x.u")


def _is_no_text(token: Token) -> bool:
    return token.kind == "number" or token.text in ("true", "false", "null")
