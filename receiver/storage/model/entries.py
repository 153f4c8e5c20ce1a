"""The values that go into the store and come back, without Redis. They are tuples, like envelopes, because each event
creates some of them and a frozen dataclass takes five times as long to create."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.core.events import Envelope

_LONGEST_WHY = 200


class PlannedDelivery(NamedTuple):
    """A delivery to create: the route that wants the event, its queue, and how long an attempt may take at most.

    *terms*: what it has to wait for, as `terms` writes it; empty if nothing. Without a queue, no delivery is created:
    the route is a shadow route, and the store only notes that it wanted the event.
    """

    route: str
    queue: str = ""
    timeout_ms: int = 0
    terms: str = ""


def terms(lane: str = "", per: str = "", delay_ms: int = 0, *, debounced: bool = False) -> str:
    """Return what a delivery has to wait for, in the form that the scripts read.

    *lane*: the key whose deliveries run one after another; *per*: the key by which limits count; both consist of A-Z,
    a-z, 0-9, _ and -, or are empty. *delay_ms*: how long it waits before its first attempt. *debounced*: it replaces
    the delivery that waits in its lane."""
    if not (lane or per or delay_ms):
        return ""
    return f"{lane}|{per}|{delay_ms}|{'d' if debounced else ''}"


def timed_terms(
    lane: str,
    per: str,
    due_ms: int,
    updated_s: int,
    ending: Literal["", "action", "where", "no time"] = "",
    why: str = "",
) -> str:
    """Return when a delivery of a route with `at` starts, as the scripts read it (timed_placement.lua).

    *lane*, *per* as of `terms`; empty *lane*: nothing replaces it or calls it off. *due_ms*: Unix ms; *updated_s*: Unix
    second of the record's last change, 0 if unknown: an event that is older than another does not replace it. *ending*:
    no delivery starts, and what waits is called off: by the event's action, because `where` does not match the event,
    or because it has no time; *why* then is the action, or why there is no time.
    """
    letter = {"": "", "action": "c", "where": "w", "no time": "n"}[ending]
    return f"|@|{lane}|{per}|{due_ms}|{updated_s}|{letter}|{why[:_LONGEST_WHY]}"


class Entry(NamedTuple):
    """One event on its way into the store, with the deliveries that its routes ask for.

    *fingerprint* None: the event is never a duplicate, and no other is a duplicate of it (quarantine); else 16 bytes,
    and the change that the event claims (`change_claims`). *window_ms*: for how long an event with the same fingerprint
    is a duplicate. *packed*: the encoded envelope, if it is known already.
    """

    envelope: Envelope
    fingerprint: bytes | None
    window_ms: int
    wanted: tuple[PlannedDelivery, ...]
    packed: bytes = b""


def is_ordered(entry: Entry) -> bool:
    """Return whether one of an event's deliveries has to wait for earlier ones of its key."""
    for one in entry.wanted:  # noqa: SIM110 - a generator costs every event three times as much
        if one.terms and one.terms[0] != "|":
            return True
    return False


def lanes(wanted: Iterable[PlannedDelivery]) -> list[str]:
    """Return the lanes, `{route}:{key}`, of deliveries that run one after another."""
    return [f"{one.route}:{one.terms.partition('|')[0]}" for one in wanted if one.terms and one.terms[0] != "|"]


class Receipt(NamedTuple):
    """The store's answer for one entry. For a duplicate, *id* is that of the event that was stored first."""

    id: str
    status: Literal["accepted", "duplicate", "spooled", "quarantined"]


StoreResult = Receipt | RequestRefused | StorageUnavailable
"""The result of an entry: its receipt, or the reason why it is not certain that it is stored."""

OnResult = Callable[[Entry, StoreResult, Any], None]
"""Called once with an entry, its result, and the context that was passed with the callback."""
