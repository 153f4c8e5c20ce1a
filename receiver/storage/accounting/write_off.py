"""The reckoning with what is lost: an event that has no state any more is counted as what is left of it.

Only somebody who took a key away, or a store that came back without its last writes, makes such events. The audit names
them for ever, because nothing can be said of them that is true: so a person has to say that they are to be reckoned
with. Who still has a record is kept again, unrouted, and can be replayed; who has none is written off as expired.
"""

from collections.abc import Iterable, Mapping

from receiver.core import ids
from receiver.storage.accounting.hour_counters import FOUND, Tally
from receiver.storage.model import codec
from receiver.storage.redis import keys
from receiver.storage.redis.client import StoreClient


class Reckoning:
    """Reckons with lost events, hour by hour. *kept* and *written_off* count them. Raises StorageUnavailable."""

    def __init__(self, calls: StoreClient) -> None:
        """*calls* must know the script `reckon`."""
        self._calls = calls
        self.kept = 0
        self.written_off = 0

    def settle(self, hour: int, before: Mapping[bytes, bytes], found: Tally, lost: Iterable[str]) -> bool:
        """Account for the *lost* events of an hour, whose others are what was *found* while its counters were *before*.

        Returns False, and changes nothing, when the counters moved, or say something else than that these are lost.
        """
        fates = [part for event_id in sorted(lost) for part in (event_id, self._fate(event_id))]
        counters = [part for pair in before.items() for part in pair]
        numbers = [found[name] for name in FOUND]
        reply = self._calls.run("reckon", hour, *numbers, len(before), *counters, *fates)
        if reply is None:
            return False
        kept, gone = reply
        self.kept += kept
        self.written_off += gone
        if gone:
            self._tidy(hour, {event_id for event_id, fate in zip(fates[::2], fates[1::2], strict=True) if fate == "-"})
        return True

    def _fate(self, event_id: str) -> str:
        """Return what the script is to make of an event: unrouted, quarantined under its hook, or written off."""
        stored = self._calls.ask("get", keys.envelope(event_id))
        if stored is None:
            return "-"
        try:
            envelope = codec.unpack(stored)
        except ValueError:
            return "-"
        return f"{envelope.business_id}/{envelope.action}" if envelope.quarantine else "u"

    def _tidy(self, hour: int, gone: set[str]) -> None:
        """Delete what nobody else would: their attempts; and let retention take them off the narrower lists."""
        attempts = [key for key in self._calls.scan("fd:a:*") if key[5 : 5 + ids.LENGTH].decode() in gone]
        for key in attempts:
            self._calls.ask("delete", key)
        routes = [key.decode().removeprefix("fd:i:") for key in self._calls.scan(f"fd:i:{hour}:r:*")]
        self._calls.ask("sadd", keys.stale(hour), "*", *routes)
        self._calls.ask("sadd", keys.STALE, str(hour))
