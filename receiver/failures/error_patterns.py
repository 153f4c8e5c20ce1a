"""What errors have in common: an error's text without what differs from one delivery to the next. Pure.

A pattern is the name of a group of failures, so it must hold nothing of a person. Quoted texts, addresses, numbers and
ids are taken out, and so is every capitalized word that is not one of the words of the trade: that is what names of
people and companies look like. `without_texts` then takes out the words of a record in lower case.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from receiver.core.sanitize import plain
from receiver.nexudus.actions import NAMES, entity_kind

LONGEST: Final = 160
"""Characters of a pattern's message."""

NO_TEXT: Final = "no error text"

_READ: Final = 600
_GAP: Final = "…"
_CLASS: Final = re.compile(r"[A-Za-z_][\w.]{0,99}(?=: |$)", re.ASCII)
_STATUS: Final = re.compile(
    r"(\b(?:answered|status|code|HTTP(?:/[\d.]{1,3})?|[Ee]rror)\W{0,3})([1-5]\d\d)(?!\w)", re.ASCII
)
_PLACE: Final = re.compile(
    r"(?<![\w./~-])(?:File )?[\"']?(?:[\w.~-]{0,40}/){0,12}([A-Za-z_]\w{0,60}\.py)(?::|[\"']?, line )(\d{1,6})",
    re.ASCII,
)
_QUOTED: Final = re.compile(
    r"""(?<![^\W_])'.*?(?:'(?![^\W_])|$)|".*?(?:"|$)|`.*?(?:`|$)|[“„«].*?(?:[”“»]|$)""", re.DOTALL
)
_BRACES: Final = re.compile(r"\{.*\}|\[.*\]", re.DOTALL)
_ADDRESS: Final = re.compile(
    r"\b[A-Za-z][A-Za-z0-9+.-]{0,20}://\S+|(?<!\S)\S+@\S+|(?<![\w.~%/-])(?:[\w.~%-]*/){2,}[\w.~%-]*|\b[\w-]+(?:\.[\w-]+){2,}(?::\d+)?"
)
_WORD: Final = re.compile(r"\w+(?:[-'’]\w+)*")
_GAPS: Final = re.compile(rf"{_GAP}(?:[\s,;:|/()=-]*{_GAP})+")
_LOWER: Final = re.compile(r"[a-z]{1,24}(?:['’_-][a-z]{1,24}){0,4}")
_CLASS_NAME: Final = re.compile(
    r"(?:[A-Z]+[a-z]+)*[A-Z]+[a-z]*(?:Error|Exception|Timeout|Warning|Delivered|Pool)", re.ASCII
)

_WORDS: Final = """
    API Access An Attribute Auth Authentication Authorization Bad Body Broken Bytes Cannot Certificate Client Conflict
    Connect Connection Content Could Data Database Deadlock Denied Did Duplicate Empty End Entity Error Event Exceeded
    Exception Expected Expired FATAL Failed Failure Field Fields File Forbidden Found Gateway Gone HTTP HTTPS Header
    Host ID IO IP Id If In Index Input Integer Integrity Internal Invalid It Its JSON Key Length Limit List Lock
    Malformed Max Maximum Memory Message Method Missing Module Must Name Network No None Not Null Number Object Of On
    Only Operation Out Parameter Parse Path Payment Permission Pipe Please Pool Port Precondition Process Protocol
    Proxy Query Quota Rate Read Record Redis Refused Remote Request Required Reset Resource Response Retry Route SMTP
    SQL SSL Server Service Session Signature Some Socket Status Stream String TCP TLS TTL Table Target Temporary That
    The This Timed Timeout Token Too Transaction Type UDP UNIQUE URI URL UTF Unable Unauthorized Unavailable Undefined
    Unexpected Unique Unknown Unprocessable Unsupported Update Upstream User Validation Value Was When While Write
    Wrong XML YAML You Your
"""

_TRADE: Final = frozenset(_WORDS.split()) | frozenset(NAMES) | frozenset(map(entity_kind, NAMES))
"""Capitalized words that are nobody's name."""

_OTHER_WORDS: Final = """
    a after again already an and any are as at be been before but by can character characters does due error exist
    exists expecting fails for from get got has have host in into is it its line longer many missing more most must no
    not of off on one open or out over present read retries seconds such than that the their then there they this to
    too two unit until up used value values was were which while will with within without wants write wrong yet column
    char answered answers redirects followed final name so address disable correct asks wait object found refused
    reset peer
"""

_COMMON: Final = frozenset(_WORDS.lower().split()) | frozenset(_OTHER_WORDS.split())
"""Words that say nothing of a person although a record has them."""


def kind_of(error: str) -> str:
    """Return the class of the exception that an error begins with, and an HTTP status that it names; nothing else."""
    found = _CLASS.match(error)
    status = _STATUS.search(error[:_READ])
    parts = (found[0] if found else "error", status[2] if status else "")
    return " ".join(part for part in parts if part)


@lru_cache(maxsize=20_000)
def pattern_of(error: str | None) -> str:
    """Return what an error has in common with others of its cause; at most some 260 characters, however long it is."""
    text = plain((error or "")[:_READ]).strip()
    if not text:
        return NO_TEXT
    found = _CLASS.match(text)
    message = text[found.end() + 2 :] if found else text
    said = _message(message)
    return f"{found[0]}: {said}" if found and said else found[0] if found else said or NO_TEXT


def without_texts(pattern: str, record: Any) -> str:
    """Return a pattern without the words that the texts of a record have: a name may be written in lower case."""
    theirs = {word for text in _texts(record) for word in re.findall(r"\w{2,}", text.casefold())} - _COMMON
    found = _CLASS.match(pattern)
    start = found.end() if found else 0
    said = _WORD.sub(lambda one: _GAP if _names(one[0], theirs) else one[0], pattern[start:])
    return pattern[:start] + _joined(said)


def _names(word: str, theirs: set[str]) -> bool:
    return not theirs.isdisjoint(re.findall(r"\w+", word.casefold()))


def _message(message: str) -> str:
    kept: list[str] = []

    def keep(text: str) -> str:
        kept.append(text)
        return f"\x00{len(kept) - 1}\x00"

    # What is kept is put aside as a control character and its number: `plain` has left none in the text.
    message = _PLACE.sub(lambda one: keep(f"{one[1]}:{one[2]}"), message)
    message = _STATUS.sub(lambda one: one[1] + keep(one[2]), message)
    for left_out in (_QUOTED, _BRACES, _ADDRESS):
        message = left_out.sub(_GAP, message)
    parts = re.split("\x00(\\d+)\x00", message)
    parts[::2] = [_WORD.sub(_word, part) for part in parts[::2]]
    parts[1::2] = [kept[int(number)] for number in parts[1::2]]
    return _joined("".join(parts))


def _joined(text: str) -> str:
    text = " ".join(_GAPS.sub(_GAP, text).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + _GAP


def _word(found: re.Match[str]) -> str:
    word = found[0]
    return word if _LOWER.fullmatch(word) or word in _TRADE or _CLASS_NAME.fullmatch(word) else _GAP


def _texts(value: Any) -> Iterator[str]:
    """Yield the short texts within a record: names are short, and a note has every word."""
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if len(one) <= 80:
                yield one
        elif isinstance(one, dict | list):
            below: Iterable[Any] = one.values() if isinstance(one, dict) else one
            waiting += below
