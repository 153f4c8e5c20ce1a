"""The URLs that Nexudus posts to. A hook names its location and action, and proves by its token that we made it.

A body from Nexudus names neither action nor location, so both are in the path, `/hooks/{business_id}/{action}/{token}`,
under a token that only a holder of the URL key can make. Receivers check it without a lookup; the registrar rotates it
by signing with a new key while the old one still verifies.
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


class Hook(NamedTuple):
    """What the path of a hook says; nothing of it is believed before `is_authentic`."""

    business_id: int
    action: str
    token: str


def parse(path: str) -> Hook | None:
    """Return the parts of a hook's path, or None when it does not have the form of one."""
    match = _PATH.fullmatch(path)
    return Hook(int(match[1]), match[2], match[3]) if match else None


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
    """Tell whether one of our keys made this token. Takes the same time for every wrong token."""
    return _index(keys, Hook(business_id, action, given)) is not None


def key_index(keys: Sequence[str], hook_url: str) -> int | None:
    """Return which of *keys* made a URL, whatever host it names, or None when none did or it is no hook at all."""
    start = hook_url.find(PREFIX)
    hook = parse(hook_url[start:]) if start >= 0 else None
    return _index(keys, hook) if hook else None


def probe_answer(key: str, nonce: str) -> str | None:
    """Return the proof that this receiver holds the URL key: HMAC-SHA256(key, nonce) in hex.

    None for a nonce that is not 1 to 128 of `A-Z a-z 0-9 . _ ~ = : -`. The sign `/` above all is refused: it is in
    whatever a token is made from, so that nobody can ask the probe for the token of a hook.
    """
    if not _NONCE.fullmatch(nonce):
        return None
    return hmac.digest(key.encode(), nonce.encode(), hashlib.sha256).hex()


def _index(keys: Sequence[str], hook: Hook) -> int | None:
    found = None
    given = hook.token.encode("utf-8", "surrogatepass")
    for index, key in enumerate(keys):
        right = token(key, hook.business_id, hook.action).encode()
        if hmac.compare_digest(right, given) and found is None:
            found = index
    return found
