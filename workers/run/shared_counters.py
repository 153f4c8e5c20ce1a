"""The counters of a worker process, in memory that it shares with its parent.

The parent reads them every few seconds, also after the process was killed, and adds what is new to the counters of all
processes (`receiver.observation.metrics_store`). Only the recorder's thread writes. Each route has a row; routes beyond
the last row share the first.
"""

import mmap
import struct
import tempfile
from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain
from typing import IO, Final

from receiver.core.events import DeliveryStatus, Outcome
from receiver.observation import metrics_store
from receiver.storage.queue.queue import Acknowledgement, Claim

_ROWS: Final = 512
_NAME: Final = struct.Struct("48s")
_CELL: Final = 8


def _bounds(bounds: tuple[float, ...]) -> list[str]:
    return [*(f"{bound:g}" for bound in bounds), metrics_store.ENDLESS]


_OUTCOMES: Final = [str(outcome) for outcome in Outcome]
_ENDS: Final = [str(end) for end in (DeliveryStatus.SUCCEEDED, DeliveryStatus.DISCARDED, DeliveryStatus.DEAD)]
_OF_ROUTE: Final = [
    *(f"attempts:{{}}:{outcome}" for outcome in _OUTCOMES),
    *(f"ended:{{}}:{end}" for end in _ENDS),
    "retries:{}",
    "handler_ms:{}",
    *(f"handler:{{}}:{bound}" for bound in _bounds(metrics_store.HANDLER_BOUNDS)),
]
_OF_ALL: Final = [
    "delivery_ms",
    *(f"delivery:{bound}" for bound in _bounds(metrics_store.DELIVERY_BOUNDS)),
    "wait_ms",
    *(f"wait:{bound}" for bound in _bounds(metrics_store.DELIVERY_BOUNDS)),
    metrics_store.LOG_LOST,
]
_ATTEMPTS: Final = {outcome: at for at, outcome in enumerate(_OUTCOMES)}
_ENDED: Final = {end: len(_OUTCOMES) + at for at, end in enumerate(_ENDS)}
_RETRIES: Final = len(_OUTCOMES) + len(_ENDS)
_HANDLER: Final = _RETRIES + 1
_LOG_LOST: Final = len(_OF_ALL) - 1
_WAIT: Final = len(metrics_store.DELIVERY_BOUNDS) + 2
_NAMES_AT: Final = (len(_OF_ALL) + _ROWS * len(_OF_ROUTE)) * _CELL


class SharedCounters:
    """The counters of one worker process."""

    def __init__(self, file: IO[bytes] | int) -> None:
        """Map an open file of `file()`, or its descriptor."""
        descriptor = file if isinstance(file, int) else file.fileno()
        self._memory = mmap.mmap(descriptor, _NAMES_AT + _ROWS * _NAME.size)
        self._cells = memoryview(self._memory)[:_NAMES_AT].cast("q")
        self._rows: dict[str, int] = {}

    @staticmethod
    def file() -> IO[bytes]:
        """Return an unnamed file of the right size, whose descriptor a child inherits."""
        file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as its process
        file.truncate(_NAMES_AT + _ROWS * _NAME.size)
        return file

    def ended(self, claim: Claim, ended: Acknowledgement) -> None:
        """Count how an attempt ended; what was only given back is not counted."""
        attempt = ended.attempt
        if attempt is None:
            return
        row = self._rows.get(claim.route)
        if row is None:
            row = self._begin_row(claim.route)
        cells = self._cells
        cells[row + _ATTEMPTS[attempt.outcome]] += 1
        self._observe(row + _HANDLER, metrics_store.HANDLER_BOUNDS, attempt.ended_ms - attempt.started_ms)
        if ended.verdict in _ENDED:
            cells[row + _ENDED[ended.verdict]] += 1
        else:
            cells[row + _RETRIES] += 1
        if claim.envelope is not None and claim.origin is None:  # how long a replay took says nothing
            received_ms = claim.envelope.received_ms
            if ended.verdict == "succeeded":
                self._observe(0, metrics_store.DELIVERY_BOUNDS, attempt.ended_ms - received_ms)
            if attempt.number == 1:
                self._observe(_WAIT, metrics_store.DELIVERY_BOUNDS, attempt.started_ms - received_ms)

    def lines_lost(self, number: int) -> None:
        """Set how many lines of its log the process has failed to write so far. Any thread may call it."""
        self._cells[_LOG_LOST] = number

    def amounts(self) -> dict[str, int]:
        """Return all counts since the process started, by the fields of `metrics_store`."""
        return {field: count for field, count in chain(self._all(), self._routes()) if count}

    def _observe(self, at: int, bounds: tuple[float, ...], took_ms: int) -> None:
        """Count a duration: the cell at *at* is the sum, the cells after it are the buckets."""
        took_ms = max(took_ms, 0)  # clocks of two machines differ
        self._cells[at] += took_ms
        self._cells[at + 1 + bisect_left(bounds, took_ms / 1_000)] += 1

    def _begin_row(self, route: str) -> int:
        number = len(self._rows) + 1
        if number >= _ROWS:
            return len(_OF_ALL)
        _NAME.pack_into(self._memory, _NAMES_AT + number * _NAME.size, route.encode())
        row = self._rows[route] = len(_OF_ALL) + number * len(_OF_ROUTE)
        return row

    def _all(self) -> Iterator[tuple[str, int]]:
        return zip(_OF_ALL, self._cells[: len(_OF_ALL)], strict=True)

    def _routes(self) -> Iterator[tuple[str, int]]:
        for number in range(_ROWS):
            (name,) = _NAME.unpack_from(self._memory, _NAMES_AT + number * _NAME.size)
            route = name.rstrip(b"\0").decode("ascii", "replace") if number else metrics_store.OTHER
            if not route:
                return
            row = len(_OF_ALL) + number * len(_OF_ROUTE)
            for field, count in zip(_OF_ROUTE, self._cells[row : row + len(_OF_ROUTE)], strict=True):
                yield field.format(route), count
