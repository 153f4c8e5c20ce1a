"""What may be meant by a name that nobody knows: the nearest of those that are known. Pure."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the nearest of the *known* names; None when none is near. Of equally near ones it is always the same."""
    found = difflib.get_close_matches(name, sorted(known), n=1)
    return found[0] if found else None


def hint(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that asks whether the nearest is meant; empty when none is near."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""
