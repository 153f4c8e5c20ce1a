"""However a handler ends, its attempt ends as a value, and nothing else is harmed."""

import asyncio
import ctypes
import inspect
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from receiver.core.events import Event, Outcome
from tests.support.handled import an_event
from workers import Discard, Retry
from workers.plugins.loader import Handler
from workers.plugins.safe_error_text import describe, one_line, secret_parts
from workers.run.execution import AttemptResult, AttemptTimeout, run, run_alone, run_async


def a_handler(call: Callable[[Event], Any], *secrets: str) -> Handler:
    return Handler("test", inspect.iscoroutinefunction(call), call, secrets)


def raising(error: BaseException) -> Callable[[Event], Any]:
    def handler(event: Event) -> None:
        raise error

    return handler


def raising_later(error: BaseException) -> Callable[[Event], Any]:
    async def handler(event: Event) -> None:
        await asyncio.sleep(0)
        raise error

    return handler


class Strange(BaseException):
    """Neither an Exception nor known to anybody."""


class Unreadable(Exception):
    """Its message is a trap."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


FAILURES = [
    pytest.param(ValueError("no such room"), "ValueError: no such room", id="exception"),
    pytest.param(ValueError(), "ValueError", id="no-message"),
    pytest.param(KeyError("Email"), "KeyError: 'Email'", id="key"),
    pytest.param(TimeoutError("the CRM is slow"), "TimeoutError: the CRM is slow", id="own-timeout"),
    pytest.param(SystemExit(3), "SystemExit: 3", id="exit"),
    pytest.param(KeyboardInterrupt(), "KeyboardInterrupt", id="interrupt"),
    pytest.param(GeneratorExit(), "GeneratorExit", id="generator-exit"),
    pytest.param(MemoryError(), "MemoryError", id="memory"),
    pytest.param(Strange("?"), "Strange: ?", id="base"),
    pytest.param(Unreadable(), "Unreadable: (its message cannot be read: KeyboardInterrupt)", id="unreadable"),
    pytest.param(ValueError("a\nb\tc\x1b[31m\u202e"), "ValueError: a\\nb\\tc\\x1b[31m\\u202e", id="controls"),
    pytest.param(ValueError("\ud800"), "ValueError: \\ud800", id="surrogate"),
    pytest.param(asyncio.CancelledError(), "CancelledError", id="own-cancellation"),
    pytest.param(ExceptionGroup("g", [ValueError("in")]), "ValueError: in", id="group-of-one"),
    pytest.param(
        ExceptionGroup("g", [ValueError("1"), ValueError("2")]), "ExceptionGroup: g (2 sub-exceptions)", id="group"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("error", "shown"), FAILURES)
def test_whatever_a_handler_raises_fails_its_attempt(error: BaseException, shown: str) -> None:
    """Class and message on one line, the same for plain and for async functions."""
    expected = AttemptResult(Outcome.FAILED, shown, target_down=isinstance(error, TimeoutError))

    assert run(a_handler(raising(error)), an_event()) == expected
    assert asyncio.run(run_async(a_handler(raising_later(error)), an_event(), 30)) == expected


def test_a_recursion_without_end_is_a_failure() -> None:
    """The stack has room again when it is recorded."""

    def again(event: Event) -> None:
        again(event)

    ended = run(a_handler(again), an_event())

    assert ended.outcome is Outcome.FAILED
    assert (ended.error or "").startswith("RecursionError: maximum recursion depth exceeded")


@pytest.mark.parametrize("value", [None, 5, object(), lambda: 0, threading.Lock(), {1, 2}, b"\xff"])
def test_what_a_handler_returns_is_ignored(value: object) -> None:
    """Also what no serialiser could keep."""

    async def returning(event: Event) -> object:
        return value

    assert run(a_handler(lambda event: value), an_event()) == AttemptResult(Outcome.SUCCEEDED)
    assert asyncio.run(run_async(a_handler(returning), an_event(), 30)) == AttemptResult(Outcome.SUCCEEDED)


def test_work_that_nobody_would_do_is_no_success() -> None:
    """A plain function that returns a coroutine or a generator has done nothing yet."""

    async def coroutine() -> None:
        raise AssertionError

    def generator() -> Any:
        yield

    ended = [run(a_handler(lambda event, make=make: make()), an_event()) for make in (coroutine, generator)]  # type: ignore[misc]

    assert [one.outcome for one in ended] == [Outcome.FAILED, Outcome.FAILED]
    assert "declare it `async def`" in (ended[0].error or "")
    assert "generator that nobody runs" in (ended[1].error or "")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(Discard("not ours"), AttemptResult(Outcome.DISCARDED, "Discard: not ours"), id="discard"),
        pytest.param(Discard(), AttemptResult(Outcome.DISCARDED, "Discard"), id="discard-silently"),
        pytest.param(Retry("busy"), AttemptResult(Outcome.FAILED, "Retry: busy"), id="retry-by-schedule"),
        pytest.param(Retry("busy", after=1.5), AttemptResult(Outcome.FAILED, "Retry: busy", 1_500), id="retry-after"),
        pytest.param(Retry(after=0), AttemptResult(Outcome.FAILED, "Retry", 0), id="retry-now"),
        pytest.param(Retry(after=math.inf), AttemptResult(Outcome.FAILED, "Retry", 604_800_000), id="retry-bounded"),
        pytest.param(
            Retry("429", after=60, charged=False),
            AttemptResult(Outcome.FAILED, "Retry: 429", 60_000, True),
            id="uncharged",
        ),
        pytest.param(
            ExceptionGroup("tasks", [Retry("busy", after=2)]),
            AttemptResult(Outcome.FAILED, "Retry: busy", 2_000),
            id="tasks",
        ),
    ],
)  # fmt: skip
def test_retry_and_discard_say_what_comes_next(error: Exception, expected: AttemptResult) -> None:
    """The two things a handler may say besides failing."""
    assert run(a_handler(raising(error)), an_event()) == expected
    assert asyncio.run(run_async(a_handler(raising_later(error)), an_event(), 30)) == expected


@pytest.mark.parametrize("after", [-1, float("nan"), True, "60", None])
def test_a_delay_that_is_none_is_refused_where_it_is_written(after: Any) -> None:
    """The handler's author sees it at once; an uncharged wait cannot go without."""
    with pytest.raises(ValueError, match="after="):
        Retry("busy", after=after, charged=False)


