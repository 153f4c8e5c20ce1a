"""Whether the store is worth asking. Pure: time is an argument, in seconds of any steady clock."""

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
CALM_S = 5.0


class CircuitBreaker:
    """Open after a failure; each probe that fails doubles the pause before the next, up to a second.

    The pauses start over once the store has been well for five seconds, so that one that comes and goes is not tried
    twenty times a second.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._pause_s = FIRST_PAUSE_S
        self._probe_at = 0.0
        self._closed_at = float("-inf")

    def fail(self, now: float) -> None:
        """Note that the store did not do what it was asked for."""
        if not self.is_open and now - self._closed_at > CALM_S:
            self._pause_s = FIRST_PAUSE_S
        elif self.is_open and now < self._probe_at:
            return  # a call from before the last probe
        self.is_open = True
        self._probe_at = now + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def succeed(self, now: float) -> None:
        """Note that a probe went through."""
        if self.is_open:
            self.is_open = False
            self._closed_at = now

    def wait_s(self, now: float) -> float:
        """How long until the next probe is due; of use while it is open."""
        return max(self._probe_at - now, 0.0)
