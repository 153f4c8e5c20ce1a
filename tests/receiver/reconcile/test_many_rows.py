"""A kind with very many rows, really paged: each is counted once, in as many calls as pages, in bounded memory.

5,000 rows; with TESTS_LONG=1 (`make faults`) 200,000.
"""

import os
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
import redis

from receiver.nexudus.api.entities import PAGE_SIZE, Entities
from receiver.reconcile.backfill_run import BackfillRun, Orders, Tools
from receiver.reconcile.route_selection import RouteSelection
from tests.receiver.reconcile.outage import gap, table
from tests.support.nexudus import SimulatedNexudus

ROWS = 200_000 if os.environ.get("TESTS_LONG") else 5_000
AT_ONCE = 5_000
BYTES_PER_ROW = 4_000
BESIDES = 20_000_000


@pytest.mark.timeout(3_600)
def test_a_kind_with_very_many_rows_is_read_once_in_bounded_memory(
    nexudus: SimulatedNexudus, client: redis.Redis
) -> None:
    """A person asks what a first load would make; nothing is made, and the rows of other times are not read."""
    nexudus.turn(most_records=250_000)
    now = datetime.now(UTC)
    for turn in range(ROWS // AT_ONCE):
        begin = now - timedelta(days=30) + timedelta(minutes=turn)
        nexudus.stock("Team", 1001, since=begin.isoformat(), until=now.isoformat(), count=AT_ONCE)
    read: list[int] = []
    expected: list[int] = []
    since_ms, now_ms = (int(one.timestamp() * 1_000) for one in (now - timedelta(days=31), now))
    tracemalloc.start()

    try:
        with nexudus.client() as http:
            tools = Tools(client, Entities(http), check=lambda: None, expect=expected.append, read=read.append)
            orders = Orders(RouteSelection(table(), is_asked=True), is_dry=True)
            report = BackfillRun(tools, orders).fill([gap("TeamCreated", 1001, since_ms, now_ms)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    (told,) = report.gaps
    assert ROWS <= told.found == told.made <= ROWS + 3, "the rows, and the few that the location began with"
    pages = -(-told.found // PAGE_SIZE)
    assert (sum(read), sum(expected)) == (pages, pages)
    assert report.calls <= pages + 2, "two guards"
    assert peak < BESIDES + ROWS * BYTES_PER_ROW
    assert not list(client.scan_iter("fd:e:*"))
