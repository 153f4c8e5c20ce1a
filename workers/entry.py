"""What one worker process is made of. Its parent (`frontdesk work`) gives it its configuration as JSON."""

import json
import os

from receiver.core import settings
from receiver.observation import tracing
from receiver.process import logs
from receiver.routing.loading import load_table
from receiver.storage.queue.checkpoints import Steps
from receiver.storage.queue.queue import DeliveryQueue
from receiver.storage.redis import connection
from workers.nexudus.nexudus_transport import NexudusTransport
from workers.once import remember_in
from workers.run.attempt_log import AttemptLog
from workers.run.attempt_spans import TracedDeliveryLoader
from workers.run.capacity import ASYNC_LIMIT
from workers.run.delivery_loader import DeliveryLoader
from workers.run.process import WorkerConfig, WorkerProcess
from workers.run.queue_order import ServedQueues
from workers.run.shared_counters import SharedCounters
from workers.run.shared_state import SharedState


def main(argument: str) -> int:
    """Run one worker process to its end."""
    message = json.loads(argument)
    config = WorkerConfig(**message["orders"])
    read = settings.from_environ(os.environ)
    logs.configure(read.log_level, read.log_format)
    url = connection.url_of(read)
    deliveries, recorder = (DeliveryQueue(connection.connect(url)) for _ in range(2))
    remember_in(Steps(connection.connect(url)))
    table = load_table(read)
    table.start()
    table.start_watching()
    traces = tracing.opened(read, "frontdesk-worker")
    arguments = (lambda: table.table, os.environ, read.routes.resolve().parent, NexudusTransport(read))
    loader = TracedDeliveryLoader(*arguments, traces) if traces else DeliveryLoader(*arguments)
    queues = ServedQueues(message["queues"], table, deliveries)
    state = SharedState(message["board"], config.threads + ASYNC_LIMIT)
    counts = SharedCounters(message["counts"])
    attempts = AttemptLog(read.log_level, read.log_format)
    status = WorkerProcess(config, deliveries, recorder, loader, queues, state, counts, attempts).run()
    if traces:
        traces.close()
    return status
