"""FastAPI and arq."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from arq import create_pool
from arq.connections import RedisSettings
from fastapi import FastAPI, Request, Response

from tests.benchmarks.peers import duty

SETTINGS = RedisSettings.from_dsn(duty.REDIS)


async def run(_: dict[str, Any], record: dict[str, Any]) -> None:
    """The job."""
    duty.mark(record)
    if duty.WAIT_S:
        await asyncio.sleep(duty.WAIT_S)


class WorkerSettings:
    """What the command `arq` runs."""

    functions: ClassVar = [run]
    redis_settings = SETTINGS
    max_jobs = 50


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    """Hold the pool of connections."""
    application.state.pool = await create_pool(SETTINGS)
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/events", status_code=202)
async def take(request: Request) -> Response:
    """Check, read, enqueue, answer 202."""
    for record in duty.records(await request.body(), request.headers.get(duty.HEADER)):
        await request.app.state.pool.enqueue_job("run", record)
    return Response(status_code=202)
