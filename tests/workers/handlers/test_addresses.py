"""Only addresses of the public internet are public, however they are written."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.handlers.addresses import why_not_public


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.1", "2606:4700:4700::1111",
        "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2a00:1450:4001::200e",
    ],
)  # fmt: skip
def test_public_addresses_are_public(address: str) -> None:
    """Those beside the borders of the private ranges too."""
    assert why_not_public(address) is None


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("127.0.0.1", "a loopback"), ("127.255.255.254", "a loopback"), ("::1", "a loopback"),
        ("0.0.0.0", "an unspecified"), ("0.1.2.3", "an unspecified"), ("::", "an unspecified"),
        ("10.1.2.3", "a private"), ("172.16.0.1", "a private"), ("172.31.255.255", "a private"),
        ("192.168.1.1", "a private"), ("fc00::1", "a private"), ("fd00:ec2::254", "a private"),
        ("fec0::1", "a private"),
        ("169.254.169.254", "a link-local"), ("fe80::1", "a link-local"), ("fe80::1%eth0", "a link-local"),
        ("224.0.0.1", "a multicast"), ("239.255.255.255", "a multicast"), ("ff02::1", "a multicast"),
        ("100.64.0.1", "a carrier's private"), ("100.100.100.200", "a carrier's private"),
        ("255.255.255.255", "a reserved"), ("240.0.0.1", "a reserved"), ("192.0.0.1", "a reserved"),
        ("198.18.0.1", "a benchmarking"), ("192.0.2.1", "a documentation"), ("203.0.113.9", "a documentation"),
        ("168.63.129.16", "a cloud platform's own"),
        ("::ffff:127.0.0.1", "a loopback"), ("::ffff:169.254.169.254", "a link-local"),
        ("::ffff:0:0", "an unspecified"),
        ("64:ff9b::10.0.0.1", "a private"), ("64:ff9b:1::10.0.0.1", "a reserved"), ("2002:7f00:1::", "a loopback"),
        ("2002:a00:1::1", "a private"), ("2001:0:1::1", "a reserved"), ("2001:db8::1", "a documentation"),
        ("::127.0.0.1", "a reserved"), ("100::1", "a reserved"), ("5f00::1", "a reserved"),
    ],
)  # fmt: skip
def test_every_other_address_is_named(address: str, word: str) -> None:
    """An IPv6 address that carries an IPv4 one is judged by what it carries."""
    assert why_not_public(address) == word


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Our table is not laxer than the standard library's, whichever release that is of."""
    lax = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    # 2002::/16 as a whole is private to Python 3.13 and later; we judge such an address by the one that it carries.
    carried = (address.ipv4_mapped or address.sixtofour) if address.version == 6 else None
    carries_public = carried is not None and carried.is_global
    if (lax or address.is_unspecified or address.is_reserved) and not carries_public:
        in_nat64 = address.version == 6 and address in ipaddress.IPv6Network("64:ff9b::/96")
        assert in_nat64 or why_not_public(str(address)) is not None


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "1.2.3.4.5", "[::1]"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """The system's resolver turns such spellings into addresses before they are judged."""
    with pytest.raises(ValueError, match="does not appear to be"):
        why_not_public(text)
