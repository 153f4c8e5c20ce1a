"""Calls that may take for ever, in threads that nobody has to wait for, not even the end of the process.

No timeout of a socket bounds the resolution of a name: while the name servers are away it takes 20 s or more.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def begin(call: Callable[[], T]) -> Future[T]:
    """Start *call*, and return where its result or its exception will be."""
    result: Future[T] = Future()
    result.set_running_or_notify_cancel()  # whoever gives up waiting for it does not take the place of its result

    def run() -> None:
        try:
            result.set_result(call())
        except Exception as error:  # noqa: BLE001 - it is for whoever asks for the result
            result.set_exception(error)

    threading.Thread(target=run, name="background", daemon=True).start()
    return result


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what *call* returns. Raises TimeoutError when that takes too long; it goes on by itself then."""
    return begin(call).result(seconds)
