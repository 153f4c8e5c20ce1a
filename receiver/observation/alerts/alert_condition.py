"""One condition that an alert reports. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AlertCondition:
    """Something that is wrong now. *hold_ms*: how long it must last before it is reported; it may pass by itself."""

    kind: str
    title: str
    text: str
    subject: str = ""
    hold_ms: int = 0

    @property
    def name(self) -> str:
        """The key of its alert."""
        return f"{self.kind}/{self.subject}" if self.subject else self.kind
