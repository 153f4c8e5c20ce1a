"""A bar on standard error while something long goes on; nothing where standard error is no terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

Advance = Callable[[int], None]
"""What moves a bar on, by so many."""


@contextmanager
def bar(label: str, total: Callable[[], int], *, shown: bool = True) -> Iterator[Advance]:
    """Show a bar, and give what moves it on. *total* is asked for only when there is a bar."""
    if not shown or not sys.stderr.isatty():
        yield lambda number: None
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total() or None)
        yield lambda number: progress.advance(task, number)
