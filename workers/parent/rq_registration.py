"""Registers our worker processes with RQ, so that `rq info` and rq-dashboard show them."""

from collections.abc import Callable, Sequence

import redis
from redis.exceptions import RedisError
from rq import SimpleWorker

from receiver.process import logs
from receiver.storage.redis import rq_keys

_log = logs.get()


class RqRegistration:
    """The registration of one worker process with RQ. A failure is logged and affects no delivery."""

    def __init__(self, client: redis.Redis, name: str, queues: Sequence[str], pid: int, ttl_s: int) -> None:
        self._worker: SimpleWorker | None = None
        self._ttl_s = ttl_s
        self._guarded(lambda: self._begin(client, name, queues, pid))

    def renew(self) -> None:
        """Renew the registration."""
        if worker := self._worker:
            self._guarded(lambda: worker.heartbeat(self._ttl_s))

    def end(self) -> None:
        """Remove the registration."""
        if worker := self._worker:
            self._guarded(worker.register_death)

    def _begin(self, client: redis.Redis, name: str, queues: Sequence[str], pid: int) -> None:
        shown = list(queues) or ["default"]
        worker = SimpleWorker(shown, name=name, connection=client, serializer="json", worker_ttl=self._ttl_s)
        worker.pid = pid
        worker.register_birth()  # type: ignore[no-untyped-call]
        worker.set_state("busy")
        client.hset(rq_keys.worker(name), rq_keys.SERVES, ",".join(queues) or rq_keys.EVERY_QUEUE)
        self._worker = worker

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except (RedisError, OSError, ValueError) as error:
            _log.warning("presence.failed", error=str(error))
