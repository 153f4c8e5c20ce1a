"""Replay: an event that is kept gets new deliveries by the table of today. The event, its key and its history stay."""

from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import RedisError

from receiver import wanting
from receiver.errors import EventUnknown
from receiver.events import DeliveryStatus, EventStatus
from receiver.routing.table import Route, RoutingTable
from receiver.storage import scripts
from receiver.storage.keep import rq_time, rq_timeout
from receiver.storage.outage import outage
from receiver.storage.stored import Stored


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay of one event did: the ids of the deliveries made; or why there are none."""

    event_id: str
    deliveries: tuple[str, ...]
    reason: str | None = None


class Replay:
    """Replays events by a routing table. *route*: that route only; *only_dead*: dead deliveries only.

    A route that says `replay: confirm` takes part only when it is that route.
    """

    def __init__(
        self, client: redis.Redis, table: RoutingTable, *, route: str | None = None, only_dead: bool = False
    ) -> None:
        self._script = client.register_script(scripts.source("replay"))
        self._table = table
        self._route = route
        self._only_dead = only_dead

    def routes(self, stored: Stored) -> tuple[Route, ...]:
        """The routes that would get a delivery of this event, as far as can be known before it is tried."""
        if _obstacle(stored):
            return ()
        record = stored.envelope.record()
        matched = self._table.match(stored.envelope.business_id, stored.envelope.action, record).routes
        dead = {delivery.route for delivery in stored.deliveries if delivery.status == DeliveryStatus.DEAD}
        return tuple(
            route
            for route in matched
            if (route.name == self._route or (self._route is None and not route.confirms_replay))
            and (not self._only_dead or route.name in dead)
        )

    def run(self, stored: Stored) -> Replayed:
        """Make the deliveries. Raises EventUnknown, StorageUnavailable."""
        event_id = stored.envelope.id
        if obstacle := _obstacle(stored):
            return Replayed(event_id, (), obstacle)
        routes = self.routes(stored)
        if not routes:
            return Replayed(event_id, (), "no route of today's table wants it")
        arguments: list[Any] = [rq_time(), event_id, "dead" if self._only_dead else "all"]
        envelope = stored.envelope
        record = envelope.record()
        for route in routes:
            wanted = wanting.delivery(route, envelope.business_id, envelope.action, record)
            arguments += (wanted.route, wanted.queue, rq_timeout(wanted.timeout_ms), wanted.terms)
        try:
            made = self._script(args=arguments)
        except (RedisError, OSError) as error:
            raise outage(error) from error
        if made is None:
            raise EventUnknown(f"event {event_id!r} is not kept any more")
        deliveries = tuple(delivery.decode() for delivery in made)
        return Replayed(event_id, deliveries, None if deliveries else "its deliveries are still in flight")


def _obstacle(stored: Stored) -> str | None:
    """Say why an event cannot be replayed, whatever the table."""
    if stored.status == EventStatus.QUARANTINED:
        return "it is quarantined; `frontdesk release` checks it again"
    return stored.loss
