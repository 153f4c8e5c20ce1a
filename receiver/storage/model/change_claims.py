"""The claim on a change that follows the fingerprint of an event; `changes.lua` reads it. Pure.

A hook's event and an event that back-fill makes of the same change have other fingerprints, because their bytes differ.
Where back-fill is at work, an event also claims its change, and one that finds it claimed is a duplicate.
"""

from typing import Final

OF_HOOK: Final = b"h"


def made(*, is_narrowed: bool, is_one_of_several: bool) -> bytes:
    """Return how an event of back-fill claims its change.

    *is_narrowed*: some routes that want it do not get it; a hook's event of the same change then goes to those.
    *is_one_of_several*: it is kept even if its change is claimed.
    """
    if is_one_of_several:
        return b"r" if is_narrowed else b"o"
    return b"n" if is_narrowed else b"m"


def claiming(fingerprint: bytes, how: bytes, change: bytes | None) -> bytes:
    """Return a fingerprint with its claim. *change* None: nothing tells which it is, so there is none."""
    return fingerprint if change is None else fingerprint + how + change
