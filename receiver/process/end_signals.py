"""The signals that ask a process to stop."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


def numbers() -> tuple[signal.Signals, ...]:
    """Return SIGTERM, and SIGHUP (a terminal was closed) unless our parent set it to be ignored, as `nohup` does."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, hangup)


def answer(handler: Handler) -> None:
    """Install *handler* for each of these signals. Must be called in the main thread."""
    for number in numbers():
        signal.signal(number, handler)


@contextlib.contextmanager
def answered(handler: Handler) -> Iterator[None]:
    """Install *handler* for each of these signals and SIGINT while the context is open; main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (*numbers(), signal.SIGINT)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
