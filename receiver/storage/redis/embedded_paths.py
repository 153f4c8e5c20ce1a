"""Where the embedded server of a data directory keeps its data and its socket."""

import os
import tempfile
from pathlib import Path
from typing import Final

LONGEST_SOCKET: Final = 100
"""Bytes in the path of a socket. The kernel allows 107 on Linux and 103 on macOS."""


def server_dir(data_dir: Path) -> Path:
    """Return the folder of the embedded server's data, log and process id."""
    return data_dir.absolute() / "valkey"


def socket_path(data_dir: Path) -> Path:
    """Return the path of the embedded server's socket; nothing need exist yet.

    It is in the data directory. If that path is too long for a socket, it is in a folder with a short path, which a
    file in the data directory records."""
    home = server_dir(data_dir)
    direct = home / "socket"
    if len(os.fsencode(direct)) <= LONGEST_SOCKET:
        return direct
    try:
        return Path((home / "socket-path").read_text(encoding="utf-8").strip() or direct)
    except (OSError, UnicodeDecodeError):
        return direct


def make_socket_dir(data_dir: Path) -> Path:
    """Make the folder that the socket needs, and return the socket's path. Raises OSError."""
    path = socket_path(data_dir)
    if len(os.fsencode(path)) > LONGEST_SOCKET or not path.parent.is_dir():
        # mkdtemp: private, and of a name that nobody could have put there before us.
        path = Path(tempfile.mkdtemp(prefix="frontdesk-")) / "socket"
        (server_dir(data_dir) / "socket-path").write_text(f"{path}\n", encoding="utf-8")
    return path
