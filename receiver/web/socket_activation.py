"""Listening sockets that somebody else has opened and hands down, as systemd does for a socket unit.

Who opened them keeps them open over a restart: whoever comes meanwhile waits for the next process and is not refused.
"""

import os
import socket
from collections.abc import MutableMapping
from typing import Final

from receiver.core.errors import SettingsError

_FIRST: Final = 3
_MOST: Final = 64


def sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the sockets that were handed to this process by LISTEN_PID and LISTEN_FDS; none is the usual case.

    The variables are taken away, so that no child takes them for its own. Raises SettingsError for what is no
    listening TCP socket.
    """
    names = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    pid, count, _ = (environ.pop(name, "") for name in names)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    return [_listener(number) for number in range(_FIRST, _FIRST + min(int(count), _MOST))]


def _listener(number: int) -> socket.socket:
    try:
        found = socket.socket(fileno=number)
        is_listening = bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError as error:
        raise SettingsError(f"LISTEN_FDS: descriptor {number} is no socket ({error.strerror})") from None
    if found.family not in (socket.AF_INET, socket.AF_INET6) or found.type != socket.SOCK_STREAM or not is_listening:
        found.detach()
        raise SettingsError(
            f"LISTEN_FDS: descriptor {number} does not listen for TCP; set ListenStream=ADDRESS:PORT in the socket unit"
        )
    os.set_inheritable(number, False)
    found.setblocking(False)
    return found
