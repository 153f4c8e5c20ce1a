'''Frontdesk's workers. For authors of handlers, this is the API: `from workers import ...`.

A handler is a function. Its keyword-only parameters are its options, which routes.yaml gives under `with:`:

    from workers import Discard, Event, Retry

    def announce(event: Event, *, webhook_url: str, channel: str = "#general") -> None:
        """Post one line to Slack for each booking."""
        if event.data.get("Tentative"):
            raise Discard("not confirmed yet")
        response = httpx2.post(webhook_url, json={"channel": channel, "text": event.data["ResourceName"]}, timeout=10)
        if response.status_code == 429:
            raise Retry("Slack asks us to slow down", after=float(response.headers["Retry-After"]))
        response.raise_for_status()

It may be `async def`. Returning means done, whatever is returned. Any exception means failed, and the route's schedule
decides when the next attempt starts. A delivery can run twice: `event.key` stays the same over attempts and replays, so
pass it on as the idempotency key. `once` remembers which steps of a delivery were done (workers/once.py). `event:
Event[Booking]` gives the record as a type (workers/records.py).

Save the function as `slack.py` beside routes.yaml and route to it with `handler: slack:announce`, or let `frontdesk
new-handler slack` write a package with a test. To test a handler, call it.
'''

from receiver.core.events import Event
from workers.api import Discard, Retry, TargetDown
from workers.nexudus.lookup import Nexudus
from workers.once import once

__all__ = ["Discard", "Event", "Nexudus", "Retry", "TargetDown", "once"]
