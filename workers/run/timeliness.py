"""Whether a claimed delivery starts now: it may be too early, too late, or have no time. Pure."""

from receiver.core import durations, timestamps
from receiver.core.events import Event
from receiver.routing.route import Route
from workers.api import Discard
from workers.plugins import loader

_EARLY_MS = 1_000
"""A delivery may start so long before its time: clocks differ."""


class Unrunnable(Exception):
    """A claimed delivery cannot be run here; the text says why."""


class Early(Unrunnable):
    """The time of the delivery, by the route as it is today, has not come. *due_ms*: Unix ms of it."""

    def __init__(self, due_ms: int, timeout_ms: int) -> None:
        super().__init__(f"its time is {timestamps.show(due_ms)}")
        self.due_ms = due_ms
        self.timeout_ms = timeout_ms


def discarding(name: str, why: str) -> loader.Handler:
    """Return what runs for a delivery that is not wanted any more: it is discarded."""

    def discard(event: Event) -> None:
        del event
        raise Discard(why)

    return loader.Handler(name, is_async=False, call=discard)


def untimely(route: Route, event: Event, now_ms: int) -> loader.Handler | None:
    """Return what runs instead of the handler when the delivery is too late or has no time. Raises Early.

    Its time is what the route says today: that may have been edited while the delivery waited.
    """
    since_ms, what = int(event.received_at.timestamp() * 1_000), "event came"
    if route.flow and route.flow.at:
        since_ms, no_time = route.flow.at.of(event.business_id, event.action, event.data)
        what = "time was"
        if no_time is not None:
            return discarding("no time", f"no time: {no_time}")
        if since_ms > now_ms + _EARLY_MS:
            raise Early(since_ms, route.timeout_ms)
    if route.max_age_ms and now_ms - since_ms > route.max_age_ms:
        return _too_late(what, now_ms - since_ms)
    return None


def _too_late(what: str, age_ms: int) -> loader.Handler:
    ago = durations.show(age_ms // 1_000 * 1_000)
    return discarding("too late", f"too late: its {what} {ago} ago, and the route has a `max_age`")
