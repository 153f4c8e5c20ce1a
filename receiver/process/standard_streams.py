"""Makes standard input, output and error safe to use even if our parent left them closed, full or without a reader.

A command's standard output is its result: if that cannot be written, the command fails with an error. Standard error,
and the standard output of a long-running process, are only informative: no work waits for them or fails with them.
"""

import io
import os
import sys
from typing import Any, Final

from receiver.core.errors import OutputUnwritable
from receiver.process.line_writer import LineWriter

OUTPUT: Final = LineWriter(1)
ERROR: Final = LineWriter(2)


def install() -> None:
    """Make the streams of this process safe. Call it first: a file opened before would get a closed stream's number."""
    _open_what_is_closed()
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
    sys.stdout = _result()
    sys.stderr = _Telling(ERROR, 2)


def detach_output() -> None:
    """Make standard output only informative, in a long-running process: a `print` in a handler never waits or fails."""
    sys.stdout = _Telling(OUTPUT, 1)


def discard_output() -> None:
    """Write nothing more to standard output, and raise no error for what is left in its buffer."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _open_what_is_closed() -> None:
    """Open /dev/null for each closed stream: the next file or socket would get its number, and our output with it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            os.dup2(opened, number)  # usually the same number already; dup2 makes children inherit it
            if opened != number:
                os.close(opened)


class _Result(io.FileIO):
    """Standard output, unbuffered. Raises OutputUnwritable, or BrokenPipeError when the reader has closed the pipe."""

    def write(self, data: bytes) -> int:  # type: ignore[override]  # what a buffer above it passes
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputUnwritable(
                f"standard output: cannot be written: {error.strerror}; make room, or send it elsewhere"
            ) from None


def _result() -> io.TextIOWrapper:
    before: Any = sys.stdout
    raw: Any = _Result(1, "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace",  # characters that this terminal cannot show are escaped
        line_buffering=bool(before and before.line_buffering),
        write_through=bool(before and before.write_through),
    )


class _Lines(io.RawIOBase):
    """An unbuffered file that passes everything to a LineWriter."""

    def __init__(self, writer: LineWriter, file: int) -> None:
        self._writer = writer
        self._file = file

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._file)

    def fileno(self) -> int:
        return self._file

    def write(self, data: bytes) -> int:  # type: ignore[override]  # what a buffer above it passes
        self._writer.put(bytes(data))
        return len(data)


class _Telling(io.TextIOWrapper):
    """A text stream that never fails. `print` does not wait; `flush` waits CLOSE_WITHIN_S at most."""

    def __init__(self, writer: LineWriter, file: int) -> None:
        raw: Any = _Lines(writer, file)
        super().__init__(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self._writer = writer

    def flush(self) -> None:
        super().flush()
        self._writer.flush()
