"""`frontdesk simulate --outage`: webhooks of a running simulator go off, so that a gap can be watched."""

import contextlib
import http.client
from urllib.parse import urlsplit

import orjson

from receiver.cli.ui import option_values, output
from receiver.core.errors import NexudusError
from receiver.core.settings import Settings

_PORT = 8002
_TIMEOUT_S = 5


def port_of(current: Settings) -> int:
    """Return the port of a simulator on this machine: that of FRONTDESK_NEXUDUS_URL if it names one, else 8002."""
    parts = urlsplit(current.nexudus_url)
    return parts.port if parts.port and option_values.is_loopback(parts.hostname or "") else _PORT


def begin(current: Settings, port: int | None, duration_ms: int) -> None:
    """Switch the hooks off, and say what to watch. Raises NexudusError when no simulator answers on this machine."""
    port = port_of(current) if port is None else port
    at = f"http://127.0.0.1:{port}"
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    with contextlib.closing(client):
        try:
            client.request("POST", "/simulator/outage", orjson.dumps({"seconds": duration_ms / 1_000}))
            answer = client.getresponse()
            refused = None if answer.status == http.client.OK else answer.read(1_000).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise NexudusError(
                f"no simulated Nexudus answers at {at} ({type(error).__name__}); start frontdesk simulate or up --demo"
            ) from None
    if refused is not None:
        raise NexudusError(f"{at} does not begin an outage: {refused}")
    output.say(f"The webhooks at {at} are off for {duration_ms / 1_000:g} s; events go on without them.")
