"""The arguments of keep.lua, the script that stores a batch of events, and the meaning of its reply. Pure; both clients
share it."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import orjson

from receiver.core.errors import StorageUnavailable
from receiver.storage.model import codec
from receiver.storage.model.entries import Entry, PlannedDelivery, Receipt

LARGEST_BATCH = 256
"""The largest number of events in one call, far below the number of values that Lua can unpack."""

LONGEST_CALL_US = 12_000
"""How long one call may take the store, by the costs below; only a single body of several MB takes longer. An event
with more deliveries than that is stored with the first ones and a list of the rest, which further calls create
(`is_long`): 5,000 deliveries that wait for nothing take 5 calls."""

_EVENT_US = 25
_DELIVERY_US = 10
_WAITING_DELIVERY_US = 40
_BYTES_IN_A_US = 300
"""The cost of an event for the store, measured on one core in 2026: the event itself; each delivery that waits for
nothing; each that joins a lane and may replace another there (20 to 50 µs); and its bytes, which are copied twice."""

_SHORT = LONGEST_CALL_US // _WAITING_DELIVERY_US
"""The number of deliveries that fit into one call, whatever they wait for."""

RQ_MARGIN_S = 60
"""Seconds by which RQ's own timeout of a job is longer than ours, so that ours always comes first."""

NO_LIMIT = 2**53


def rq_time() -> str:
    """Return the current time in the form in which RQ writes it into its jobs."""
    return datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def rq_timeout(timeout_ms: int) -> int:
    """Return RQ's timeout in seconds for attempts that we end after *timeout_ms*."""
    return -(-timeout_ms // 1_000) + RQ_MARGIN_S


def delivery_us(*, waits: bool) -> int:
    """Return how many µs one delivery takes the store. *waits*: it has terms."""
    return _WAITING_DELIVERY_US if waits else _DELIVERY_US


def cost_us(entry: Entry) -> int:
    """Return how many µs an entry takes the store; for a long one, how many its first call takes."""
    cost = _EVENT_US + len(entry.envelope.body) // _BYTES_IN_A_US
    for wanted in entry.wanted:
        cost += delivery_us(waits=bool(wanted.terms))
    return min(cost, LONGEST_CALL_US)


def calls(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Split *entries* into batches for one call each."""
    start, cost = 0, 0
    for at, entry in enumerate(entries):
        more = cost_us(entry)
        if at > start and (cost + more > LONGEST_CALL_US or at - start == LARGEST_BATCH):
            yield entries[start:at]
            start, cost = at, 0
        cost += more
    if start < len(entries):
        yield entries[start:]


def portions(wanted: Sequence[PlannedDelivery]) -> list[list[PlannedDelivery]]:
    """Split deliveries into portions for one call each; there is at least one portion, which may be empty."""
    if len(wanted) <= _SHORT:
        return [list(wanted)]
    cut: list[list[PlannedDelivery]] = [[]]
    cost = 0
    for one in wanted:
        cost += delivery_us(waits=bool(one.terms))
        if cost > LONGEST_CALL_US * len(cut):
            cut.append([])
        cut[-1].append(one)
    return cut


def is_long(entry: Entry) -> bool:
    """Return whether an entry has more deliveries than one call can create. `continuation` creates the others."""
    return len(entry.wanted) > _SHORT and len(portions(_made(entry))) > 1


def arguments(
    batch: Sequence[Entry], *, quarantine_limit: int = NO_LIMIT, alias_ms: int = 0, releases: bool = False
) -> list[bytes | str | int]:
    """Return the script's arguments.

    *quarantine_limit*: bytes; one hook may use a quarter of them. *alias_ms*: if an event from a spool turns out to be
    a duplicate, how long its id leads to the event that was stored first. *releases*: the events are quarantined under
    their ids and are released by this call.
    """
    flat: list[bytes | str | int] = [rq_time(), quarantine_limit, quarantine_limit // 4, alias_ms]
    for entry in batch:
        envelope = entry.envelope
        planned = _planned(entry.wanted)
        flat += (
            envelope.id,
            "p" if releases else "q" if envelope.quarantine else "r",
            envelope.action,
            envelope.business_id,
            envelope.entity or "",
            bucket_of(envelope.entity) if envelope.entity else "",
            entry.fingerprint or b"",
            entry.window_ms,
            entry.packed or codec.pack(envelope),
            *planned,
        )
    return flat


def _planned(wanted: tuple[PlannedDelivery, ...]) -> tuple[bytes | str | int, ...]:
    """Return the arguments for the deliveries of an event."""
    for one in wanted:
        if one.terms:  # terms belong to this event alone
            return _worked_out(wanted)
    return _remembered(wanted)


def _worked_out(wanted: tuple[PlannedDelivery, ...]) -> tuple[bytes | str | int, ...]:
    now, *later = portions([one for one in wanted if one.queue])
    flat: list[bytes | str | int] = [",".join([one.route for one in wanted if not one.queue]), len(later), len(now)]
    flat += [orjson.dumps([written(one) for one in some]) for some in later]
    for one in now:
        flat += written(one)
    return tuple(flat)


_remembered = lru_cache(maxsize=256)(_worked_out)


def bucket_of(entity: str) -> int:
    """Return the number of the hash that remembers the newest event of an entity, as in entities.lua."""
    return int.from_bytes(hashlib.sha1(entity.encode(), usedforsecurity=False).digest()[:2]) >> 4


def continuation(event_id: str) -> list[bytes | str | int]:
    """Return the script's arguments for the next portion of a long event's deliveries; `left` reads the reply."""
    return [rq_time(), 0, 0, 0, event_id, "m", "", "", "", "", "", 0, "", "", 0, 0]


def left(reply: Sequence[bytes]) -> int:
    """Return how many portions of a long event are left, according to the reply."""
    return int(reply[0][1:])


def written(wanted: PlannedDelivery) -> tuple[str, str, int, str]:
    """Return the arguments of one delivery in the form that the scripts read."""
    return wanted.route, wanted.queue, rq_timeout(wanted.timeout_ms), wanted.terms


def _made(entry: Entry) -> list[PlannedDelivery]:
    """Return the deliveries to create; a shadow route gets none."""
    return [wanted for wanted in entry.wanted if wanted.queue]


def receipts(batch: Sequence[Entry], reply: Sequence[bytes]) -> list[Receipt | None]:
    """Return the receipts in the script's reply; None for an event that was not stored because quarantine is full."""
    if len(reply) != len(batch):
        raise StorageUnavailable(f"the store answered for {len(reply)} of {len(batch)} events")
    return [_receipt(entry, code) for entry, code in zip(batch, reply, strict=True)]


def _receipt(entry: Entry, code: bytes) -> Receipt | None:
    match code[:1]:
        case b"a":
            return Receipt(entry.envelope.id, "accepted")
        case b"q":
            return Receipt(entry.envelope.id, "quarantined")
        case b"d":
            return Receipt(code[1:].decode(), "duplicate")
        case b"f":
            return None
    raise StorageUnavailable(f"the store gave an answer that this Frontdesk does not know: {code!r}")
