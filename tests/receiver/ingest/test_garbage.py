"""Nothing of a request is left to the cycle collector: it stops the process for 50 ms at a time."""

import asyncio
import gc
from pathlib import Path

from receiver.core.events import Envelope
from receiver.ingest.ingest import Ingest, IngestResult
from receiver.ingest.request_evaluation import Policy, Request
from receiver.nexudus import actions
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.routing import file
from receiver.storage.keep.keep_or_spool import KeepOrSpool
from receiver.storage.keep.pending_events import Waiting
from receiver.storage.keep.store import Store
from receiver.storage.model.entries import Entry, Receipt
from receiver.storage.redis import connection
from receiver.storage.redis.raw_connection import RawConnections

TABLE = file.parse("routes: [{action: '*', handler: log}]", file="routes.yaml", known_actions=actions.NAMES)
OURS = (Entry, Envelope, Receipt, Request, Waiting)
BURSTS, BURST = 20, 12


def test_requests_leave_nothing_in_circles(redis_url: str, tmp_path: Path) -> None:
    """Accepted ones and duplicates, alone and several in one call, with the store and without it."""
    statuses: list[str] = []

    def told(result: IngestResult) -> None:
        assert isinstance(result, list)
        statuses.extend(receipt.status for receipt in result)

    async def burst(ingest: Ingest, number: int) -> None:
        before = len(statuses)
        for one in range(BURST):
            ingest.accept(Request(1001, "BookingCreate", b'[{"Id":%d}]' % (number * BURST + one - one % 2)), told)
        while len(statuses) < before + BURST:  # noqa: ASYNC110 - an event would be one more thing to collect
            await asyncio.sleep(0)

    async def run() -> list[object]:
        store = Store(connection.connect_async(redis_url))
        keeper = KeepOrSpool(store, tmp_path, max_bytes=1 << 24, alias_ms=60_000, patience_s=30)
        await keeper.start()
        ingest = Ingest(keeper, lambda: TABLE, Policy(), IngestMetrics(actions.NAMES))
        await burst(ingest, 0)
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for number in range(1, BURSTS):
                await burst(ingest, number)
            gc.collect()
            return [one for one in gc.garbage if isinstance(one, (*OURS, RawConnections))]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
            await keeper.close()

    assert asyncio.run(run()) == []
    assert statuses.count("duplicate") == statuses.count("accepted") == BURSTS * BURST // 2
