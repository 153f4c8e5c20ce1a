"""FastAPI and Celery; no result is kept."""

from typing import Any

from celery import Celery
from fastapi import FastAPI, Request, Response

from tests.benchmarks.peers import duty

JOB = "run"

tasks = Celery("bench", broker=duty.REDIS)
tasks.conf.update(task_ignore_result=True, worker_prefetch_multiplier=64, broker_connection_retry_on_startup=True)


@tasks.task(name=JOB)
def run(record: dict[str, Any]) -> None:
    """The job."""
    duty.work(record)


app = FastAPI()


@app.post("/events", status_code=202)
async def take(request: Request) -> Response:
    """Check, read, enqueue, answer 202."""
    for record in duty.records(await request.body(), request.headers.get(duty.HEADER)):
        run.delay(record)
    return Response(status_code=202)


def preload() -> None:
    """Enqueue what is wanted."""
    with tasks.producer_pool.acquire(block=True) as producer:
        for record in duty.wanted():
            tasks.send_task(JOB, (record,), producer=producer)
