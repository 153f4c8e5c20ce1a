"""The counters of each hour, and their comparison with what reading its events found. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from receiver.storage.model import decoding

EVENTS = ("unrouted", "quarantined", "routed", "expired")
"""The states in which accepted events are counted; each event is in exactly one of them at any time."""

DELIVERIES = ("succeeded", "dead", "discarded", "in_flight", "expired")
"""The states in which deliveries are counted; each delivery is in exactly one of them at any time."""

FOUND = ("unrouted", "quarantined", "routed", "d_succeeded", "d_dead", "d_discarded", "d_in_flight")
"""The states that reading the events can count, in the order in which `survey_hour.lua` returns them."""


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
        """Return these counters with the *found* numbers in place of the counted ones."""
        return HourCounters(self.sums | {name: found[name] for name in FOUND})

    def difference(self, found: "HourCounters") -> tuple[int, int]:
        """Return how many events and how many deliveries are counted in a state other than the one found."""
        return self._apart(found, FOUND[:3]), self._apart(found, FOUND[3:])

    def _apart(self, found: "HourCounters", names: tuple[str, ...]) -> int:
        differences = [self[name] - found[name] for name in names]
        more = sum(number for number in differences if number > 0)
        return max(more, more - sum(differences))

    @property
    def gap(self) -> int:
        """Return how many accepted events are not counted in any state."""
        return abs(self["accepted"] - sum(self[name] for name in EVENTS))


def parsed(raw: Mapping[bytes, bytes]) -> HourCounters:
    """Return the counters of an hour. Deliveries in flight are not counted; their number follows from the others."""
    counters = HourCounters(decoding.numbers(raw))
    ended = sum(counters[f"d_{name}"] for name in DELIVERIES if name != "in_flight")
    counters.sums["d_in_flight"] = counters["d_created"] - ended
    return counters
