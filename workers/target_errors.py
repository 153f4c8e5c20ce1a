"""Finds out from a handler's exception whether its target is down (unreachable, silent, or answers 5xx), or answered
429 or 503 and asks to wait (`Retry-After`). What the delivery does then is in `workers.run.outcome_policy`. The handler
`forward` reads the answers that it gets itself.
Exceptions of the common HTTP clients are recognised by the names of their classes, so that none need be imported.
"""

import errno
import socket
from datetime import UTC, datetime

from workers.api import seconds_to_wait

_BY_NAME = frozenset(
    {
        "ClientConnectionError",  # aiohttp
        "ConnectError",  # httpx, httpcore
        "ConnectTimeout",
        "ConnectionError",  # requests, and Python itself
        "MaxRetryError",  # urllib3
        "NetworkError",
        "NewConnectionError",
        "ReadTimeout",
        "RemoteProtocolError",
        "ServerTimeoutError",
        "Timeout",
        "TimeoutException",
    }
)
_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
_LONGEST_CHAIN = 10


def asked_to_wait_s(error: BaseException | None) -> float | None:
    """Return how many seconds the response in *error*, or in one of its causes, asks to wait; None when it does not."""
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return None
        if _status(error) in (429, 503):
            headers = getattr(getattr(error, "response", None), "headers", None) or getattr(error, "headers", None)
            said = headers.get("Retry-After") if headers is not None and hasattr(headers, "get") else None
            return seconds_to_wait(said, datetime.now(UTC)) if isinstance(said, str) else None
        error = error.__cause__
    return None


def is_down(error: BaseException | None) -> bool:
    """Return whether *error*, or one of its causes, shows that the target is down."""
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return False
        if _says_so(error):
            return True
        error = error.__cause__
    return False


def _says_so(error: BaseException) -> bool:
    if getattr(error, "target_down", False) is True or isinstance(
        error, ConnectionError | TimeoutError | socket.gaierror
    ):
        return True
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return True
    if any(kind.__name__ in _BY_NAME for kind in type(error).__mro__):
        return True
    return _status(error) >= 500


def _status(error: BaseException) -> int:
    """Return the HTTP status that an exception carries, itself or in its response; 0 for none."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            status = getattr(holder, name, None)
            if type(status) is int and 100 <= status <= 599:
                return status
    return 0
