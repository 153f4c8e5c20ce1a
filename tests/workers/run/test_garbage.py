"""Nothing of a delivery is left to the cycle collector: it stops the process for 50 ms at a time."""

import gc
from pathlib import Path

import redis

from receiver.core.events import Event
from receiver.nexudus import actions
from receiver.routing import file
from receiver.storage.queue.queue import Acknowledgement, Attempt, Claim, DeliveryQueue
from tests.support.deliveries import LEASE_MS
from tests.support.events import entry, keep_all
from workers.run import execution
from workers.run.delivery_loader import DeliveryLoader, LoadedDelivery

TABLE = file.parse("routes: [{action: '*', handler: log}]", file="routes.yaml", known_actions=actions.NAMES)
OURS = (Acknowledgement, Attempt, Claim, Event, LoadedDelivery)
NUMBER = 100


def test_deliveries_leave_nothing_in_circles(client: redis.Redis) -> None:
    """Claimed, loaded, run and acknowledged."""
    for number in range(NUMBER):
        keep_all(client, entry(b'{"Id":%d}' % number, routes=("log",)))
    deliveries, loader = DeliveryQueue(client), DeliveryLoader(lambda: TABLE, {}, Path())
    deliveries.begin_lease("ann", LEASE_MS)

    def turn(most: int) -> int:
        claimed = deliveries.claim("ann", ("default",), most)
        assert claimed is not None
        ended = []
        for claim in claimed.claims:
            loaded = loader.load(claim)
            result = execution.run(loaded.handler, loaded.event)
            assert result.outcome == "succeeded"
            ended.append(Acknowledgement(claim.job, "succeeded", attempt=Attempt(1, "succeeded", 1, 2, "ann")))
        deliveries.acknowledge("ann", ended)
        return len(ended)

    assert turn(10) == 10
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        while turn(10):
            pass
        gc.collect()
        left = [one for one in gc.garbage if isinstance(one, OURS)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert left == []
    assert client.llen("rq:queue:default") == 0
