"""A circuit breaker: decides whether to call the store. Pure: the time is an argument, in seconds of a steady clock."""

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
CALM_S = 5.0


class CircuitBreaker:
    """Opens after a failure. Each probe that fails doubles the pause before the next, up to a second.

    The pauses start over when the store has worked for five seconds, so that a store that comes and goes is not tried
    twenty times a second.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._pause_s = FIRST_PAUSE_S
        self._probe_at = 0.0
        self._closed_at = float("-inf")

    def fail(self, now: float) -> None:
        """Note that a call of the store failed."""
        if not self.is_open and now - self._closed_at > CALM_S:
            self._pause_s = FIRST_PAUSE_S
        elif self.is_open and now < self._probe_at:
            return  # a call from before the last probe
        self.is_open = True
        self._probe_at = now + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def succeed(self, now: float) -> None:
        """Note that a probe succeeded."""
        if self.is_open:
            self.is_open = False
            self._closed_at = now

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next probe is due, while the breaker is open."""
        return max(self._probe_at - now, 0.0)
