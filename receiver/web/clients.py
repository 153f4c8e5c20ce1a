"""The address of a request's sender. `X-Forwarded-For` counts only as far as it was written by trusted proxies."""

import ipaddress
from collections.abc import Iterable, Sequence

from starlette.types import Scope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MOST_HOPS = 16
_HEADER = b"x-forwarded-for"


class ClientAddresses:
    """Finds the address of a request's sender, behind the proxies in *trusted*."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted)

    def of(self, scope: Scope) -> str:
        """Return the sender's address, or an empty text where there is none (a unix socket)."""
        peer = scope.get("client")
        address: str = peer[0] if peer else ""
        return self.sender(address, scope["headers"]) if self._trusted else address

    def sender(self, address: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return the address of the sender of a request that came from *address*."""
        if not self._trusted or not self._is_trusted(_parse(address)):
            return address
        claims = b",".join(value for name, value in headers if name == _HEADER)
        # Each proxy appends the address of its caller: the last one that is not a trusted proxy is the sender.
        for claim in reversed(claims.decode("latin-1").split(",")[-_MOST_HOPS:]):
            claimed = _parse(claim)
            if claimed is None:
                break
            address = str(claimed)
            if not self._is_trusted(claimed):
                break
        return address

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _parse(text: str) -> Address | None:
    """Read an address as proxies write it: alone, or with a port, IPv6 then in brackets.

    The scope after a % names an interface of the proxy's machine: it may be any text, and means nothing here.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
