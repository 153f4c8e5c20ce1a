"""Suggestions for a misspelt name: the most similar of the known names. Pure."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the most similar of the *known* names, None when none is similar. The result does not depend on order."""
    found = difflib.get_close_matches(name, sorted(known), n=1)
    return found[0] if found else None


def hint(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` to append to an error message, or an empty text when no name is similar."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""
