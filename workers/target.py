"""Whether an exception says that a handler's target is down: that it cannot be reached, is silent, or answers 5xx.

Told by the classes of Python and of the common HTTP clients, which are not imported for it: by their names.
"""

import errno
import socket

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


def is_down(error: BaseException | None) -> bool:
    """Whether *error*, or what it was raised from, says so."""
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
