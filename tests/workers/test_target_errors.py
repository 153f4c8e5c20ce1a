"""What exceptions say of a handler's target, whatever client raised them."""

import errno
import socket
from types import SimpleNamespace

import pytest

from receiver.core.events import Outcome
from tests.support.handled import an_event
from tests.workers.run.test_execution import a_handler, raising
from workers import TargetDown, target_errors
from workers.run.execution import AttemptResult, run


class HTTPStatusError(Exception):
    """As httpx and requests raise it: with the response."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"status {status}")
        self.response = SimpleNamespace(status_code=status, headers=headers or {})


class ConnectTimeout(Exception):
    """Named as in httpx; of no class that we know."""


class Gone(TargetDown):
    """A handler author's own."""


def raised_from(cause: BaseException) -> BaseException:
    """An exception of the handler's own, raised from another."""
    error = RuntimeError("could not tell the CRM")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        socket.gaierror(-2, "not known"),
        OSError(errno.EHOSTUNREACH, "no route"),
        ConnectTimeout(),
        HTTPStatusError(500),
        HTTPStatusError(503),
        Gone("as I say"),
        raised_from(HTTPStatusError(502)),
    ],
)
def test_a_target_is_down(error: BaseException) -> None:
    """It cannot be reached, is silent, or answers 500 and above; also behind another exception."""
    assert target_errors.is_down(error)
    assert target_errors.asked_to_wait_s(error) is None


@pytest.mark.parametrize(
    "error",
    [ValueError("bad"), FileNotFoundError(2, "none"), HTTPStatusError(404), HTTPStatusError(429), KeyError("x")],
)
def test_a_failure_of_another_kind_says_nothing_of_the_target(error: BaseException) -> None:
    """The handler's own faults, and answers that a target gives because it is there."""
    assert not target_errors.is_down(error)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (HTTPStatusError(429, {"Retry-After": "30"}), 30.0),
        (HTTPStatusError(503, {"Retry-After": " 0 "}), 1.0),
        (HTTPStatusError(429, {"Retry-After": "999999999"}), 86_400.0),
        (HTTPStatusError(429, {"Retry-After": "2.5"}), 2.5),
        (HTTPStatusError(503, {"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}), 1.0),
        (HTTPStatusError(503, {"Retry-After": "Fri, 01 Jan 2500 00:00:00 GMT"}), 86_400.0),
        (raised_from(HTTPStatusError(429, {"Retry-After": "30"})), 30.0),
        (HTTPStatusError(429, {"Retry-After": "soon"}), None),
        (HTTPStatusError(500, {"Retry-After": "30"}), None),
        (HTTPStatusError(429), None),
    ],
)
def test_a_target_asks_to_wait(error: Exception, seconds: float | None) -> None:
    """Within bounds; the attempt is then not charged, as when the handler had raised Retry itself."""
    assert target_errors.asked_to_wait_s(error) == seconds
    if seconds is not None:
        expected = AttemptResult(
            Outcome.FAILED, f"{type(error).__name__}: {error}", int(seconds * 1_000), uncharged=True
        )
        assert run(a_handler(raising(error)), an_event()) == expected


def test_an_exception_whose_attributes_raise_fails_its_attempt_like_any_other() -> None:
    """They are a stranger's code."""

    class Hostile(Exception):
        @property
        def response(self) -> object:
            raise ValueError("no")

    assert run(a_handler(raising(Hostile("odd"))), an_event()) == AttemptResult(Outcome.FAILED, "Hostile: odd")
