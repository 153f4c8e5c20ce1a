"""`X-Forwarded-For` counts only as far as trusted proxies vouch for it."""

import ipaddress

import pytest

from receiver.web.clients import ClientAddresses

TRUSTED = ClientAddresses([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])


def _scope(peer: str | None, *claims: bytes) -> dict[str, object]:
    return {"client": (peer, 1) if peer else None, "headers": [(b"x-forwarded-for", claim) for claim in claims]}


@pytest.mark.parametrize(
    ("peer", "claims", "expected"),
    [
        pytest.param("192.0.2.1", (b"198.51.100.7",), "192.0.2.1", id="a-stranger-claims"),
        pytest.param("10.0.0.1", (b"198.51.100.7",), "198.51.100.7", id="one-proxy"),
        pytest.param("10.0.0.1", (b"1.2.3.4, 198.51.100.7, 10.0.0.2",), "198.51.100.7", id="two-proxies"),
        pytest.param("10.0.0.1", (b"1.2.3.4", b"198.51.100.7"), "198.51.100.7", id="two-headers"),
        pytest.param("10.0.0.1", (b"10.0.0.3, 10.0.0.2",), "10.0.0.3", id="proxies-all-the-way"),
        pytest.param("10.0.0.1", (b"198.51.100.7:4711",), "198.51.100.7", id="with-port"),
        pytest.param("fd00::1", (b"[2001:db8::7]:4711",), "2001:db8::7", id="ipv6-with-port"),
        pytest.param("::ffff:10.0.0.1", (b"2001:db8::7",), "2001:db8::7", id="mapped-peer"),
        pytest.param("10.0.0.1", (b"unknown",), "10.0.0.1", id="no-address"),
        pytest.param("10.0.0.1", (b"\xff\x00, ,",), "10.0.0.1", id="junk"),
        pytest.param("10.0.0.1", (), "10.0.0.1", id="no-claim"),
        pytest.param(None, (b"198.51.100.7",), "", id="unix-socket"),
    ],
)
def test_the_sender_is_as_far_as_can_be_believed(peer: str | None, claims: tuple[bytes, ...], expected: str) -> None:
    """The last address that is no proxy of ours."""
    assert TRUSTED.of(_scope(peer, *claims)) == expected


def test_nobody_is_trusted_unless_said_so() -> None:
    """The default."""
    assert ClientAddresses().of(_scope("10.0.0.1", b"198.51.100.7")) == "10.0.0.1"


def test_a_scope_is_not_part_of_an_address() -> None:
    """It may be any text, such as one that ends a string of a log line."""
    addresses = ClientAddresses([ipaddress.ip_network("10.0.0.0/8")])

    assert addresses.sender("10.0.0.1", [(b"x-forwarded-for", b'fe80::1%"x')]) == "fe80::1"
