"""Only we can make the URL of a hook, and nothing that we answer helps anybody else to make one."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.nexudus import hook_urls

KEYS = ("new-key", "old-key")


def test_a_token_is_made_as_documented() -> None:
    """First 32 characters of unpadded base64url of HMAC-SHA256(key, "business/action")."""
    digest = hmac.new(b"new-key", b"1001/BookingCreate", hashlib.sha256).digest()

    made = hook_urls.token("new-key", 1001, "BookingCreate")

    assert made == base64.urlsafe_b64encode(digest).decode().rstrip("=")[:32]
    assert hook_urls.path("new-key", 1001, "BookingCreate") == f"/hooks/1001/BookingCreate/{made}"
    assert hook_urls.url("https://x.example/base/", "new-key", 1001, "A") == "https://x.example/base" + hook_urls.path(
        "new-key", 1001, "A"
    )


def test_every_key_verifies() -> None:
    """Rotation: a new key signs, the old one still opens."""
    for index, key in enumerate(KEYS):
        made = hook_urls.token(key, 7, "TeamCreated")

        assert hook_urls.is_authentic(KEYS, 7, "TeamCreated", made)
        assert hook_urls.key_index(KEYS, hook_urls.url("https://x.example", key, 7, "TeamCreated")) == index


@pytest.mark.parametrize(
    ("business_id", "action", "token"),
    [
        pytest.param(8, "TeamCreated", hook_urls.token("new-key", 7, "TeamCreated"), id="another-business"),
        pytest.param(7, "TeamUpdated", hook_urls.token("new-key", 7, "TeamCreated"), id="another-action"),
        pytest.param(7, "TeamCreated", hook_urls.token("foreign-key", 7, "TeamCreated"), id="another-key"),
        pytest.param(7, "TeamCreated", hook_urls.token("new-key", 7, "TeamCreated").lower(), id="another-case"),
        pytest.param(7, "TeamCreated", hook_urls.token("new-key", 7, "TeamCreated")[:-1], id="a-beginning"),
        pytest.param(7, "TeamCreated", "", id="empty"),
        pytest.param(7, "TeamCreated", "\udcff\x00é", id="junk"),
    ],
)
def test_a_wrong_token_opens_nothing(business_id: int, action: str, token: str) -> None:
    """A token is for one location and one action, whole and exact."""
    assert not hook_urls.is_authentic(KEYS, business_id, action, token)


@given(st.text(), st.text(), st.integers())
def test_junk_opens_nothing(action: str, token: str, business_id: int) -> None:
    """Total over hostile input."""
    assert not hook_urls.is_authentic((), business_id, "A", token)
    assert not hook_urls.is_authentic(KEYS, 1, "A", token)
    assert hook_urls.key_index(KEYS, f"https://x.example/hooks/1/{action}/{token}") is None


@pytest.mark.parametrize(
    "path",
    [
        "/hooks/",
        "/hooks/1001/BookingCreate",
        "/hooks/1001/BookingCreate/",
        "/hooks/1001/BookingCreate/t/",
        "/hooks/01001/BookingCreate/t",
        "/hooks/0/BookingCreate/t",
        "/hooks/-1/BookingCreate/t",
        "/hooks/٣/BookingCreate/t",
        "/hooks/" + "9" * 19 + "/BookingCreate/t",
        "/hooks/1/Booking Create/t",
        "/hooks/1/" + "A" * 65 + "/t",
        "/hooks/1/A/" + "t" * 129,
        "/hooks/1/A/t\n",
        "//hooks/1/A/t",
        "/hooks/-/probe",
    ],
)
def test_what_is_no_hook_is_not_parsed(path: str) -> None:
    """One spelling for each hook."""
    assert hook_urls.parse(path) is None


def test_a_hook_is_parsed() -> None:
    """Location, action, token; an action that nobody knows yet too."""
    assert hook_urls.parse("/hooks/1001/RobotDances/abc") == hook_urls.HookPath(1001, "RobotDances", "abc")


def test_the_probe_proves_the_key() -> None:
    """HMAC-SHA256(key, nonce) in hex."""
    assert hook_urls.probe_answer("k", "n-1") == hmac.new(b"k", b"n-1", hashlib.sha256).hexdigest()


@pytest.mark.parametrize("nonce", ["", "1001/BookingCreate", "a/b", "é", "a b", "a\n", "n" * 129, "%2F"])
def test_the_probe_gives_no_token_away(nonce: str) -> None:
    """A token is an HMAC of the same key over `business/action`: whoever could probe for that could post."""
    assert hook_urls.probe_answer("k", nonce) is None
