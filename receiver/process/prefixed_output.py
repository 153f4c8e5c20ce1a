"""Prints the output of several processes as whole lines with a name and a colour, without terminal escapes."""

import itertools
from collections.abc import Sequence
from typing import Final

from receiver.process.line_writer import LineWriter

_COLOURS: Final = (36, 33, 32, 35, 34, 96, 93, 92)


class PrefixedOutput:
    """Writes lines, each after the name of its process. *names* lists all processes, for the width and the colours.

    *file* is an open file descriptor, 1 for standard output. Callers never wait: while the terminal is stopped
    (Ctrl-S), lines are dropped and counted.
    """

    def __init__(self, names: Sequence[str], *, file: int = 1, colour: bool = False) -> None:
        self._width = max(map(len, names), default=0)
        codes = zip(names, itertools.cycle(_COLOURS), strict=False)
        self._colours = dict(codes) if colour else {}
        self._writer = LineWriter(file)
        self._writer.report = lambda lines: f"... {lines} lines were not shown\n".encode()

    def say(self, name: str, line: str) -> None:
        """Show one line of the process *name*."""
        shown = "".join(char if char.isprintable() or char == "\t" else ascii(char)[1:-1] for char in line)
        prefix = f"{name:<{self._width}} |"
        if code := self._colours.get(name):
            prefix = f"\x1b[{code}m{prefix}\x1b[0m"
        self._writer.put(f"{prefix} {shown}\n".encode())

    def close(self, *, within_s: float = 2.0) -> None:
        """Write the remaining lines as far as time allows."""
        self._writer.close(within_s)
