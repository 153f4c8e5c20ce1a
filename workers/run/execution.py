"""One attempt: a handler runs once, and the result is a value. Nothing that a handler raises gets past here.

`run` and `run_async` run it where they are called: in a pool of threads, on an event loop. `run_alone` is for a process
that runs one attempt at a time.
"""

import asyncio
import ctypes
import inspect
import threading
from typing import Any, NamedTuple

from receiver.core.events import Event, Outcome
from workers import target_errors
from workers.api import Discard, Retry
from workers.plugins.enrichment_reader import Filtered
from workers.plugins.loader import Handler
from workers.plugins.safe_error_text import describe
from workers.plugins.typed_records import RecordUnfit
from workers.templates import TemplateFailed

STUCK_AFTER_S = 1.0
"""How long after its timeout a handler may still take to come back before it counts as stuck."""

_LONGEST_CHAIN = 100


class AttemptTimeout(BaseException):
    """Raised inside a thread whose attempt exceeds its timeout (`PyThreadState_SetAsyncExc`).

    It is not an Exception, so that a handler's `except Exception` lets it through. The thread remembers that it was
    raised: a handler that catches even this has timed out all the same.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        _interrupted.at_all = True


def inject(thread_id: int, exception: type[BaseException] | None) -> None:
    """Raise an exception in another thread as soon as it runs Python code; None cancels one that is still pending."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread_id), ctypes.py_object(exception) if exception else None
    )


class _Interrupted(threading.local):
    at_all = False


_interrupted = _Interrupted()


class AttemptResult(NamedTuple):
    """The result of an attempt.

    *error* is the exception's class and message: one line, at most 500 characters, with the handler's secrets masked;
    None when it succeeded. *retry_after_ms* is the delay before the next attempt, if the handler chose one.
    *uncharged*: the target asked to wait, and the attempt is not counted. *final*: another attempt would end the same
    way. *target_down*: the system that the handler calls is down.
    """

    outcome: Outcome
    error: str | None = None
    retry_after_ms: int | None = None
    uncharged: bool = False
    final: bool = False
    target_down: bool = False


def run(handler: Handler, event: Event) -> AttemptResult:
    """Run a handler that is a plain function, in this thread, for as long as it takes.

    Never raises for what the handler does: SystemExit, KeyboardInterrupt, RecursionError and MemoryError end the
    attempt like any other exception. An AttemptTimeout that arrives here ends it as timed out, even when the handler
    caught it, wrapped it or returned after it. One that arrives later is the caller's.
    """
    _interrupted.at_all = False
    try:
        try:
            returned = handler.call(event)
        except BaseException as error:  # noqa: BLE001 - the one call of foreign code
            result = _raised(error, handler.secrets)
        else:
            result = _returned(returned)
    except AttemptTimeout:
        result = _TIMED_OUT
    return _TIMED_OUT if _interrupted.at_all else result


async def run_async(handler: Handler, event: Event, timeout_s: float) -> AttemptResult:
    """Run a handler that is `async def`; after *timeout_s* seconds it is cancelled and has timed out.

    This cannot end a handler that swallows the cancellation or blocks the loop: the caller has to watch it. Raises
    CancelledError only when the calling task itself is cancelled.
    """
    task = asyncio.current_task()
    cancelled_before = task.cancelling() if task else 0
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            returned = handler.call(event)
            if inspect.isawaitable(returned):
                returned = await returned
        result = _returned(returned)
    except BaseException as error:
        if task and task.cancelling() > cancelled_before:
            raise
        result = _raised(error, handler.secrets)
    # However it ended: past its time it has timed out. A handler's own TimeoutError in time is a failure like others.
    return timed_out(timeout_s) if limit.expired() else result


def run_alone(handler: Handler, event: Event, timeout_s: float) -> AttemptResult:
    """Run a sync or async handler in a thread of its own, for at most *timeout_s* and two more seconds.

    A handler that does not come back by then keeps its thread, which does not prevent the process from exiting.
    """
    results: list[AttemptResult] = []

    def attempt() -> None:
        try:
            if handler.is_async:
                results.append(asyncio.run(run_async(handler, event, timeout_s)))
            else:
                results.append(run(handler, event))
        except AttemptTimeout:
            pass  # the caller knows
        except BaseException as error:  # noqa: BLE001 - `sys.exit` in a task that the handler started ends its loop
            results.append(AttemptResult(Outcome.FAILED, describe(error, handler.secrets)))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(timeout_s + (STUCK_AFTER_S if handler.is_async else 0))  # an async one is cancelled at its timeout
    if thread.is_alive() and thread.ident:
        inject(thread.ident, AttemptTimeout)
        thread.join(STUCK_AFTER_S)
        return timed_out(timeout_s, is_running=thread.is_alive())
    return results[0] if results else timed_out(timeout_s)


def timed_out(timeout_s: float, *, is_running: bool = False) -> AttemptResult:
    """Return the result of an attempt that exceeded its timeout; *is_running*: its handler did not come back."""
    return AttemptResult(
        Outcome.TIMED_OUT, f"timed out after {timeout_s:g} s{', and still running' if is_running else ''}"
    )


_SUCCEEDED = AttemptResult(Outcome.SUCCEEDED)
_TIMED_OUT = AttemptResult(Outcome.TIMED_OUT, "timed out")


def _returned(value: Any) -> AttemptResult:
    """Return the result for a returned value, which is ignored unless it is work that nobody would do."""
    if value is None:
        return _SUCCEEDED
    if inspect.iscoroutine(value):
        value.close()
        return AttemptResult(
            Outcome.FAILED, "the handler returned a coroutine that nobody awaits; declare it `async def`"
        )
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        return AttemptResult(
            Outcome.FAILED, "the handler returned a generator that nobody runs; a handler is a plain function"
        )
    return _SUCCEEDED


def _raised(error: BaseException, secrets: tuple[str, ...]) -> AttemptResult:
    if _is_timeout(error):
        return _TIMED_OUT
    # A TaskGroup wraps what one of its tasks raised; alone in its group, that is what the handler meant.
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    text = describe(error, secrets)
    if isinstance(error, RecordUnfit | TemplateFailed):
        return AttemptResult(Outcome.FAILED, text, final=True)
    if isinstance(error, Filtered):
        return AttemptResult(Outcome.DISCARDED, f"filtered: {error}" if str(error) else "filtered")
    if isinstance(error, Discard):
        return AttemptResult(Outcome.DISCARDED, text)
    if isinstance(error, Retry) and error.after is not None:
        return AttemptResult(Outcome.FAILED, text, round(error.after * 1_000), not error.charged)
    return _of_target(error, text)


def _of_target(error: BaseException, text: str) -> AttemptResult:
    """Return the result of a failed attempt, with what the exception tells about the handler's target."""
    try:
        wait_s = target_errors.asked_to_wait_s(error)
        if wait_s is not None:
            return AttemptResult(Outcome.FAILED, text, round(wait_s * 1_000), uncharged=True)
        return AttemptResult(Outcome.FAILED, text, target_down=target_errors.is_down(error))
    except Exception:  # noqa: BLE001 - the attributes of an exception are foreign code
        return AttemptResult(Outcome.FAILED, text)


def _is_timeout(error: BaseException) -> bool:
    """Return whether an AttemptTimeout is anywhere in *error*: its causes, its contexts, the members of its groups."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _LONGEST_CHAIN:
        current = waiting.pop()
        if isinstance(current, AttemptTimeout):
            return True
        if id(current) in seen:
            continue
        seen.add(id(current))
        waiting += [link for link in (current.__cause__, current.__context__) if link is not None]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions
    return False
