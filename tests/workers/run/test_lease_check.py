"""A worker takes nothing for lost that it has just recorded."""

import redis

from receiver.storage.queue.queue import DeliveryQueue
from receiver.storage.redis import connection, keys
from receiver.storage.redis.clock import StoreClock
from tests.support.deliveries import claim_all
from tests.support.events import entry, keep_all
from workers.run.lease_check import LeaseCheck
from workers.run.recorder import Recorder


class _RecordedMeanwhile(DeliveryQueue):
    """A queue that answers what was held, while another thread lets go of it."""

    def __init__(self, client: redis.Redis, holding: dict[str, object]) -> None:
        super().__init__(client)
        self._holding = holding

    def held(self, worker: str) -> frozenset[str]:
        found = super().held(worker)
        self._holding.clear()
        return found


def test_what_is_recorded_while_the_store_answers_is_not_lost(redis_url: str) -> None:
    """It would be given back, and run again."""
    with connection.connect(redis_url) as client:
        one = entry()
        keep_all(client, one)
        (claim,) = claim_all(client)
        holding: dict[str, object] = {claim.job: claim}
        queue = _RecordedMeanwhile(client, holding)

        LeaseCheck(queue, "ann", Recorder(queue, "ann", lambda _: None), StoreClock()).run(holding.keys())

        assert client.hget(keys.state(one.envelope.id), "1s") == b"x"
