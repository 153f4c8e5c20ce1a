"""Counts and logs each answered request below `/hooks/`."""

import time
from collections.abc import Sequence

from starlette.types import Scope

from receiver.nexudus.hook_urls import HookPath
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.storage.model.entries import Receipt
from receiver.web.clients import ClientAddresses
from receiver.web.request_log import Answered, RequestLog


class RequestNotes:
    """Counts answers in *metrics* and writes them to *log*. *started* is the time of `time.perf_counter`."""

    def __init__(self, clients: ClientAddresses, log: RequestLog, metrics: IngestMetrics) -> None:
        self._clients = clients
        self._log = log
        self._metrics = metrics

    def answered(
        self,
        scope: Scope,
        started: float,
        hook: HookPath,
        status: int,
        size: int = 0,
        receipts: Sequence[Receipt] = (),
        error: str | None = None,
    ) -> None:
        """Note the answer to a request with a valid token. *size*: bytes of its body."""
        seconds = time.perf_counter() - started
        self._metrics.answered(status, hook.action, seconds)
        client, business, action = self._clients.of(scope), hook.business_id, hook.action
        self._log.write(
            Answered(scope["method"], client, status, None, business, action, size, receipts, error, seconds)
        )

    def stranger(self, scope: Scope, started: float, status: int) -> None:
        """Note the answer to a request that led to no hook."""
        seconds = time.perf_counter() - started
        self._metrics.answered(status, None, seconds)
        self._log.write(Answered(scope["method"], self._clients.of(scope), status, scope["path"], seconds=seconds))
