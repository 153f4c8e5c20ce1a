"""A signature opens exactly when it was made from that body with one of the secrets, in either reading."""

import hashlib
import hmac

from receiver.nexudus import signature
from tests.fuzz.parts import Parts


def one(data: bytes) -> None:
    """Any secrets, any body, any header, or one that was made for another body or by a near secret."""
    parts = Parts(data)
    kind = parts.number(4)
    secrets = [parts.text() for _ in range(parts.number(4))]
    header: str | None = parts.text() if kind == 0 else ""
    body = parts.rest()
    if kind == 1 and secrets:
        header = signature.sign(body, secrets[0])
        assert not secrets[0] or signature.verify(body, header, secrets) is not None, "its own signature does not open"
    elif kind == 2 and secrets:
        header = signature.sign(body + b"?", secrets[-1]).lower()
    elif kind == 3:
        header = None

    opened = signature.verify(body, header, secrets)

    assert opened == _expected(body, header, secrets), (opened, secrets, header)


def _expected(body: bytes, header: str | None, secrets: list[str]) -> str | None:
    """The rule, written down another way."""
    given = (header or "").strip().lower()
    keys = [secret for secret in secrets if secret]
    if any(_hex(secret.encode("utf-8", "replace"), body) == given for secret in keys):
        return "raw"
    try:
        text = _ascii(body.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    by_net = [_hex(_ascii(secret.encode("utf-8", "replace").decode("utf-8")), text) for secret in keys]
    return "dotnet-ascii" if given in by_net else None


def _hex(key: bytes, message: bytes) -> str:
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def _ascii(text: str) -> bytes:
    """As .NET: a question mark for each UTF-16 unit that is not ASCII."""
    units = text.encode("utf-16-le")
    codes = [units[at] + 256 * units[at + 1] for at in range(0, len(units), 2)]
    return bytes(code if code < 128 else ord("?") for code in codes)


def seeds() -> list[bytes]:
    """A body that is ASCII and one that is not, for each kind of header."""
    secret = b"\x04" + "h\u00fcsh".encode("utf-16-le")
    bodies = b"[{}]", "[{\u201c\U0001f600}]".encode(), b"\xff"
    return [bytes([kind, 2]) + secret + b"\0" + b"\0" * (kind == 0) + body for body in bodies for kind in range(4)]
