"""taskiq over a Redis list, its fastest broker; no result is kept."""

import asyncio
from typing import Any

from taskiq_redis import ListQueueBroker

from tests.benchmarks.peers import duty

broker = ListQueueBroker(duty.REDIS)


@broker.task(task_name="run")
async def run(record: dict[str, Any]) -> None:
    """The job."""
    duty.mark(record)
    if duty.WAIT_S:
        await asyncio.sleep(duty.WAIT_S)


def preload() -> None:
    """Enqueue what is wanted."""
    asyncio.run(_preload())


async def _preload() -> None:
    await broker.startup()
    for record in duty.wanted():
        await run.kiq(record)
    await broker.shutdown()
