"""The Lua scripts: each is one atomic step of a delivery's life. `source` returns the text that Redis runs."""

from functools import cache
from importlib.resources import files


@cache
def source(name: str) -> str:
    """Return the script *name* with the prelude in front of it."""
    folder = files(__name__)
    return (folder / "prelude.lua").read_text() + "\n" + (folder / f"{name}.lua").read_text()
