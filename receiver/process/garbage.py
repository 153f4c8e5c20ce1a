"""When Python looks for garbage: not while a process starts, which makes many objects and no garbage."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def not_collected() -> Iterator[None]:
    """Import inside of this. What is there at its end is never looked at again; after it, collection is as usual."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
