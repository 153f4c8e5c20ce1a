"""What a receiver answers, as a Starlette application: hooks and the probe to everybody, the rest to operators."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from receiver.observation import receiver_metrics
from receiver.web import answers, hook_endpoint, probe

_READY_WITHIN_S = 2.0


class Receiver(Starlette):
    """One receiver process. Only what is below `/hooks/` is for the public."""

    def __init__(
        self,
        *,
        hooks: ASGIApp,
        probes: ASGIApp,
        can_keep: Callable[[], Awaitable[bool]],
        counts: receiver_metrics.IngestMetrics,
        shared: Callable[[], Awaitable[bytes]] | None = None,
        degraded: Callable[[], Iterable[str]] = tuple,
        lifespan: Lifespan["Receiver"] | None = None,
    ) -> None:
        """*hooks* answers hooks, *probes* the probe; *can_keep* tells whether an event could be kept right now.

        *shared*: what /metrics says beside *counts*; *degraded*: what is wrong although an event could be kept, a
        sentence each.
        """
        super().__init__(
            routes=[
                Route(hook_endpoint.PATH, hooks),
                Route(probe.PATH, probes),
                Route(hook_endpoint.ELSEWHERE, hooks),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
            ],
            lifespan=lifespan,
        )
        self.router.redirect_slashes = False
        self.is_draining = False
        self.counts = counts
        self._can_keep = can_keep
        self._shared = shared
        self._degraded = degraded

    def build_middleware_stack(self) -> ASGIApp:
        """Return the router behind a middleware of ours in place of Starlette's two, which cost each hook a request
        object, and each of its messages three calls. A fault is answered with 500 by every ASGI server."""
        app: ASGIApp = _Refusals(self.router)
        for middleware, args, kwargs in reversed(self.user_middleware):
            app = middleware(app, *args, **kwargs)
        return app

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
        text = self.counts.exposition()
        if self._shared:
            text += await self._shared()
        return Response(text, media_type=receiver_metrics.CONTENT_TYPE)

    async def _is_storing(self) -> bool:
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                return await self._can_keep()
        except TimeoutError:
            return False


class _Refusals:
    """Answers what Starlette's router refuses as the endpoints do: no path and a wrong token look the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except HTTPException as refusal:
            headers = refusal.headers or {}
            more = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
            await answers.refuse(send, refusal.status_code, more)
