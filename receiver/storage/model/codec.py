"""Encodes envelopes for Redis and the spool: LZ4 over a JSON line and the raw body.

The first byte is the version: `2` with a dictionary, whose number is the next byte; `1` without one, as releases up to
0.2 wrote it. The body keeps its original bytes, so that what Nexudus sent can be shown, verified and signed again.

A dictionary is a typical record without personal values; it halves the size of an envelope. `dictionaries.txt` has one
on each line, after the actions that it is for (`*`: all others): the names of the fields in the order of Nexudus's API,
with values that are not personal (null, false, 0). A stored envelope refers to the line number of its dictionary:
**lines are added at the end and never changed**. New envelopes use the last line of their action.
"""

from importlib import resources
from typing import Any

import lz4.block
import orjson

from receiver.core.events import Envelope

_SIZE = 4
_LONGEST = 256 * 1_048_576
_SELDOM_SET = ("quarantine", "headers", "erased_ms", "trace", "edited_from")
_FIELDS = frozenset(Envelope._fields) - {"body"}

_OTHERS = "*"
_LINES = [
    line.partition(b" ") for line in resources.files(__package__).joinpath("dictionaries.txt").read_bytes().splitlines()
]
_TEXTS = tuple(text for _, _, text in _LINES)
_NUMBERS = {action: number for number, (names, _, _) in enumerate(_LINES) for action in names.decode().split(",")}


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
    for name in _SELDOM_SET:
        if value := getattr(envelope, name):
            header[name] = value
    if envelope.origin != "webhook":
        header["origin"] = envelope.origin
    number = _NUMBERS.get(envelope.action, _NUMBERS[_OTHERS])
    plain = orjson.dumps(header) + b"\n" + envelope.body
    packed: bytes = lz4.block.compress(plain, dict=dictionary(number))
    return b"\x02%c%b" % (number, packed)


class Packer:
    """Packs the events of one hook under one routing table: the common part of their headers is encoded once."""

    def __init__(self, business_id: int, action: str, action_code: int | None, routes: str) -> None:
        common = orjson.dumps({"business_id": business_id, "action": action, "action_code": action_code})[1:-1]
        pattern = b'{"id":"%%b",%b,"received_ms":%%d,"verified_by":%%b,"routes":%b,"entity":%%b}\n'
        self._pattern = pattern % (common.replace(b"%", b"%%"), orjson.dumps(routes).replace(b"%", b"%%"))
        number = _NUMBERS.get(action, _NUMBERS[_OTHERS])
        self._version = b"\x02%c" % number
        self._dictionary = dictionary(number)

    def pack(self, event_id: str, received_ms: int, verified_by: str | None, entity: str | None, body: bytes) -> bytes:
        """Return what `pack` returns for an event that came through its hook and has none of the rare fields."""
        signed, about = orjson.dumps(verified_by), orjson.dumps(entity)
        head = self._pattern % (event_id.encode(), received_ms, signed, about)
        packed: bytes = lz4.block.compress(head + body, dict=self._dictionary)
        return self._version + packed


def unpack(stored: bytes) -> Envelope:
    """Decode the stored form. Raises ValueError if this version cannot read it."""
    header, _, body = _decompress(stored).partition(b"\n")
    fields = orjson.loads(header)
    try:
        return Envelope(body=body, **fields)
    except TypeError:
        pass  # a newer version may write more fields; those that we know are enough
    try:
        return Envelope(body=body, **{name: value for name, value in fields.items() if name in _FIELDS})
    except (TypeError, AttributeError):
        raise ValueError("an envelope without the fields that every event has") from None


def dictionary(number: int) -> bytes:
    """Return a dictionary. Raises ValueError for a number that this version does not have."""
    if number >= len(_TEXTS):
        raise ValueError(f"an envelope packed with a dictionary that this Frontdesk does not have: {number}")
    return _TEXTS[number]


def _decompress(stored: bytes) -> bytes:
    match stored[:1]:
        case b"\x01":
            packed, shared = stored[1:], b""
        case b"\x02":
            packed, shared = stored[2:], dictionary(int.from_bytes(stored[1:2]))
        case version:
            raise ValueError(f"an envelope of a version that this Frontdesk does not know: {version!r}")
    if int.from_bytes(packed[:_SIZE], "little") > _LONGEST:
        raise ValueError("an envelope that claims to be over 256 MiB")
    try:
        return bytes(lz4.block.decompress(packed, dict=shared))
    except (lz4.block.LZ4BlockError, ValueError) as error:
        raise ValueError(f"an envelope that is damaged: {error}") from None
