"""A request to a hook as it came, and what makes us doubt it. Pure."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from receiver.nexudus import payload, signature

_LONGEST_HEADER = 512
"""Characters of each header that a quarantined request keeps for a later check."""


class Request(NamedTuple):
    """One POST to a hook whose token was right. Headers as they came, None when they did not. *trace*: see Envelope."""

    business_id: int
    action: str
    body: bytes
    signature: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say about requests. *secrets*: pairs of a location (None: any) and a shared secret.

    *reading*: the only one of their signatures that holds; None: the one that each is seen to sign under.
    """

    secrets: tuple[tuple[int | None, str], ...] = ()
    reading: signature.Reading | None = None
    on_bad_signature: Literal["quarantine", "reject"] = "quarantine"
    dedup_window_ms: int = 86_400_000


class Doubt(ValueError):
    """Why a request is set aside: a *kind* to count by, and the reason in words. Never leaves ingest."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def records_of(request: Request) -> tuple[payload.Record, ...]:
    """Return the records in a request. Raises Doubt."""
    encoding = (request.content_encoding or "").strip().lower()
    if encoding not in ("", "identity"):
        raise Doubt("compressed", f"the body is compressed ({encoding[:40]!r}); Nexudus sends plain JSON")
    try:
        return payload.split(request.body)
    except ValueError as error:
        raise Doubt("unreadable", f"the body cannot be read: {error}") from None


def kept_headers(request: Request) -> dict[str, str]:
    """Return the headers that a later check of a quarantined request needs, cut to a bound."""
    kept = {
        signature.HEADER: request.signature,
        "Content-Type": request.content_type,
        "Content-Encoding": request.content_encoding,
    }
    return {name: value[:_LONGEST_HEADER] for name, value in kept.items() if value is not None}
