"""Takes over listening sockets that another process opened, as systemd does for a socket unit.

systemd keeps them open during a restart: clients that connect meanwhile wait for the next process and are not refused.
"""

import os
import socket
from collections.abc import MutableMapping
from typing import Final

from receiver.core.errors import SettingsError

_FIRST: Final = 3
_MOST: Final = 64


def sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the sockets that LISTEN_PID and LISTEN_FDS pass to this process; usually there are none.

    The variables are removed, so that no child process uses them. Raises SettingsError for a descriptor that is not a
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
        raise SettingsError(f"LISTEN_FDS: descriptor {number} is not a socket ({error.strerror})") from None
    if found.family not in (socket.AF_INET, socket.AF_INET6) or found.type != socket.SOCK_STREAM or not is_listening:
        found.detach()
        raise SettingsError(
            f"LISTEN_FDS: descriptor {number} does not listen for TCP; set ListenStream=ADDRESS:PORT in the socket unit"
        )
    os.set_inheritable(number, False)
    found.setblocking(False)
    return found
