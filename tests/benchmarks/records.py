"""The event that all benchmarks send: a booking as Nexudus sends it, 1.5 KB, each with an `Id` of its own."""

import hashlib
import hmac
from collections.abc import Callable

import orjson

from receiver.nexudus import samples, signature

ACTION = "BookingCreate"
BUSINESS = 1001
SIZE = 1_523
"""Bytes of a body: that of the measurements which the goals come from."""

_ID = 1_111_111_111
_SERIAL = "999999999999"


def record(size: int = SIZE) -> dict[str, object]:
    """Return the record whose body is so long (to a few bytes): the sample, fields at its end left out."""
    sample = samples.record(ACTION, now=samples.WRITTEN, number=0)
    kept: dict[str, object] = {"Id": _ID, "UniqueId": f"00000000-0000-4000-8000-{_SERIAL}"}
    for name, value in sample.items():
        if name in kept:
            continue
        if len(orjson.dumps([{**kept, name: value}])) <= size:
            kept[name] = value
    return kept


def bodies(size: int = SIZE) -> Callable[[int], bytes]:
    """Return what makes a body out of an `Id` of ten digits."""
    text = orjson.dumps([record(size)]).decode()
    head, _, rest = text.partition(str(_ID))
    middle, _, tail = rest.partition(_SERIAL)
    pattern = b"%s%%010d%s%%012d%s" % tuple(part.replace("%", "%%").encode() for part in (head, middle, tail))
    return lambda number: pattern % (number, number)


def requests(path: str, port: int, secret: str, size: int = SIZE) -> Callable[[int], bytes]:
    """Return what makes a whole signed request out of an `Id`, in about 5 µs."""
    make = bodies(size)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(make(_ID))}\r\n{signature.HEADER}: "
    ).encode("ascii")
    keyed = hmac.new(secret.encode(), digestmod=hashlib.sha256)

    def request(number: int) -> bytes:
        body = make(number)
        signed = keyed.copy()
        signed.update(body)
        return b"%s%s\r\n\r\n%s" % (head, signed.hexdigest().encode(), body)

    return request
