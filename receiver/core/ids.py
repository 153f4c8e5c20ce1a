"""Ids of events: 20 characters of `[0-9a-z]`, ascending with time, made without coordination between processes.

Layout, all base 36: 9 characters of Unix time in milliseconds, 7 random characters chosen once for each generator,
4 characters of a counter. Ids of one generator ascend; two generators collide only if they drew the same 7 random
characters, one of 78 billion. The time in the id determines the hour under which an event is indexed and counted, even
if the event waited in a spool.
"""

import hashlib
import secrets
import time

from receiver.core.durations import HOUR_MS

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_COUNTER_END = 36**4
_PAIRS = tuple(first + second for first in _DIGITS for second in _DIGITS)

LENGTH = 20
"""Characters in an id."""


def _base36(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


class IdGenerator:
    """Makes ids. Create one generator in each process, after any fork; threads must not share one."""

    def __init__(self) -> None:
        self._instance = _base36(secrets.randbelow(36**7), 7)
        self._milliseconds = 0
        self._prefix = ""
        self._counter = 0

    def __call__(self, now: float | None = None) -> str:
        """Return a new id for *now* (Unix seconds; default: the clock).

        Ids ascend even if the clock steps back. Only when it steps back by an hour or more, the earlier time is taken
        to be wrong: the generator then starts over at the new time, with other random characters.
        """
        milliseconds = int((time.time() if now is None else now) * 1_000)
        if milliseconds < self._milliseconds - HOUR_MS:
            self._instance = _base36(secrets.randbelow(36**7), 7)
            self._advance(milliseconds)
        elif milliseconds > self._milliseconds:
            self._advance(milliseconds)
        elif self._counter == _COUNTER_END:
            self._advance(self._milliseconds + 1)
        number = self._counter
        self._counter += 1
        return f"{self._prefix}{_PAIRS[number // 1_296]}{_PAIRS[number % 1_296]}"

    def _advance(self, milliseconds: int) -> None:
        self._milliseconds = milliseconds
        self._prefix = _base36(milliseconds, 9) + self._instance
        self._counter = 0


def derived(identifier: str, number: int) -> str:
    """Return an id for the *number*th part of the event of this id: the same time, and the same id at every call."""
    digest = hashlib.blake2b(f"{identifier}/{number}".encode(), digest_size=8).digest()
    return identifier[:9] + _base36(int.from_bytes(digest, "big") % 36**11, 11)


def milliseconds_of(identifier: str) -> int:
    """Return the Unix time in milliseconds at which an id was made. Raises ValueError if it is not an id."""
    return int(identifier[:9], 36)


def hour_of(identifier: str) -> int:
    """Return the Unix hour under which the event of this id is indexed and counted. Raises ValueError as above."""
    return milliseconds_of(identifier) // HOUR_MS


def lowest(milliseconds: int) -> str:
    """Return a string that sorts below every id made at or after *milliseconds*, and above every earlier one."""
    return _base36(milliseconds, 9)
