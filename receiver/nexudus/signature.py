"""The signature on a body: HMAC-SHA256 with the location's shared secret, in hex, as `X-Nexudus-Hook-Signature`.

Nexudus documents the .NET code that makes it (help.nexudus.com, "Verifying webhooks created via the API"): secret and
text both pass through `ASCIIEncoding.GetBytes`, which writes one `?` for each UTF-16 unit from 0x80 up, two for an
emoji. Whether live deliveries are signed that way or over the bytes that are sent is not known, so both readings count;
`verification` narrows them to one for each secret.
"""

import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

HEADER = "X-Nexudus-Hook-Signature"

Reading = Literal["raw", "dotnet-ascii"]
"""How the signed bytes are read: as they came, or as .NET's ASCII encoding writes them. Equal for an ASCII body."""

_HEX_LENGTH = 64
_LEADS = bytes(code if code < 0x80 else 0x3F if code < 0xF0 else 0xF0 for code in range(256))
"""First bytes of UTF-8 sequences: of two or three bytes to `?`, of four (two UTF-16 units) to a mark of their own."""

_CONTINUATIONS = bytes(range(0x80, 0xC0))


def sign(body: bytes, secret: str, reading: Reading = "dotnet-ascii") -> str:
    """Return a signature in upper-case hex: as Nexudus documents it, or raw; of no UTF-8 always the raw one."""
    text = _dotnet_ascii(body) if reading == "dotnet-ascii" else None
    digest = _digest(_raw_key(secret), body) if text is None else _digest(_dotnet_key(secret), text)
    return digest.hex().upper()


def verify(body: bytes, header: str | None, secrets: Sequence[str], *, likely: Reading | None = None) -> Reading | None:
    """Return the reading under which one of *secrets* made *header*, or None when none did.

    *likely* is tried first: that saves a digest and a translation, and changes nothing else, for one body has one text
    in each reading. A body that both readings have in common is "raw".
    Total: any bytes, any header. Hex of either case. An empty secret opens nothing. Compares in constant time.
    """
    given = (header or "").strip().encode("utf-8", "surrogatepass").lower()
    if len(given) != _HEX_LENGTH:
        return None
    if likely == "dotnet-ascii" and (found := _verify_dotnet(body, given, secrets)):
        return found
    for secret in secrets:
        if secret and _matches(_raw_key(secret), body, given):
            return "raw"
    return None if likely == "dotnet-ascii" else _verify_dotnet(body, given, secrets)


def _verify_dotnet(body: bytes, given: bytes, secrets: Sequence[str]) -> Reading | None:
    text = body if body.isascii() else _dotnet_ascii(body)
    if text is None:
        return None
    for secret in secrets:
        is_another_reading = text is not body or not secret.isascii()
        if secret and is_another_reading and _matches(_dotnet_key(secret), text, given):
            return "dotnet-ascii"
    return None


def _matches(key: bytes, message: bytes, given: bytes) -> bool:
    return hmac.compare_digest(_digest(key, message).hex().encode(), given)


def _digest(key: bytes, message: bytes) -> bytes:
    keyed = _keyed(key).copy()
    keyed.update(message)
    return keyed.digest()


@lru_cache(maxsize=1_024)
def _keyed(key: bytes) -> hmac.HMAC:
    """Return the beginning that the signatures of one secret share: about a quarter of the cost of a body of 1.5 KB."""
    return hmac.new(key, digestmod=hashlib.sha256)


def _raw_key(secret: str) -> bytes:
    return secret.encode("utf-8", "replace")


@lru_cache(maxsize=1_024)
def _dotnet_key(secret: str) -> bytes:
    return _dotnet_ascii(_raw_key(secret)) or b""


def _dotnet_ascii(body: bytes) -> bytes | None:
    """Return what .NET's ASCIIEncoding makes of a text, or None for bytes that are no UTF-8."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return body.translate(_LEADS, _CONTINUATIONS).replace(b"\xf0", b"??")
