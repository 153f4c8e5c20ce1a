"""Starlette and RQ: `Queue.enqueue` in the thread pool, as both projects' documentation has it."""

from typing import Any

import redis
import rq
from rq.serializers import JSONSerializer
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.benchmarks.peers import duty

JOB = "tests.benchmarks.peers.rq_peer.run"

queue = rq.Queue("default", connection=redis.Redis.from_url(duty.REDIS), serializer=JSONSerializer)


def run(record: dict[str, Any]) -> None:
    """The job."""
    duty.work(record)


async def take(request: Request) -> Response:
    """Check, read, enqueue, answer 202."""
    for record in duty.records(await request.body(), request.headers.get(duty.HEADER)):
        await run_in_threadpool(queue.enqueue, JOB, record)
    return Response(status_code=202)


app = Starlette(routes=[Route("/events", take, methods=["POST"])])


def preload() -> None:
    """Enqueue what is wanted."""
    queue.enqueue_many([rq.Queue.prepare_data(JOB, (record,)) for record in duty.wanted()])
