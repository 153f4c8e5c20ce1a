"""How much to take at a time, where nobody knows what one costs: as much as takes a few milliseconds. Pure."""

from typing import Final

FIRST: Final = 64
LEAST: Final = 8
MOST: Final = 512

_QUICK_S: Final = 0.004
_SLOW_S: Final = 0.012


class Pace:
    """The number to take next, *size*: begins with a screenful, and follows what the last ones took."""

    def __init__(self) -> None:
        self.size = FIRST

    def took(self, seconds: float) -> None:
        """Learn how long it took to deal with *size* of them."""
        if seconds < _QUICK_S:
            self.size = min(self.size * 2, MOST)
        elif seconds > _SLOW_S:
            self.size = max(self.size // 2, LEAST)
