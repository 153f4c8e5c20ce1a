"""Events for tests: small, each with its own id."""

import hashlib
import time
from collections.abc import Sequence

import pytest
import redis

from receiver.core.events import Envelope
from receiver.core.ids import IdGenerator
from receiver.storage.model import keep_script
from receiver.storage.model.entries import Entry, PlannedDelivery, Receipt
from receiver.storage.redis import keys, scripts

_mint = IdGenerator()

DAY_MS = 86_400_000


def entry(
    record: bytes = b'{"Id":1}',
    *,
    routes: Sequence[str] = ("announce",),
    queue: str = "default",
    action: str = "BookingCreate",
    business_id: int = 1001,
    entity: str | None = "Booking:1",
    at: float | None = None,
    window_ms: int = DAY_MS,
    quarantine: str | None = None,
    terms: str = "",
) -> Entry:
    """Return an entry with a new id; its fingerprint is that of its record.

    *at*: Unix seconds of its arrival. *terms*: what each of its deliveries waits for.
    """
    moment = time.time() if at is None else at
    envelope = Envelope(
        id=(_mint if at is None else IdGenerator())(moment),
        business_id=business_id,
        action=action,
        action_code=6,
        received_ms=int(moment * 1_000),
        body=record,
        entity=entity,
        quarantine=quarantine,
    )
    digest = hashlib.blake2b(f"{business_id}/{action}/".encode() + record, digest_size=16).digest()
    wanted = () if quarantine else tuple(PlannedDelivery(route, queue, 30_000, terms) for route in routes)
    return Entry(envelope, None if quarantine else digest, window_ms, wanted)


def keep_all(
    client: redis.Redis, *entries: Entry, quarantine_limit: int = keep_script.NO_LIMIT, alias_ms: int = 0
) -> list[Receipt | None]:
    """Keep entries in one call of the script. *alias_ms*: as if they came out of a spool."""
    script = client.register_script(scripts.source("keep"))
    arguments = keep_script.arguments(entries, quarantine_limit=quarantine_limit, alias_ms=alias_ms)
    return keep_script.receipts(entries, script(args=arguments))


def quarantine_cost(size: int) -> bytes:
    """What an envelope of *size* bytes is counted as in quarantine, as Redis writes it."""
    return b"%d" % (-(-size * 5 // 4) + 512)


def half_keep(client: redis.Redis, *entries: Entry, alias_ms: int = 0) -> None:
    """Let the script fail in the middle: what it wrote until then stays, and none of *entries* is kept."""
    one = entries[-1].envelope
    blocked = keys.index(one.hour, business_id=one.business_id)
    was = client.dump(blocked)
    client.set(blocked, "not a list")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        keep_all(client, *entries, alias_ms=alias_ms)
    client.delete(blocked)
    if was:
        client.restore(blocked, 0, was)
