"""How often somebody may try to sign in. Bounded in memory, whatever comes."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

FAILURES: Final = 10
"""Failures that one address has free; then one more for every pause."""

PAUSE_S: Final = 30.0
ADDRESSES: Final = 4_096
EVERYBODY: Final = 600
"""Failures that all addresses together have free within ten minutes: many addresses help nobody to guess."""

_EVERYBODY_PAUSE_S: Final = 1.0


class RateLimit:
    """Counts failures by address, IPv6 by its /64. Belongs to one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._owed: OrderedDict[str, float] = OrderedDict()
        self._owed_by_all = 0.0

    def wait_s(self, address: str) -> int:
        """How many seconds this address has to wait before it may try; 0: it may now."""
        now = self._clock()
        own = self._owed.get(_network(address), now) - now - (FAILURES - 1) * PAUSE_S
        everybodys = self._owed_by_all - now - (EVERYBODY - 1) * _EVERYBODY_PAUSE_S
        return max(0, math.ceil(max(own, everybodys)))

    def failed(self, address: str) -> None:
        """Count a failure. Each one is owed a pause; the debt is paid by time passing."""
        now = self._clock()
        network = _network(address)
        self._owed[network] = max(self._owed.pop(network, now), now) + PAUSE_S
        self._owed_by_all = max(self._owed_by_all, now) + _EVERYBODY_PAUSE_S
        if len(self._owed) > ADDRESSES:
            self._owed.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget what this address owes."""
        self._owed.pop(_network(address), None)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)
