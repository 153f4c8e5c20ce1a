"""What a receiver answers to operators, as an ASGI application; hooks are answered at the door, before it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Lifespan

from receiver.observation import receiver_metrics
from receiver.web import answers

_READY_WITHIN_S = 2.0


class Receiver(Starlette):
    """The three pages of one receiver process. They are not for the public."""

    def __init__(
        self,
        *,
        can_keep: Callable[[], Awaitable[bool]],
        counts: receiver_metrics.IngestMetrics,
        shared: Callable[[], Awaitable[bytes]] | None = None,
        degraded: Callable[[], Iterable[str]] = tuple,
        lifespan: Lifespan["Receiver"] | None = None,
    ) -> None:
        """*can_keep* tells whether an event could be kept right now; *shared* what /metrics says beside *counts*,
        *degraded* what is wrong although an event could be kept: a sentence each."""
        super().__init__(
            routes=[
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
            ],
            exception_handlers={HTTPException: _refuse},
            lifespan=lifespan,
        )
        self.router.redirect_slashes = False
        self.is_draining = False
        self._can_keep = can_keep
        self._counts = counts
        self._shared = shared
        self._degraded = degraded

    async def _healthz(self, _: Request) -> Response:
        return JSONResponse({"alive": True})

    async def _readyz(self, _: Request) -> Response:
        reason = "draining" if self.is_draining else None if await self._is_storing() else "no event can be kept"
        ready = reason is None
        told: dict[str, object] = {"ready": ready, "reason": reason}
        if degraded := list(self._degraded()):
            told["degraded"] = degraded
        return JSONResponse(told, status_code=200 if ready else 503)

    async def _metrics(self, _: Request) -> Response:
        text = self._counts.exposition()
        if self._shared:
            text += await self._shared()
        return Response(text, media_type=receiver_metrics.CONTENT_TYPE)

    async def _is_storing(self) -> bool:
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                return await self._can_keep()
        except TimeoutError:
            return False


async def _refuse(_: Request, refusal: Exception) -> Response:
    """Refuse as the door does: a path that does not exist and a wrong token look the same."""
    status = refusal.status_code if isinstance(refusal, HTTPException) else 500
    more = refusal.headers if isinstance(refusal, HTTPException) else None
    body = answers.error(status)
    # In the door's order too, which is what tells two makers of answers apart.
    headers = {"content-type": "application/json", "content-length": str(len(body))} | dict(more or {})
    return Response(body, status, headers)
