"""Replay: an event that is kept gets new deliveries by the table of today. The event, its key and its history stay."""

from collections.abc import Sequence
from dataclasses import dataclass

import redis

from receiver.core.errors import EventUnknown, StorageUnavailable
from receiver.core.events import DeliveryStatus, EventStatus
from receiver.ingest import delivery_plan
from receiver.routing.route import Route
from receiver.routing.table import Matched, RoutingTable
from receiver.storage.model import keep_script
from receiver.storage.model.entries import PlannedDelivery
from receiver.storage.query.stored_event import StoredEvent
from receiver.storage.redis.store_client import StoreClient, is_refusal


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
        self._calls = StoreClient(client, "replay")
        self._table = table
        self._route = route
        self._only_dead = only_dead

    def routes(self, stored: StoredEvent) -> tuple[Route, ...]:
        """The routes that would get a delivery of this event, as far as can be known before it is tried."""
        return () if _obstacle(stored) else self._matched(stored).routes

    def _matched(self, stored: StoredEvent) -> Matched:
        """Return which routes take part. An event that `where` does not match any more calls nothing off again."""
        envelope = stored.envelope
        dead = {delivery.route for delivery in stored.deliveries if delivery.status == DeliveryStatus.DEAD}

        def takes(route: Route) -> bool:
            is_meant = route.name == self._route or (self._route is None and not route.confirms_replay)
            return is_meant and (not self._only_dead or route.name in dead)

        found = self._table.match(envelope.business_id, envelope.action, envelope.record()).narrowed(takes)
        return found._replace(unfit=())

    def run(self, stored: StoredEvent) -> Replayed:
        """Make the deliveries. Raises EventUnknown, StorageUnavailable."""
        event_id = stored.envelope.id
        if obstacle := _obstacle(stored):
            return Replayed(event_id, (), obstacle)
        envelope, matched = stored.envelope, self._matched(stored)
        place = (envelope.business_id, envelope.action, envelope.record())
        wanted = [delivery_plan.delivery(route, *place) for route in matched.routes]
        wanted += delivery_plan.calling_off(matched, *place)
        if not wanted:
            return Replayed(event_id, (), "no route of today's table wants it")
        made: list[str] = []
        for some in keep_script.portions(wanted):
            reply = self._make(event_id, some)
            if isinstance(reply, str):
                return Replayed(event_id, tuple(made), reply)
            made += reply
        return Replayed(event_id, tuple(made), None if made else "its deliveries are still in flight")

    def _make(self, event_id: str, some: Sequence[PlannedDelivery]) -> list[str] | str:
        """Make some of the deliveries, in one call; return their ids, or why the script refuses them."""
        flat = [part for wanted in some for part in keep_script.written(wanted)]
        try:
            made = self._calls.run(
                "replay", keep_script.rq_time(), event_id, "dead" if self._only_dead else "all", *flat
            )
        except StorageUnavailable as error:
            if is_refusal(error):
                return f"the store refuses it: {error}"
            raise
        if made is None:
            raise EventUnknown(f"event {event_id!r} is not kept any more")
        return [delivery.decode() for delivery in made]


def _obstacle(stored: StoredEvent) -> str | None:
    """Say why an event cannot be replayed, whatever the table."""
    if stored.status == EventStatus.QUARANTINED:
        return "it is quarantined; `frontdesk release` checks it again"
    return stored.loss
