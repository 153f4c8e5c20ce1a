"""How an envelope is written in Redis and in the spool: a version byte, then LZ4 over a JSON line and the raw body.

The body is kept as its own bytes, so that what Nexudus sent can be shown, verified and signed again.
"""

from typing import Any

import lz4.block
import orjson

from receiver.events import Envelope

_VERSION = b"\x01"
_LONGEST = 256 * 1_048_576
_SELDOM_TOLD = ("quarantine", "headers", "erased_ms", "trace")
_FIELDS = frozenset(Envelope._fields) - {"body"}


def pack(envelope: Envelope) -> bytes:
    """Return the stored form of an envelope."""
    header: dict[str, Any] = {
        "id": envelope.id,
        "business_id": envelope.business_id,
        "action": envelope.action,
        "action_code": envelope.action_code,
        "received_ms": envelope.received_ms,
        "verified_by": envelope.verified_by,
        "routes": envelope.routes,
        "entity": envelope.entity,
    }
    for name in _SELDOM_TOLD:
        if value := getattr(envelope, name):
            header[name] = value
    if envelope.origin != "webhook":
        header["origin"] = envelope.origin
    packed: bytes = lz4.block.compress(orjson.dumps(header) + b"\n" + envelope.body, store_size=True)
    return _VERSION + packed


def unpack(stored: bytes) -> Envelope:
    """Read the stored form. Raises ValueError for what this version cannot read."""
    if stored[:1] != _VERSION:
        raise ValueError(f"an envelope of a version that this Frontdesk does not know: {stored[:1]!r}")
    if int.from_bytes(stored[1:5], "little") > _LONGEST:
        raise ValueError("an envelope that claims to be over 256 MiB")
    plain: bytes = lz4.block.decompress(stored[1:])
    header, _, body = plain.partition(b"\n")
    told = orjson.loads(header)
    try:
        return Envelope(body=body, **told)
    except TypeError:  # a newer version may say more; what it says of the event as such is what counts
        return Envelope(body=body, **{name: value for name, value in told.items() if name in _FIELDS})
