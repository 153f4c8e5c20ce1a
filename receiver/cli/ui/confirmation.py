"""Asking before something is changed or removed: on a terminal a person answers, elsewhere `--yes` does."""

import sys

from receiver.core.errors import UsageError


def agreed(command: str, question: str, *, yes: bool) -> bool:
    """Ask, and take anything but y or yes for a no. Raises UsageError where nobody is there to answer.

    *yes*: the answer was given with the command. The question goes to standard error: the output may be JSON.
    """
    if yes:
        return True
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        raise UsageError(f"{command} asks before it changes anything, and nobody is there to answer; repeat with --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
