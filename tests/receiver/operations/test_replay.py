"""A replay makes new deliveries of the same event, by the table of today, and never a second event."""

import redis

from receiver.core.events import EventStatus
from receiver.nexudus.actions import CODES
from receiver.operations.replay import Replay
from receiver.routing import file
from receiver.storage.accounting.audit import Audit
from receiver.storage.model.entries import PlannedDelivery
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import entry, keep_all

ROUTES = """
routes:
  - {name: announce, action: BookingCreate, handler: log}
  - {name: charge, action: BookingCreate, handler: log, replay: confirm}
"""


def replay(client: redis.Redis, event_id: str, *, route: str | None = None, only_dead: bool = False) -> list[str]:
    """Replay one event; returns the routes that got a delivery."""
    table = file.parse(ROUTES, file="routes.yaml", known_actions=CODES)
    made = Replay(client, table, route=route, only_dead=only_dead).run(EventReader(client).get(event_id)).deliveries
    return [one.route for one in EventReader(client).get(event_id).deliveries if one.id in made]


def test_a_route_that_asks_for_it_is_left_out_unless_it_is_named(client: redis.Redis) -> None:
    """Also when all that is dead is replayed."""
    one = entry(routes=("announce", "charge"))
    keep_all(client, one)
    acknowledge(client, *claim_all(client), verdict="dead")

    assert replay(client, one.envelope.id, only_dead=True) == ["announce"]
    assert replay(client, one.envelope.id) == []
    assert replay(client, one.envelope.id, route="charge") == ["charge"]


def test_dead_deliveries_revive_under_the_same_event(client: redis.Redis) -> None:
    """The dead one is discarded in favour of its successor, whose origin says what it is; one event, not two."""
    one = entry(routes=("announce",))
    keep_all(client, one)
    acknowledge(client, *claim_all(client), verdict="dead", error="no good")

    assert replay(client, one.envelope.id, only_dead=True) == ["announce"]

    first, second = EventReader(client).get(one.envelope.id).deliveries
    assert (first.status, first.error) == ("discarded", f"replayed as {second.id}")
    assert (second.status, second.origin) == ("in_flight", "replay")
    (claim,) = claim_all(client)
    assert claim.envelope == one.envelope
    acknowledge(client, claim)
    assert EventReader(client).get(one.envelope.id).status == EventStatus.SUCCEEDED
    report = Audit(client).run(full=True)
    assert (report.events["accepted"], report.deliveries["created"], report.unaccounted) == (1, 2, 0)


def test_an_event_of_a_route_that_left_the_shadow_is_listed_once(client: redis.Redis) -> None:
    """The list of its route names it already; twice there, it would be shown twice, and paging might not end."""
    one = entry(routes=())
    keep_all(client, one._replace(wanted=(PlannedDelivery("announce"),)))

    assert replay(client, one.envelope.id, route="announce") == ["announce"]

    assert [stored.envelope.id for stored in EventReader(client).newest(EventFilter(route="announce"))] == [
        one.envelope.id
    ]
    assert Audit(client).run(full=True).unaccounted == 0
