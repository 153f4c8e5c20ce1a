"""The handler of ours that the benchmarks run: the same duty as that of the peers. Copied beside `routes.yaml`."""

import asyncio
import os
import time

from workers import Event

_files: dict[str, int] = {}


def mark(event: Event, *, file: str, wait_ms: int = 0) -> None:
    """Leave the mark, wait as long as asked."""
    _mark(event, file)
    if wait_ms:
        time.sleep(wait_ms / 1_000)


async def mark_async(event: Event, *, file: str, wait_ms: int = 0) -> None:
    """The same on the event loop."""
    _mark(event, file)
    if wait_ms:
        await asyncio.sleep(wait_ms / 1_000)


def _mark(event: Event, file: str) -> None:
    if file not in _files:
        _files[file] = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(_files[file], b"%010d %020d\n" % (event.data["Id"], time.monotonic_ns()))