def test_an_error_is_cut_and_shows_no_secret() -> None:
    """At most 500 characters; what `env/NAME` brought in is not in them, whole or as the path of a URL."""
    url = "https://user:passw0rd@hooks.example/services/T0000/XXXX?key=abcdef"

    long = run(a_handler(raising(ValueError("x" * 10_000_000))), an_event())
    told = run(a_handler(raising(ValueError(f"{url} :: /services/T0000/XXXX")), *secret_parts(url)), an_event())
    cut = run(a_handler(raising(ValueError("y" * 480 + "hush-hush-secret")), "hush-hush-secret"), an_event())

    assert len(long.error or "") == 500
    assert told.error == "ValueError: *** :: ***"
    assert "hush" not in (cut.error or "")


def test_text_of_strangers_is_one_line_whatever_it_is() -> None:
    """Every control character is escaped, and short texts stay as they are."""
    everything = "".join(map(chr, range(0x2100)))

    shown = one_line(everything, 100_000)

    assert one_line("Zoë 🥶") == "Zoë 🥶"
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)
    assert len(shown.splitlines()) == 1
    assert one_line("a" * 501) == "a" * 499 + "…"
    assert describe(ValueError("  spaced  ")) == "ValueError: spaced"


def interrupted(handler: Callable[[Event], Any]) -> AttemptResult:
    """Run *handler* in a thread of its own, raise AttemptTimeout there once it is in its loop, and return its end."""
    ended: list[AttemptResult] = []
    thread = threading.Thread(target=lambda: ended.append(run(a_handler(handler), an_event())), daemon=True)
    STARTED.clear()
    thread.start()
    assert STARTED.wait(30)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(AttemptTimeout))
    thread.join(30)
    return ended[0]


STARTED = threading.Event()


def _loop(event: Event) -> None:
    STARTED.set()
    while True:
        pass


def _wraps(event: Event) -> None:
    try:
        _loop(event)
    except BaseException as error:
        raise RuntimeError("the CRM client gave up") from error


def _raises_in_its_place(event: Event) -> None:
    try:
        _loop(event)
    finally:
        raise Retry("again", after=1)


def _swallows(event: Event) -> None:
    try:
        _loop(event)
    except BaseException:
        STARTED.clear()


def _discards(event: Event) -> None:
    try:
        _loop(event)
    except BaseException:
        raise Discard("whatever") from None


@pytest.mark.parametrize("handler", [_loop, _wraps, _raises_in_its_place, _swallows, _discards])
def test_an_interrupted_attempt_has_timed_out_whatever_the_handler_makes_of_it(handler: Callable[[Event], Any]) -> None:
    """Let through, wrapped, replaced, swallowed: its time was over."""
    assert interrupted(handler) == AttemptResult(Outcome.TIMED_OUT, "timed out")


