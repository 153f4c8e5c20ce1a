"""The thread that owns a spool file: only it writes, many entries in one transaction, and replies to the event loop."""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from receiver.core.errors import RequestRefused, SpoolUnavailable
from receiver.process import logs
from receiver.storage.model.spool_row import SpoolRow
from receiver.storage.spool.handle import SpoolHandle, reason_of
from receiver.storage.spool.sqlite_file import SpoolFile, is_damage

_RECORDS_AT_ONCE = 512
_BYTES_AT_ONCE = 8 * 1_048_576
_WRITE_AGAIN_AFTER_S = 1.0
_RETRY_AFTER_S = 30

_log = logs.get()

Reply = asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Append:
    record: SpoolRow
    reply: Reply


@dataclass(frozen=True, slots=True)
class _Call:
    function: Callable[[SpoolFile], Any]
    reply: Reply


class Writer:
    """Carries out operations on one spool file, and replies on the event loop that requested them.

    While the disk fails, entries are refused (RequestRefused 503) and the disk is tried again; the thread never stops.
    """

    def __init__(self, handle: SpoolHandle) -> None:
        self._handle = handle
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._jobs: queue.SimpleQueue[_Append | _Call | None] = queue.SimpleQueue()
        self._left_over: _Call | None = None
        self._failed_at = float("-inf")
        self._failure = ""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def append(self, record: SpoolRow, reply: Reply) -> None:
        """Call *reply* when the record is on disk."""
        self._jobs.put(_Append(record, reply))

    def call(self, function: Callable[[SpoolFile], Any], reply: Reply) -> None:
        """Call *reply* with what *function* returns for the open file."""
        self._jobs.put(_Call(function, reply))

    def finish(self) -> None:
        """End the thread after all operations requested so far, and release the slot."""
        self._jobs.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has ended, at most this long."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (job := self._left_over or self._jobs.get()) is not None:
            self._left_over = None
            if isinstance(job, _Append):
                self._append(self._gather(job))
            else:
                self._answer(job)
        try:
            self._handle.leave()
        except (sqlite3.Error, OSError) as error:
            _log.error("spool.failed", folder=str(self._handle.folder), error=str(error))

    def _gather(self, first: _Append) -> list[_Append]:
        """Return the first record and those that wait after it: they share one sync of the disk."""
        batch, size = [first], first.record.size
        while len(batch) < _RECORDS_AT_ONCE and size < _BYTES_AT_ONCE:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if not isinstance(job, _Append):
                if job is None:
                    self._jobs.put(None)
                self._left_over = job
                break
            batch.append(job)
            size += job.record.size
        return batch

    def _append(self, batch: list[_Append]) -> None:
        try:
            self._see_whether_it_failed_just_now()
            fitting, outcomes = self._fit(self._handle.open_for_more(), batch)
            if fitting:
                self._write(fitting)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must be told and the thread must live
            outcomes = self._fail(batch, error)
        self._handle.publish()
        _tell(outcomes)

    def _see_whether_it_failed_just_now(self) -> None:
        if time.monotonic() - self._failed_at < _WRITE_AGAIN_AFTER_S:
            raise SpoolUnavailable(self._failure)

    def _fit(self, file: SpoolFile, batch: list[_Append]) -> tuple[list[SpoolRow], list[tuple[Reply, Any]]]:
        """Return the records that fit, and the replies to make when they are written."""
        held, quarantined = file.bytes, file.quarantined
        fitting: list[SpoolRow] = []
        outcomes: list[tuple[Reply, Any]] = []
        for job in batch:
            record = job.record
            refusal = self._handle.room.refusal(held, quarantined, record.size, is_quarantined=record.quarantined)
            if refusal:
                outcomes.append((job.reply, RequestRefused(503, refusal, retry_after=_RETRY_AFTER_S)))
                continue
            held += record.size
            quarantined += record.size if record.quarantined else 0
            fitting.append(record)
            outcomes.append((job.reply, None))
        return fitting, outcomes

    def _write(self, records: Sequence[SpoolRow]) -> None:
        try:
            self._handle.open().append(records)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._handle.mend(str(error)).append(records)

    def _fail(self, batch: list[_Append], error: Exception) -> list[tuple[Reply, Any]]:
        """Return refusals for all records; for a second, later records are refused without trying the disk."""
        now = time.monotonic()
        if now - self._failed_at >= _WRITE_AGAIN_AFTER_S:
            self._failed_at, self._failure = now, f"the spool cannot be written: {reason_of(error)}"
            self._handle.room.look_again()
            _log.error("spool.failed", folder=str(self._handle.folder), events=len(batch), error=str(error))
        return [(job.reply, RequestRefused(503, self._failure, retry_after=_RETRY_AFTER_S)) for job in batch]

    def _answer(self, job: _Call) -> None:
        outcome: Any
        try:
            outcome = job.function(self._handle.open())
        except Exception as error:  # noqa: BLE001 - as above
            outcome = SpoolUnavailable(f"the spool cannot be used: {reason_of(error)}")
            if isinstance(error, sqlite3.Error) and is_damage(error):
                self._mend(error)
        self._handle.publish()
        _tell([(job.reply, outcome)])

    def _mend(self, damage: sqlite3.Error) -> None:
        try:
            self._handle.mend(str(damage))
        except (sqlite3.Error, OSError, SpoolUnavailable) as error:
            _log.error("spool.failed", folder=str(self._handle.folder), error=str(error))


def _tell(outcomes: Sequence[tuple[Reply, Any]]) -> None:
    """Reply on the event loop that waits, unless it has ended."""
    if not outcomes:
        return
    try:
        outcomes[0][0].get_loop().call_soon_threadsafe(_settle, outcomes)
    except RuntimeError:
        _log.warning("spool.unheard", events=len(outcomes))


def _settle(outcomes: Sequence[tuple[Reply, Any]]) -> None:
    for reply, outcome in outcomes:
        if reply.done():
            continue
        if isinstance(outcome, BaseException):
            reply.set_exception(outcome)
        else:
            reply.set_result(outcome)
