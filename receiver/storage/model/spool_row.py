"""The row of an entry in a spool: its packed envelope, and the other arguments of keep.lua. Pure. The table that holds
the rows is in `receiver.storage.spool.sqlite_file`."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from receiver.storage.model import codec, entries
from receiver.storage.model.entries import Entry, PlannedDelivery

OVERHEAD = 256
"""Roughly the bytes of a row in addition to its envelope: keys, deliveries, SQLite's overhead."""


@dataclass(frozen=True, slots=True)
class SpoolRow:
    """An entry on its way into or out of a spool."""

    id: str
    envelope: bytes
    fingerprint: bytes | None
    window_ms: int
    wanted: bytes
    quarantined: bool

    @property
    def size(self) -> int:
        """The bytes by which it counts towards the spool's limit."""
        return len(self.envelope) + OVERHEAD

    def columns(self) -> tuple[Any, ...]:
        """Return the columns of its row, the checksum last."""
        return (
            self.id,
            self.envelope,
            self.fingerprint,
            self.window_ms,
            self.wanted,
            int(self.quarantined),
            self.checksum(),
        )

    def checksum(self) -> int:
        """Return a checksum over all fields."""
        crc = zlib.crc32(self.envelope)
        return zlib.crc32(
            b"%b|%b|%d|%b|%d"
            % (self.id.encode(), self.fingerprint or b"", self.window_ms, self.wanted, self.quarantined),
            crc,
        )

    def entry(self) -> Entry:
        """Return the entry. Raises ValueError if this version cannot read it."""
        return Entry(codec.unpack(self.envelope), self.fingerprint, self.window_ms, _planned(self.wanted))


class Glance(NamedTuple):
    """The part of a row that order needs: its position, the event's id, and the lanes of its deliveries."""

    seq: int
    id: str
    lanes: list[str]


def row_of(entry: Entry) -> SpoolRow:
    """Return the row for an entry."""
    envelope = entry.envelope
    # Three fields where three suffice: an earlier version can read those.
    wanted = orjson.dumps(
        [(one.route, one.queue, one.timeout_ms, *([one.terms] if one.terms else [])) for one in entry.wanted]
    )
    return SpoolRow(
        envelope.id,
        entry.packed or codec.pack(envelope),
        entry.fingerprint,
        entry.window_ms,
        wanted,
        bool(envelope.quarantine),
    )


def glance(seq: int, identifier: Any, wanted: Any) -> Glance:
    """Return the lanes of a row; none if it is damaged or this version cannot read it."""
    try:
        return Glance(seq, identifier.decode("ascii"), entries.lanes(_planned(wanted)))
    except (ValueError, AttributeError):
        return Glance(seq, "", [])


def _planned(wanted: bytes) -> tuple[PlannedDelivery, ...]:
    try:
        return tuple(PlannedDelivery(*fields) for fields in orjson.loads(wanted))
    except TypeError:
        raise ValueError("its deliveries have fields that this version does not know") from None


def read(columns: Sequence[Any]) -> SpoolRow | None:
    """Return the row in *columns*; None if its checksum or its types are wrong."""
    try:
        identifier, envelope, fingerprint, window_ms, wanted, quarantined, crc = columns
        found = SpoolRow(identifier.decode("ascii"), envelope, fingerprint, window_ms, wanted, bool(quarantined))
        return found if found.checksum() == crc else None
    except (TypeError, ValueError, AttributeError):
        return None
