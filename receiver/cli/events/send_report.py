"""What came back to `frontdesk send`: counted, timed and told, in bounded memory however many are sent."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from receiver.cli.ui import output

_MOST_SHOWN = 1_000


@dataclass(slots=True)
class SendReport:
    """Answers so far. *refused* counts those other than 202, and none, by their reason; *lasted* is in seconds."""

    sent: int = 0
    events: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    lasted: float = 0.0
    _first: list[dict[str, str]] = field(default_factory=list)
    _tenths: Counter[int] = field(default_factory=Counter)

    def took(self, seconds: float) -> None:
        """Note how long an answer took, to a tenth of a millisecond."""
        self._tenths[round(seconds * 10_000)] += 1

    def kept(self, events: Sequence[dict[str, str]]) -> None:
        """Note what became of the events of one request."""
        self.events.update(event["status"] for event in events)
        self._first += events[: _MOST_SHOWN - len(self._first)]

    def milliseconds(self) -> dict[str, float]:
        """Return how long answers took: the middle, the slowest hundredth, the slowest."""
        found: dict[str, float] = {}
        ordered = sorted(self._tenths.items())
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            left = share * self._tenths.total()
            for tenth, number in ordered:
                left -= number
                if left <= 0:
                    found[name] = tenth / 10
                    break
        return found

    def summary(self) -> dict[str, Any]:
        """Return everything as one object; *first* holds the first 1,000 events."""
        return {
            "sent": self.sent,
            "events": dict(self.events),
            "refused": dict(self.refused),
            "seconds": round(self.lasted, 3),
            "milliseconds": self.milliseconds(),
            "first": self._first,
        }

    def tell(self) -> None:
        """Print it for a person."""
        if self.sent == 1:
            for event in self._first:
                output.say(f"{event['status']}: {event['id']}")
        else:
            became = ", ".join(f"{number} {status}" for status, number in self.events.most_common()) or "nothing kept"
            times = "".join(f", {name} {value} ms" for name, value in self.milliseconds().items())
            output.say(f"sent {self.sent} in {self.lasted:.1f} s ({self.sent / self.lasted:.0f}/s): {became}{times}")
        for reason, number in self.refused.most_common():
            output.warn(f"{number} of {self.sent} refused: {reason}")