def test_the_next_attempt_of_the_same_thread_starts_clean() -> None:
    """An earlier timeout is not held against a later event."""
    ended: list[AttemptResult] = []

    def two_attempts() -> None:
        ended.append(run(a_handler(raising(AttemptTimeout())), an_event()))
        ended.append(run(a_handler(lambda event: None), an_event()))

    thread = threading.Thread(target=two_attempts)
    thread.start()
    thread.join(30)

    assert [one.outcome for one in ended] == [Outcome.TIMED_OUT, Outcome.SUCCEEDED]


def test_an_error_whose_causes_run_in_a_circle_is_still_an_error() -> None:
    """Python does not forbid it, so neither a loop nor a deep chain may hang the worker."""
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one

    assert run(a_handler(raising(one)), an_event()) == AttemptResult(Outcome.FAILED, "ValueError: one")


async def _sleeps(event: Event) -> None:
    await asyncio.sleep(3_600)


async def _sleeps_and_wraps(event: Event) -> None:
    try:
        await asyncio.sleep(3_600)
    except asyncio.CancelledError:
        raise RuntimeError("cleaning up failed") from None


async def _sleeps_and_swallows(event: Event) -> None:
    try:
        await asyncio.sleep(3_600)
    except asyncio.CancelledError:
        return


@pytest.mark.parametrize("handler", [_sleeps, _sleeps_and_wraps, _sleeps_and_swallows])
def test_an_async_handler_past_its_time_has_timed_out(handler: Callable[[Event], Any]) -> None:
    """Cancelled by us, whatever it makes of that; the sentence says after how long."""
    ended = asyncio.run(run_async(a_handler(handler), an_event(), 0.01))

    assert ended == AttemptResult(Outcome.TIMED_OUT, "timed out after 0.01 s")


def test_a_handlers_own_timeout_is_a_failure_and_ours_is_not_its() -> None:
    """`asyncio.timeout` inside a handler is the handler's."""

    async def impatient(event: Event) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(3_600)

    assert asyncio.run(run_async(a_handler(impatient), an_event(), 30)) == AttemptResult(
        Outcome.FAILED, "TimeoutError", target_down=True
    )


def test_a_worker_that_stops_cancels_its_attempts() -> None:
    """Cancellation from outside goes through: it is not the handler's end."""

    async def stopping() -> bool:
        attempt = asyncio.create_task(run_async(a_handler(_sleeps), an_event(), 30))
        await asyncio.sleep(0)
        attempt.cancel()
        await asyncio.wait([attempt])
        return attempt.cancelled()

    assert asyncio.run(stopping())


def test_many_async_attempts_share_a_loop_and_end_apart() -> None:
    """One failing, one timing out, one discarding: each its own end."""

    async def all_of_them() -> list[AttemptResult]:
        handlers = [raising_later(ValueError("x")), _sleeps, raising_later(Discard("y")), raising_later(SystemExit())]
        timeouts = [0.05 if one is _sleeps else 30 for one in handlers]
        attempts = zip(handlers, timeouts, strict=True)
        return await asyncio.gather(*(run_async(a_handler(one), an_event(), timeout_s) for one, timeout_s in attempts))

    ended = asyncio.run(all_of_them())

    assert [one.outcome.value for one in ended] == ["failed", "timed_out", "discarded", "failed"]


def _sleeps_in_c(event: Event) -> None:
    time.sleep(30)


def _spins(event: Event) -> None:
    while True:
        pass


async def _ends_the_loop(event: Event) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    await asyncio.create_task(leave())


async def _returns(event: Event) -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("handler", "timeout_s", "ended"),
    [
        (_returns, 30, AttemptResult(Outcome.SUCCEEDED)),
        (raising(ValueError("x")), 30, AttemptResult(Outcome.FAILED, "ValueError: x")),
        (_ends_the_loop, 30, AttemptResult(Outcome.FAILED, "SystemExit: 3")),
        (_sleeps, 0.05, AttemptResult(Outcome.TIMED_OUT, "timed out after 0.05 s")),
        (_spins, 0.05, AttemptResult(Outcome.TIMED_OUT, "timed out after 0.05 s")),
        (_sleeps_in_c, 0.05, AttemptResult(Outcome.TIMED_OUT, "timed out after 0.05 s, and still running")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_attempt_of_its_own_ends_in_time_however_it_ends(
    handler: Callable[[Event], Any], timeout_s: float, ended: AttemptResult
) -> None:
    """As stock RQ workers and `frontdesk try` run it, whether the handler is async or not."""
    assert run_alone(a_handler(handler), an_event(), timeout_s) == ended
