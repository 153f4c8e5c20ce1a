"""What makes `up` a demo: a simulated Nexudus in the place of the real one, which a demo never speaks to."""

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import orjson

from receiver.core import settings as environment
from receiver.core.errors import SettingsError
from receiver.core.settings import PREFIX, Settings

_CALLS: Final = "6000"
"""The simulator is not the real one: registering a dozen hooks should not take a newcomer's minute."""


@contextlib.contextmanager
def simulated(data_dir: Path, receiver_url: str) -> Iterator[dict[str, str]]:
    """Yield the settings that lead to a simulated Nexudus, whose events go to the receiver at *receiver_url*.

    While the demo runs, `frontdesk hooks` beside it finds them in the data directory. Raises SettingsError.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = {
        f"{PREFIX}PUBLIC_URL": receiver_url,
        f"{PREFIX}NEXUDUS_URL": f"http://127.0.0.1:{port}",
        f"{PREFIX}NEXUDUS_USERNAME": "demo@example.com",
        f"{PREFIX}NEXUDUS_PASSWORD": "demo",
        f"{PREFIX}NEXUDUS_CALLS_PER_MINUTE": _CALLS,
        f"{PREFIX}NEXUDUS_WRITES_PER_MINUTE": _CALLS,
        f"{PREFIX}NEXUDUS_CALLS_PER_HOUR": _CALLS + "00",
        f"{PREFIX}NEXUDUS_WRITES_PER_DAY": _CALLS + "00",
    }
    path = _path(data_dir)
    try:
        path.write_bytes(orjson.dumps(found))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror}; set FRONTDESK_DATA_DIR") from None
    try:
        yield found
    finally:
        path.unlink(missing_ok=True)


def instead_of_the_real(environ: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* with the demo's settings, and without whatever leads to the real Nexudus."""
    kept = {name: value for name, value in environ.items() if not name.startswith(f"{PREFIX}NEXUDUS_")}
    return kept | dict(found)


def completed(current: Settings) -> Settings:
    """Return *current* with the settings of a demo that runs here, when nothing is set that leads to a real Nexudus."""
    if current.public_url or current.nexudus_username or current.nexudus_token:
        return current
    try:
        found = orjson.loads(_path(current.data_dir).read_bytes())
        read = environment.from_environ({str(name): str(value) for name, value in dict(found).items()})
    except (OSError, ValueError, TypeError, SettingsError):
        return current
    return current.model_copy(update={name: getattr(read, name) for name in read.model_fields_set})


def _path(data_dir: Path) -> Path:
    return data_dir / "demo.json"
