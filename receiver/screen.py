"""One writer for the output of many: whole lines, told apart by name and colour, harmless to a terminal."""

import contextlib
import itertools
import os
import queue
import threading
from collections.abc import Sequence
from typing import Final

_LINES_AHEAD: Final = 10_000
_COLOURS: Final = (36, 33, 32, 35, 34, 96, 93, 92)


class Screen:
    """Writes lines, each behind the name of who said it; *names* are known beforehand, for the width and the colours.

    *file* is the number of an open file, 1 for standard output. Callers never wait: when the terminal stands still
    (Ctrl-S), lines are dropped and counted.
    """

    def __init__(self, names: Sequence[str], *, file: int = 1, colour: bool = False) -> None:
        self._file = file
        self._width = max(map(len, names), default=0)
        codes = zip(names, itertools.cycle(_COLOURS), strict=False)
        self._colours = dict(codes) if colour else {}
        self._lines: queue.Queue[str | None] = queue.Queue(_LINES_AHEAD)
        self._dropped = 0
        self._writer = threading.Thread(target=self._write, name="screen", daemon=True)
        self._writer.start()

    def say(self, name: str, line: str) -> None:
        """Show one line."""
        shown = "".join(char if char.isprintable() or char == "\t" else ascii(char)[1:-1] for char in line)
        prefix = f"{name:<{self._width}} |"
        if code := self._colours.get(name):
            prefix = f"\x1b[{code}m{prefix}\x1b[0m"
        try:
            self._lines.put_nowait(f"{prefix} {shown}\n")
        except queue.Full:
            self._dropped += 1

    def close(self, *, within_s: float = 2.0) -> None:
        """Write what is left, as far as it can be written in time."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=within_s)
            self._writer.join(within_s)

    def _write(self) -> None:
        # The file's number rather than sys.stdout: a thread that stands still there would hold its lock when we exit.
        with contextlib.suppress(OSError):  # the terminal or pipe is gone; nobody is left to tell
            while (line := self._lines.get()) is not None:
                if self._dropped:
                    line += f"... {self._dropped} lines were not shown\n"
                    self._dropped = 0
                rest = line.encode()
                while rest:
                    rest = rest[os.write(self._file, rest) :]
