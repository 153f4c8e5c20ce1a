"""Decides whether a request to a hook is accepted, quarantined or refused. Pure; `ingest` and `frontdesk release` share
it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from receiver.nexudus import payload, signature

_LONGEST_HEADER = 512
"""Characters of each header that a quarantined request keeps for a later check."""


class Request(NamedTuple):
    """One POST to a hook with a valid token. A header that was not sent is None. *trace*: see Envelope."""

    business_id: int
    action: str
    body: bytes
    signature: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings for requests. *secrets*: pairs of a location (None: any) and a shared secret.

    *reading*: the only reading under which a signature is valid; None: for each secret, the one it was seen to use.
    """

    secrets: tuple[tuple[int | None, str], ...] = ()
    reading: signature.Reading | None = None
    on_bad_signature: Literal["quarantine", "reject"] = "quarantine"
    dedup_window_ms: int = 86_400_000


QuarantineReason = Literal["signature", "compressed", "unreadable", "fault"]
"""The reasons by which quarantined requests are counted. `fault`: Frontdesk itself failed on the request."""


class Accepted(NamedTuple):
    """A request that can be read, and whose signature holds if one is required: each record becomes an event."""

    records: tuple[payload.BodyRecord, ...]


class Quarantined(NamedTuple):
    """A request that is kept whole for a person to look at. *reason* is one clause."""

    kind: QuarantineReason
    reason: str


class Refused(NamedTuple):
    """A request that is answered with 401 and not kept. *reason* is one clause."""

    reason: str


def evaluate(
    request: Request, bad_signature: str | None, on_bad_signature: Literal["quarantine", "reject", "accept"]
) -> Accepted | Quarantined | Refused:
    """Return what becomes of a request. Never raises, whatever the body and headers hold.

    *bad_signature*: why the signature is not valid; None: it is valid, or no secret is set for the location.
    """
    if bad_signature is not None and on_bad_signature != "accept":
        return Refused(bad_signature) if on_bad_signature == "reject" else Quarantined("signature", bad_signature)
    encoding = (request.content_encoding or "").strip().lower()
    if encoding not in ("", "identity"):
        return Quarantined("compressed", f"the body is compressed ({encoding[:40]!r}); Nexudus sends plain JSON")
    try:
        return Accepted(payload.split(request.body))
    except ValueError as error:
        return Quarantined("unreadable", f"the body cannot be read: {error}")


def kept_headers(request: Request) -> dict[str, str]:
    """Return the headers that a later check of a quarantined request needs, cut to a bound."""
    kept = {
        signature.HEADER: request.signature,
        "Content-Type": request.content_type,
        "Content-Encoding": request.content_encoding,
    }
    return {name: value[:_LONGEST_HEADER] for name, value in kept.items() if value is not None}
