"""Lines are written by a thread: nobody waits, nobody fails, and what is lost is counted and said."""

import os
import threading
from collections.abc import Iterator

import pytest

from receiver.process import line_writer
from receiver.process.line_writer import LineWriter
from tests.support.lines import written


@pytest.fixture
def file() -> Iterator[int]:
    """The number of a file in memory."""
    number = os.memfd_create("lines")
    yield number
    os.close(number)


def test_what_cannot_be_written_is_counted_and_said_once_writing_works(file: int) -> None:
    """A disk that was full and is not any more."""
    full = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(full)
    for number in range(3):
        writer.put(b"lost %d\n" % number)
    assert writer.flush(30.0)
    assert writer.lost == 3

    os.dup2(file, full)
    writer.put(b"kept\n")
    writer.close(30.0)
    os.close(full)

    assert os.pread(file, 100, 0) == b"... 3 lines could not be written\nkept\n"


def test_a_pipe_that_nobody_reads_keeps_nobody_waiting() -> None:
    """What does not fit is dropped; a flush waits once and no more; each line is written or counted in the end."""
    reading, writing = os.pipe()
    writer = LineWriter(writing)
    for _ in range(2 * line_writer.MOST_LINES):
        writer.put(b"x" * 99 + b"\n")
    assert not writer.flush(0.01)
    assert not writer.flush(3_600)
    assert writer.lost >= line_writer.MOST_LINES - 10_000
    found: list[bytes] = []

    def read() -> None:
        with os.fdopen(reading, "rb") as stream:
            found.extend(stream)

    reader = threading.Thread(target=read)
    reader.start()
    writer.close(60.0)
    os.close(writing)
    reader.join()
    said = sum(int(line.split()[1]) for line in found if line.startswith(b"..."))
    assert said == writer.lost
    assert said + sum(line == b"x" * 99 + b"\n" for line in found) == 2 * line_writer.MOST_LINES


def test_what_waits_is_bounded_in_bytes_too() -> None:
    """A few long lines are as much as many short ones."""
    reading, writing = os.pipe()
    writer = LineWriter(writing)
    for _ in range(100):
        writer.put_later(lambda: b"x" * 200_000 + b"\n", lines=1, size=line_writer.MOST_BYTES // 10)

    assert writer.lost == 90, "ten of them are as much as may wait, and the first cannot be written"
    os.close(reading)
    writer.close(30.0)
    os.close(writing)
    assert writer.lost == 100


def test_a_line_that_cannot_be_made_is_lost_and_no_other() -> None:
    """The thread goes on."""

    def write(writer: LineWriter) -> None:
        writer.put_later(lambda: b"%d" % (1 // 0), lines=1, size=10)
        writer.put(b"kept\n")
        writer.flush(30.0)
        assert writer.lost == 1

    assert written(write).startswith(b"kept\n")


def test_a_forked_child_has_a_thread_of_its_own(file: int) -> None:
    """What its parent still has to write it does not write again."""
    writer = LineWriter(file)
    writer.put(b"before\n")
    writer.flush(30.0)
    child = os.fork()
    if not child:
        writer.put(b"in the child\n")
        writer.close(30.0)
        os._exit(0)
    os.waitpid(child, 0)
    writer.put(b"after\n")
    writer.close(30.0)

    assert os.pread(file, 100, 0) == b"before\nin the child\nafter\n"
