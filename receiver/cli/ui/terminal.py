"""What needs a person at a terminal: a question before something changes, and a progress bar. Both use standard error,
because the output may be JSON.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from receiver.core.errors import UsageError

Advance = Callable[[int], None]
"""Moves a bar on by that many."""


def agreed(command: str, question: str, *, yes: bool) -> bool:
    """Ask, and take any answer but y or yes for a no. Raises UsageError when there is no terminal to ask on.

    *yes*: the answer was given with the command.
    """
    if yes:
        return True
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        raise UsageError(
            f"{command} asks before it changes anything, and there is no terminal to ask on; repeat with --yes"
        )
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextmanager
def growing_bar(label: str) -> Iterator[tuple[Advance, Advance]]:
    """Show a progress bar whose end is not known yet; yield what moves its end away, and what moves it on."""
    if not sys.stderr.isatty():
        yield lambda number: None, lambda number: None
        return
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=0)

        def expect(number: int) -> None:
            progress.update(task, total=(progress.tasks[0].total or 0) + number)

        yield expect, lambda number: progress.advance(task, number)


@contextmanager
def bar(label: str, total: Callable[[], int], *, shown: bool = True) -> Iterator[Advance]:
    """Show a progress bar, and yield what moves it on. *total* is called only when there is a bar."""
    if not shown or not sys.stderr.isatty():
        yield lambda number: None
        return
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total() or None)
        yield lambda number: progress.advance(task, number)
