"""huey over Redis; no result is kept."""

from typing import Any

from huey import RedisHuey

from tests.benchmarks.peers import duty

huey = RedisHuey("bench", url=duty.REDIS, results=False)


@huey.task(name="run")
def run(record: dict[str, Any]) -> None:
    """The job."""
    duty.work(record)


def preload() -> None:
    """Enqueue what is wanted."""
    for each in duty.wanted():
        run(each)
