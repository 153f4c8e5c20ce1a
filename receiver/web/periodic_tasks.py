"""The receiver's periodic tasks beside the requests. Each runs until it is cancelled."""

import asyncio
import contextlib
from functools import partial
from typing import Final

import redis

from receiver.core.errors import StorageUnavailable
from receiver.nexudus.verification import Verifier
from receiver.observation import metrics_store
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.process import background
from receiver.storage.keep.keep_or_spool import KeepOrSpool
from receiver.storage.shared import signature_readings

_MEASURE_EVERY_S: Final = 1.0
_LOOK_ASIDE_EVERY_S: Final = 15.0
_PUBLISH_EVERY_S: Final = 5.0


async def measure_spools(keeper: KeepOrSpool, metrics: IngestMetrics) -> None:
    """Once a second, update the metrics of the spools' contents and bring all counts up to date."""
    while True:
        metrics.add_up()
        metrics.spooled(keeper.spooled, keeper.oldest_age_s())
        metrics.spool_unusable(unusable=keeper.trouble is not None)
        await asyncio.sleep(_MEASURE_EVERY_S)


async def count_files_set_aside(keeper: KeepOrSpool, metrics: IngestMetrics) -> None:
    """Count the files that the spools have set aside, which only a person ever reads."""
    while True:
        metrics.set_aside_files(await keeper.set_aside())
        await asyncio.sleep(_LOOK_ASIDE_EVERY_S)


async def publish_failed_filters(client: redis.Redis, metrics: IngestMetrics) -> None:
    """Every few seconds, add how often the `where` of each route failed here to the counters of all processes."""
    publisher = metrics_store.CounterPublisher(client)
    while True:
        await asyncio.sleep(_PUBLISH_EVERY_S)
        failed = {f"where_failed:{route}": count for route, count in metrics.filters_failed.items()}
        with contextlib.suppress(StorageUnavailable):  # then they are published the next time
            await asyncio.wrap_future(background.begin(partial(publisher.publish, {"filters": failed})))


async def share_readings(client: redis.Redis, verifier: Verifier) -> None:
    """Every few seconds, share with all receivers and `release` which reading each secret was seen to use."""
    while True:
        with contextlib.suppress(StorageUnavailable):  # then each receiver knows only what it has seen itself
            sharing = background.begin(partial(signature_readings.share, client, dict(verifier.learnt)))
            for scope, reading in (await asyncio.wrap_future(sharing)).items():
                verifier.learn(scope, reading)
        await asyncio.sleep(_PUBLISH_EVERY_S)
