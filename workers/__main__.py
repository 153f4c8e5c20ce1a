"""The root of one worker process, started by its parent (`frontdesk work`) with its orders as JSON."""

import json
import os
import sys
import time
from collections.abc import Sequence

from receiver.core import settings
from receiver.core.errors import FrontdeskError, StorageUnavailable
from receiver.observation import tracing
from receiver.process import logs, standard_streams
from receiver.routing.loading import load_table
from receiver.routing.table_reload import CurrentTable
from receiver.storage.queue.checkpoints import Steps
from receiver.storage.queue.queue import DeliveryQueue
from receiver.storage.redis import connection, keys
from workers.nexudus.nexudus_transport import Switchboard
from workers.once import remember_in
from workers.run.attempt_log import AttemptLog
from workers.run.attempt_spans import TracedPreparation
from workers.run.delivery_loader import Preparation
from workers.run.process import Orders, WorkerProcess, leave
from workers.run.shared_counters import Counts
from workers.run.shared_state import Board

_QUEUES_AGE_S = 5.0


class ServedQueues:
    """The queues a worker serves: those it was given, or all that the table names by priority, then any that still
    hold deliveries of an earlier table."""

    def __init__(self, given: Sequence[str], table: CurrentTable, deliveries: DeliveryQueue) -> None:
        self._given = tuple(given)
        self._table = table
        self._deliveries = deliveries
        self._known: frozenset[str] = frozenset()
        self._read_at = float("-inf")

    def __call__(self) -> Sequence[str]:
        """Return the queues in the order of their priority."""
        if self._given:
            return self._given
        now = time.monotonic()
        if now - self._read_at > _QUEUES_AGE_S:
            self._known = self._deliveries.known_queues()
            self._read_at = now
        table = self._table.table
        named = table.queues if table else ("default",)
        return (*named, *sorted(self._known - {*named, keys.ISOLATED}))


def main(message: str) -> int:
    """Run one worker process to its end."""
    told = json.loads(message)
    orders = Orders(**told["orders"])
    read = settings.from_environ(os.environ)
    logs.configure(read.log_level, read.log_format)
    url = connection.url_of(read)
    deliveries, recorder = (DeliveryQueue(connection.connect(url)) for _ in range(2))
    remember_in(Steps(connection.connect(url)))
    table = load_table(read)
    table.start()
    table.start_watching()
    traces = tracing.opened(read, "frontdesk-worker")
    preparing = (lambda: table.table, os.environ, read.routes.resolve().parent, Switchboard(read))
    preparation = TracedPreparation(*preparing, traces) if traces else Preparation(*preparing)
    queues = ServedQueues(told["queues"], table, deliveries)
    board = Board(told["board"], orders.threads + 256)
    counts = Counts(told["counts"])
    attempts = AttemptLog(read.log_level, read.log_format)
    status = WorkerProcess(orders, deliveries, recorder, preparation, queues, board, counts, attempts).run()
    if traces:
        traces.close()
    return status


if __name__ == "__main__":
    standard_streams.install()
    standard_streams.detach_output()  # a handler may print
    try:
        status = main(sys.argv[1])
    except (FrontdeskError, StorageUnavailable):
        status = 1
    leave(status)
