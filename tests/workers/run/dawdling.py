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
from workers.run.delivery_loader import DeliveryLoader, LoadedDelivery
from workers.run.execution import AttemptResult
from workers.run.process import WorkerConfig, WorkerProcess, leave
from workers.run.shared_counters import SharedCounters
from workers.run.shared_state import SharedState


class Dawdling(WorkerProcess):
    """Whoever looks while it dawdles sees nothing running and nothing recorded."""

    def _settle(self, loaded: LoadedDelivery, ended: AttemptResult, started_ms: int, ended_ms: int) -> None:
        print("dawdling", flush=True)
        time.sleep(1.0)
        super()._settle(loaded, ended, started_ms, ended_ms)


def main(url: str, routes: Path) -> int:
    """Work until SIGTERM."""
    logs.configure("info", "json")
    config = WorkerConfig("dawdling", threads=1, grace_s=10.0)
    deliveries, recording = (DeliveryQueue(connection.connect(url)) for _ in range(2))
    deliveries.begin_lease(config.worker, 60_000)
    table = CurrentTable(routes, known_actions=CODES, data_dir=routes.parent / "var")
    table.start()
    loader = DeliveryLoader(lambda: table.table, os.environ, routes.parent)
    slots = config.threads + ASYNC_LIMIT
    state = SharedState(SharedState.file(slots), slots)
    counts, attempts = SharedCounters(SharedCounters.file()), AttemptLog()
    return Dawdling(config, deliveries, recording, loader, lambda: ("default",), state, counts, attempts).run()


if __name__ == "__main__":
    leave(main(sys.argv[1], Path(sys.argv[2])))
