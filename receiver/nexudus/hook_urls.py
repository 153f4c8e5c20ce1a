"""The URLs that Nexudus posts to. The path names the location and the action, and a token proves that we made the URL.

A body from Nexudus names neither action nor location, so both are in the path, `/hooks/{business_id}/{action}/{token}`,
with a token that only a holder of the URL key can make. Receivers check it without a lookup. To rotate the key, the
registrar makes URLs with the new key while receivers still accept tokens of the old one.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

PREFIX = "/hooks/"

_TOKEN_LENGTH = 32
_PATH = re.compile(r"/hooks/([1-9][0-9]{0,17})/([A-Za-z][A-Za-z0-9]{0,63})/([A-Za-z0-9_-]{1,128})", re.ASCII)
_NONCE = re.compile(r"[A-Za-z0-9._~=:-]{1,128}", re.ASCII)


class HookPath(NamedTuple):
    """The parts of a hook's path. They must not be trusted until `is_authentic` has confirmed the token."""

    business_id: int
    action: str
    token: str


def parse(path: str) -> HookPath | None:
    """Return the parts of a hook's path, or None when the path does not have that form."""
    match = _PATH.fullmatch(path)
    return HookPath(int(match[1]), match[2], match[3]) if match else None


@lru_cache(maxsize=4_096)
def token(key: str, business_id: int, action: str) -> str:
    """Return the token of one hook: the first 32 characters of unpadded base64url of the HMAC-SHA256."""
    digest = hmac.digest(key.encode(), f"{business_id}/{action}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode("ascii")[:_TOKEN_LENGTH]


def path(key: str, business_id: int, action: str) -> str:
    """Return the path of one hook."""
    return f"{PREFIX}{business_id}/{action}/{token(key, business_id, action)}"


def url(public_url: str, key: str, business_id: int, action: str) -> str:
    """Return the URL of one hook, as it is registered at Nexudus."""
    return public_url.rstrip("/") + path(key, business_id, action)


def is_authentic(keys: Sequence[str], business_id: int, action: str, given: str) -> bool:
    """Return whether the token was made with one of our keys. Takes the same time for every wrong token."""
    return _index(keys, HookPath(business_id, action, given)) is not None


def key_index(keys: Sequence[str], hook_url: str) -> int | None:
    """Return which of *keys* made a URL, whatever its host; None when none did, or when it is not a hook's URL."""
    start = hook_url.find(PREFIX)
    hook = parse(hook_url[start:]) if start >= 0 else None
    return _index(keys, hook) if hook else None


def probe_answer(key: str, nonce: str) -> str | None:
    """Return the proof that this receiver holds the URL key: HMAC-SHA256(key, nonce) in hex.

    None for a nonce that is not 1 to 128 of `A-Z a-z 0-9 . _ ~ = : -`. Refusing `/` is essential: every token is made
    from a text that contains it, so nobody can obtain the token of a hook from the probe.
    """
    if not _NONCE.fullmatch(nonce):
        return None
    return hmac.digest(key.encode(), nonce.encode(), hashlib.sha256).hex()


def _index(keys: Sequence[str], hook: HookPath) -> int | None:
    found = None
    given = hook.token.encode("utf-8", "surrogatepass")
    for index, key in enumerate(keys):
        right = token(key, hook.business_id, hook.action).encode()
        if hmac.compare_digest(right, given) and found is None:
            found = index
    return found
