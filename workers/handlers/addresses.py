"""Decides which addresses belong to the public internet. Pure functions.

They follow the IANA registries of special-purpose addresses; Python's own tables differ between its patch releases.
https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.iana.org/assignments/iana-ipv6-special-registry
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAMED: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "an unspecified"),
    ("10.0.0.0/8", "a private"),
    ("100.64.0.0/10", "a carrier's private"),
    ("127.0.0.0/8", "a loopback"),
    ("168.63.129.16/32", "a cloud platform's own"),  # Azure's agent endpoint: public by its number, local by its route
    ("169.254.0.0/16", "a link-local"),  # the metadata services of the clouds among them
    ("172.16.0.0/12", "a private"),
    ("192.0.0.0/24", "a reserved"),
    ("192.0.2.0/24", "a documentation"),
    ("192.88.99.0/24", "a reserved"),
    ("192.168.0.0/16", "a private"),
    ("198.18.0.0/15", "a benchmarking"),
    ("198.51.100.0/24", "a documentation"),
    ("203.0.113.0/24", "a documentation"),
    ("224.0.0.0/4", "a multicast"),
    ("240.0.0.0/4", "a reserved"),
    ("::/128", "an unspecified"),
    ("::1/128", "a loopback"),
    ("fc00::/7", "a private"),
    ("fe80::/10", "a link-local"),
    ("fec0::/10", "a private"),
    ("ff00::/8", "a multicast"),
    ("2001::/23", "a reserved"),  # Teredo, ORCHID, benchmarking
    ("2001:db8::/32", "a documentation"),
    ("3fff::/20", "a documentation"),
)
_NETWORKS: tuple[tuple[Network, str], ...] = tuple((ipaddress.ip_network(text), word) for text, word in _NAMED)

_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_6TO4 = ipaddress.IPv6Network("2002::/16")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def why_not_public(text: str) -> str | None:
    """Return which kind of address *text* is (`a loopback`), or None for one of the public internet.

    An IPv6 address that embeds an IPv4 one (mapped, 6to4, NAT64) counts as the embedded one. Raises ValueError for
    text that is no address.
    """
    address = _carried(ipaddress.ip_address(text.partition("%")[0]))
    for network, word in _NETWORKS:
        if address.version == network.version and address in network:
            return word
    if address.version == 6 and address not in _PUBLIC_V6:
        return "a reserved"
    return None


def _carried(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    number = int(address)
    if address in _MAPPED or address in _NAT64:
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address in _6TO4:
        return ipaddress.IPv4Address((number >> 80) & 0xFFFFFFFF)
    return address
