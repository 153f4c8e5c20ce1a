"""A worker process that takes its time between the end of a handler and saying so; for tests of how it stops.

Run as `python -m tests.workers.run.dawdling URL ROUTES`, on the queue `default`, until SIGTERM.
"""

import os
import sys
import time
from pathlib import Path

from receiver.nexudus.actions import CODES
from receiver.process import logs
from receiver.routing.table_reload import CurrentTable
from receiver.storage.queue.queue import DeliveryQueue
from receiver.storage.redis import connection
from workers.run.attempt_log import AttemptLog
from workers.run.capacity import ASYNC_LIMIT
from workers.run.delivery_loader import Preparation, Prepared
from workers.run.execution import Ended
from workers.run.process import Orders, WorkerProcess, leave
from workers.run.shared_counters import Counts
from workers.run.shared_state import Board


class Dawdling(WorkerProcess):
    """Whoever looks while it dawdles sees nothing running and nothing recorded."""

    def _settle(self, prepared: Prepared, ended: Ended, started_ms: int, ended_ms: int) -> None:
        print("dawdling", flush=True)
        time.sleep(1.0)
        super()._settle(prepared, ended, started_ms, ended_ms)


def main(url: str, routes: Path) -> int:
    """Work until SIGTERM."""
    logs.configure("info", "json")
    orders = Orders("dawdling", threads=1, grace_s=10.0)
    deliveries, recording = (DeliveryQueue(connection.connect(url)) for _ in range(2))
    deliveries.begin_lease(orders.worker, 60_000)
    table = CurrentTable(routes, known_actions=CODES, data_dir=routes.parent / "var")
    table.start()
    preparation = Preparation(lambda: table.table, os.environ, routes.parent)
    slots = orders.threads + ASYNC_LIMIT
    board = Board(Board.file(slots), slots)
    counts, attempts = Counts(Counts.file()), AttemptLog()
    return Dawdling(orders, deliveries, recording, preparation, lambda: ("default",), board, counts, attempts).run()


if __name__ == "__main__":
    leave(main(sys.argv[1], Path(sys.argv[2])))
