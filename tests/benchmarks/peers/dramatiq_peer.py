"""Dramatiq over Redis."""

from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.benchmarks.peers import duty

dramatiq.set_broker(RedisBroker(url=duty.REDIS))


@dramatiq.actor
def run(record: dict[str, Any]) -> None:
    """The job."""
    duty.work(record)


def preload() -> None:
    """Enqueue what is wanted."""
    for each in duty.wanted():
        run.send(each)
