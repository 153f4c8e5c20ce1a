"""The counters of each hour, beside what a look at its events found. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from receiver.storage.model import decoding

EVENTS = ("unrouted", "quarantined", "routed", "expired")
"""What an accepted event is counted as; exactly one of these at any moment."""

DELIVERIES = ("succeeded", "dead", "discarded", "in_flight", "expired")
"""What a delivery that was made is counted as; exactly one of these at any moment."""

FOUND = ("unrouted", "quarantined", "routed", "d_succeeded", "d_dead", "d_discarded", "d_in_flight")
"""What can be counted by looking, in the order in which `survey_hour.lua` says it."""


@dataclass(slots=True)
class HourCounters:
    """Sums by the names of the counters; those of deliveries begin with `d_`. What is absent is zero."""

    sums: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return self.sums.get(name, 0)

    def add(self, other: "HourCounters") -> None:
        """Add the sums of another."""
        for name, value in other.sums.items():
            self.sums[name] = self[name] + value

    def add_found(self, numbers: list[int]) -> None:
        """Add what one page of `survey_hour.lua` found."""
        for name, value in zip(FOUND, numbers, strict=True):
            self.sums[name] = self[name] + value

    def replaced(self, found: "HourCounters") -> "HourCounters":
        """Return these counters with what was *found* in place of what was counted."""
        return HourCounters(self.sums | {name: found[name] for name in FOUND})

    def difference(self, found: "HourCounters") -> tuple[int, int]:
        """How many events, and how many deliveries, are counted as something else than what was found."""
        return self._apart(found, FOUND[:3]), self._apart(found, FOUND[3:])

    def _apart(self, found: "HourCounters", names: tuple[str, ...]) -> int:
        differences = [self[name] - found[name] for name in names]
        more = sum(number for number in differences if number > 0)
        return max(more, more - sum(differences))

    @property
    def gap(self) -> int:
        """How many events were accepted and are counted as nothing."""
        return abs(self["accepted"] - sum(self[name] for name in EVENTS))


def parsed(raw: Mapping[bytes, bytes]) -> HourCounters:
    """Read the counters of an hour. What is in flight is not counted but follows from the others."""
    counters = HourCounters(decoding.numbers(raw))
    ended = sum(counters[f"d_{name}"] for name in DELIVERIES if name != "in_flight")
    counters.sums["d_in_flight"] = counters["d_created"] - ended
    return counters
