"""The bounds of one rendering: its time, its steps, the length of what it makes."""

import threading
import time
from collections.abc import Callable, Sized
from typing import Any

from workers.templates.template_errors import TemplateFailed

LONGEST_SOURCE = 20_000
"""Characters of one template."""

LONGEST_TEXT = 100_000
"""Characters of a text, and items of a list, that a template makes on its way."""

MOST_STEPS = 20_000
"""Turns of all loops of one rendering."""

LONGEST_S = 1.0
_LARGEST_BITS = 256


class _Rendering(threading.local):
    """The rendering of this thread. It never awaits, so that one on an event loop is alone, too."""

    until = 0.0
    steps = 0
    escape: Callable[[str], str] | None = None


current = _Rendering()


def begin(escape: Callable[[str], str] | None) -> None:
    """Begin a rendering in this thread; *escape* is applied to each value that is inserted into text."""
    current.until = time.monotonic() + LONGEST_S
    current.steps = 0
    current.escape = escape


def step() -> None:
    """Count a turn of a loop. Raises TemplateFailed when there were too many."""
    current.steps += 1
    if current.steps > MOST_STEPS:
        raise TemplateFailed(f"its loops turn more than {MOST_STEPS} times")
    hurry()


def hurry() -> None:
    """Raise TemplateFailed when the rendering takes too long."""
    if time.monotonic() > current.until:
        raise TemplateFailed(f"takes longer than {LONGEST_S:g} s")


def bounded(value: Any) -> Any:
    """Return *value*. Raises TemplateFailed when it is too long or too large."""
    hurry()
    if isinstance(value, Sized) and len(value) > LONGEST_TEXT:
        raise TemplateFailed(f"makes a text or a list longer than {LONGEST_TEXT}")
    if isinstance(value, int) and value.bit_length() > _LARGEST_BITS:
        raise TemplateFailed("makes a number that is too large")
    return value
