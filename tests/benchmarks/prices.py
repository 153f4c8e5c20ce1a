"""What calls of the store's scripts cost the store, alone, in calls of one event and of many."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from receiver.storage.model import keep_script
from receiver.storage.queue.queue import Acknowledgement, Attempt, DeliveryQueue
from receiver.storage.redis import scripts
from tests.benchmarks import fleets, ours, receivers, records
from tests.benchmarks.stand import Stand, settle
from tests.support.events import entry

MANY = 32
"""Events in a full call."""

_CALLS = 600
_WORKER = "bench"
_LEASE_MS = 600_000
_IDLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Price:
    """Microseconds of the store for a call, and for each event in it."""

    call: float
    event: float

    def of(self, batch: float) -> float:
        """What an event costs in a call of so many."""
        return self.event + self.call / batch


@dataclass(frozen=True, slots=True)
class Prices:
    """What keeping and running cost, in a call of one and in full calls; looking in vain; an idle second, in µs."""

    kept: Price
    ran: Price
    looked: float
    idle: float

    def busiest(self) -> float:
        """An event in calls of its own, by a worker that slept."""
        return self.kept.of(1) + self.ran.of(1) + self.looked

    def least(self) -> float:
        """An event in full calls."""
        return self.kept.of(MANY) + self.ran.of(MANY)


def measure(stand: Stand) -> Prices:
    """Measure all of them."""
    found = {}
    for batch in (1, MANY):
        stand.empty()
        found[batch] = (_keeping(stand, batch), _running(stand, batch))
    kept, ran = (_price(one, many) for one, many in zip(found[1], found[MANY], strict=True))
    return Prices(kept, ran, _looking(stand), _idling(stand))


def _price(one: float, many: float) -> Price:
    """Two calls of different size give the price of a call and that of an event."""
    call = (one - many) / (1 - 1 / MANY)
    return Price(call, one - call)


def _keeping(stand: Stand, batch: int) -> float:
    make = records.bodies()
    script = stand.client.register_script(scripts.source("keep"))
    calls = []
    for _ in range(max(_CALLS // batch, 60)):
        first = stand.ids(batch)
        entries = [
            entry(make(first + n)[1:-1], routes=(ours.ROUTE,), action=records.ACTION, entity=f"Booking:{first + n}")
            for n in range(batch)
        ]
        calls.append(keep_script.arguments(entries))
    return _us_each(stand, [lambda arguments=arguments: script(args=arguments) for arguments in calls], batch)  # type: ignore[misc]


def _running(stand: Stand, batch: int) -> float:
    deliveries = DeliveryQueue(stand.client)
    deliveries.begin_lease(_WORKER, _LEASE_MS)

    def turn() -> None:
        claimed = deliveries.claim(_WORKER, ("default",), batch)
        assert claimed is not None
        now = int(time.time() * 1_000)
        attempt = Attempt(1, "succeeded", now, now, _WORKER)
        deliveries.acknowledge(
            _WORKER, [Acknowledgement(claim.job, "succeeded", attempt=attempt) for claim in claimed.claims]
        )

    return _us_each(stand, [turn] * max(_CALLS // batch, 60), batch)


def _looking(stand: Stand) -> float:
    """What a worker costs that looks in vain and waits."""
    deliveries = DeliveryQueue(stand.client)
    deliveries.begin_lease(_WORKER, _LEASE_MS)

    def turn() -> None:
        deliveries.claim(_WORKER, ("nothing",), 1)
        deliveries.wait(("nothing",), 0.01)

    return _us_each(stand, [turn] * (_CALLS // 4), 1)


def _idling(stand: Stand) -> float:
    """What the store uses in a second beside receiver and workers that have nothing to do."""
    stand.empty()
    running = receivers.start(stand, receivers.FRONTDESK)
    fleet = fleets.fleets()[0]
    fleet.start(stand, 0)
    try:
        settle(3.0)
        before = stand.spent().cpu_s
        settle(_IDLE_S)
        return (stand.spent().cpu_s - before) / _IDLE_S * 1e6
    finally:
        fleet.stop()
        running.process.end()


def _us_each(stand: Stand, calls: Sequence[Callable[[], object]], batch: int) -> float:
    calls[0]()  # loads the script
    before = stand.spent().cpu_s
    for call in calls[1:]:
        call()
    return (stand.spent().cpu_s - before) / (len(calls) - 1) / batch * 1e6
