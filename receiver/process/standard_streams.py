"""Standard input, output and error, whatever whoever started us has made of them: closed, full, or read by nobody.

What a command prints on standard output is its result: where that cannot be written, the command fails and says so.
Standard error, and standard output too of a process that stays, only tell; no work waits for them or fails with them.
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
    """Make the streams of this process safe to use. Call it first: whatever is opened before takes a closed place."""
    _open_what_is_closed()
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
    sys.stdout = _result()
    sys.stderr = _Telling(ERROR, 2)


def detach_output() -> None:
    """Let standard output only tell, in a process that stays: a `print` in a handler neither waits nor fails."""
    sys.stdout = _Telling(OUTPUT, 1)


def discard_output() -> None:
    """Write nothing more to standard output, nor complain at the end about what is left of it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _open_what_is_closed() -> None:
    """Put /dev/null where nothing is open: the next file or socket would get the number, and what we tell."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            os.dup2(opened, number)  # the lowest free number mostly is it already; now children inherit it, too
            if opened != number:
                os.close(opened)


class _Result(io.FileIO):
    """Standard output, unbuffered. Raises OutputUnwritable, but BrokenPipeError where the reader has enough."""

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
        errors="backslashreplace",  # a name that this terminal cannot show is shown by its code points
        line_buffering=bool(before and before.line_buffering),
        write_through=bool(before and before.write_through),
    )


class _Lines(io.RawIOBase):
    """The place of an unbuffered file: hands on what it gets."""

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
    """A text stream that never fails. `print` does not wait; `flush` does, for as long as the end of a process may."""

    def __init__(self, writer: LineWriter, file: int) -> None:
        raw: Any = _Lines(writer, file)
        super().__init__(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self._writer = writer

    def flush(self) -> None:
        super().flush()
        self._writer.flush()
