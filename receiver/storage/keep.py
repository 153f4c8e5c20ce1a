"""The arguments of the script that keeps a batch of events, and what its reply means. Pure; both clients share it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from receiver.errors import StorageUnavailable
from receiver.storage import codec
from receiver.storage.entries import Entry, Receipt

LARGEST_BATCH = 256
"""Events in one call at most: it bounds how long Redis is busy with it, and stays far below what Lua can unpack."""

RQ_MARGIN_S = 60
"""RQ's own timeout of a job lies this far above ours, so that ours always comes first."""

NO_LIMIT = 2**53


def rq_time() -> str:
    """The time now, as RQ writes it into its jobs."""
    return datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def rq_timeout(timeout_ms: int) -> int:
    """RQ's timeout in seconds for attempts that we end after *timeout_ms*."""
    return -(-timeout_ms // 1_000) + RQ_MARGIN_S


def arguments(
    batch: Sequence[Entry], *, quarantine_limit: int = NO_LIMIT, alias_ms: int = 0, releases: bool = False
) -> list[bytes | str | int]:
    """Return the script's arguments.

    *quarantine_limit*: bytes; one hook may fill a quarter of them. *alias_ms*: for events out of a spool, how long the
    id of one that turns out to be a duplicate leads to the event that was kept first. *releases*: these events are
    quarantined under their ids until now.
    """
    flat: list[bytes | str | int] = [rq_time(), quarantine_limit, quarantine_limit // 4, alias_ms]
    for entry in batch:
        envelope = entry.envelope
        made = [wanted for wanted in entry.wanted if wanted.queue]
        flat += (
            envelope.id,
            "p" if releases else "q" if envelope.quarantine else "r",
            envelope.action,
            envelope.business_id,
            envelope.entity or "",
            entry.fingerprint or b"",
            entry.window_ms,
            codec.pack(envelope),
            "" if len(made) == len(entry.wanted) else ",".join(one.route for one in entry.wanted if not one.queue),
            len(made),
        )
        for wanted in made:
            flat += (wanted.route, wanted.queue, rq_timeout(wanted.timeout_ms), wanted.terms)
    return flat


def receipts(batch: Sequence[Entry], reply: Sequence[bytes]) -> list[Receipt | None]:
    """Read the script's reply; None for an event that was not kept because quarantine is full."""
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
