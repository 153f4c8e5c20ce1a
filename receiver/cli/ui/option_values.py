"""Values that people give and read in one way everywhere: durations and hosts."""

import ipaddress

from receiver.core import durations
from receiver.core.errors import UsageError


def duration_ms(option: str, value: str) -> int:
    """Return the duration that *option* was given, in milliseconds. Raises UsageError."""
    try:
        return durations.parse(value)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def base_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens at *host*, which may stand for all hosts."""
    reached = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it is replaced
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def is_loopback(host: str) -> bool:
    """Say whether *host* is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
