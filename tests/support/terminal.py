"""A terminal for commands that ask: a test reads what a person would see, and types."""

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from tests.support.processes import DEADLINE_S, environment


class Terminal:
    """A command with a terminal of its own; gone at the end of the block."""

    def __init__(self, argv: Sequence[str], settings: Mapping[str, str]) -> None:
        self._here, there = pty.openpty()
        self._process = subprocess.Popen(
            argv,
            stdin=there,
            stdout=there,
            stderr=there,
            env=environment(settings) | {"TERM": "xterm"},
            close_fds=True,
        )
        os.close(there)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._here)

    def answer(self, question: str, answer: str) -> str:
        """Type *answer* once *question* is there. Returns what was shown until then."""
        seen = self._read_until(question)
        os.write(self._here, f"{answer}\n".encode())
        return seen

    def end(self) -> tuple[int, str]:
        """Wait for the end of the command; returns its status and what it showed."""
        seen = self._read_until(None)
        return self._process.wait(DEADLINE_S), seen

    def _read_until(self, text: str | None) -> str:
        seen = ""
        while text is None or text not in seen:
            try:
                chunk = os.read(self._here, 65_536)
            except OSError:  # Linux says so when the other side is closed
                break
            seen += chunk.decode(errors="replace")
        return seen
