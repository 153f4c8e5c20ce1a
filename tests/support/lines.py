"""What is written to a log, in a test that keeps it in memory."""

import os
from collections.abc import Callable
from typing import Any

import orjson

from receiver.process.line_writer import LineWriter


def written(write: Callable[[LineWriter], object]) -> bytes:
    """Return what *write* has had written when it has returned."""
    file = os.memfd_create("lines")
    try:
        writer = LineWriter(file)
        write(writer)
        writer.close(30.0)
        return os.pread(file, 1 << 30, 0)
    finally:
        os.close(file)


def objects(text: bytes) -> list[dict[str, Any]]:
    """Return the object of each line."""
    return [orjson.loads(line) for line in text.splitlines()]
