"""Proof, through the public URL, that it leads to a receiver which holds one of our URL keys."""

import hmac
import secrets
from collections.abc import Sequence

import httpx2

from receiver.nexudus import hook_urls

_TIMEOUT_S = 10.0
_LONGEST_ANSWER = 1_024
_ASKED = 4
_ANY_HOOK = (1, "BookingCreate")
"""Whether a receiver holds a key shows at any location and action."""


def unreachable(public_url: str, keys: Sequence[str], *, timeout_s: float = _TIMEOUT_S) -> str | None:
    """Ask the receiver at *public_url* for the proof. Returns None when it gave it, else one clause that says why not.

    Any of *keys* will do, since during a rotation the receivers may not sign with the newest yet. Redirects are not
    followed: Nexudus may not follow them either.
    """
    proof = _prove(_place(public_url), keys, timeout_s)
    return proof if isinstance(proof, str) else None


def behind(public_url: str, keys: Sequence[str], *, timeout_s: float = _TIMEOUT_S) -> str | None:
    """Return one clause when a receiver at *public_url* does not take hooks of the first of *keys* yet, else None.

    Asks several times: behind a load balancer it may be another receiver that answers.
    """
    url = _place(public_url)
    for _ in range(_ASKED):
        proof = _prove(url, keys, timeout_s)
        if isinstance(proof, str):
            return None
        if proof > 0 and not _takes(hook_urls.url(public_url, keys[0], *_ANY_HOOK), timeout_s):
            return f"a receiver at {url} does not take hooks of the first URL key yet"
    return None


def _takes(url: str, timeout_s: float) -> bool:
    """Whether the hook at *url* is open. A GET changes nothing: a right token is answered 405, any other 404."""
    try:
        return httpx2.get(url, timeout=timeout_s, follow_redirects=False).status_code != 404
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return True  # nothing is known, as when the probe itself is not answered


def _place(public_url: str) -> str:
    return f"{public_url.rstrip('/')}/hooks/-/probe"


def _prove(url: str, keys: Sequence[str], timeout_s: float) -> int | str:
    """Return which of *keys* the receiver signs with, or one clause that says why that is not known."""
    nonce = secrets.token_hex(16)
    try:
        with (
            httpx2.Client(timeout=timeout_s, follow_redirects=False) as client,
            client.stream("GET", url, params={"nonce": nonce}) as response,
        ):
            answer = _start_of(response)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return f"the receiver cannot be reached at {url}: {str(error) or type(error).__name__}"
    if response.status_code != 200:
        return f"the receiver's probe at {url} answered {response.status_code}"
    given = answer.strip().strip(b'"')
    for index, key in enumerate(keys):
        if hmac.compare_digest(given, (hook_urls.probe_answer(key, nonce) or "").encode()):
            return index
    return f"what answers at {url} holds none of our URL keys"


def _start_of(response: httpx2.Response) -> bytes:
    body = b""
    for chunk in response.iter_bytes(chunk_size=_LONGEST_ANSWER):
        body += chunk
        if len(body) >= _LONGEST_ANSWER:
            break
    return body[:_LONGEST_ANSWER]
