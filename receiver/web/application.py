"""The receiver as a Starlette application: hooks and the probe for the public, health and metrics for operators."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from receiver.observation import receiver_metrics
from receiver.web import answers, hook_endpoint, probe_endpoint

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
        again: Callable[[], "Receiver"] | None = None,
    ) -> None:
        """*hooks* answers hooks, *probes* answers the probe, *can_keep* returns whether an event could be stored now.

        *shared* returns the metrics that /metrics shows beside *counts*. *degraded* returns what is wrong although
        events can be stored, one sentence for each fault. *again* makes another application like this one, for a
        request that comes without a lifespan.
        """
        super().__init__(
            routes=[
                Route(hook_endpoint.PATH, hooks),
                Route(probe_endpoint.PATH, probes),
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
        self._again = again

    def start(self) -> None:
        """A lifespan has begun: from now on requests are answered here."""
        self.middleware_stack = self._stack()

    def build_middleware_stack(self) -> ASGIApp:
        """Return what answers as long as no lifespan has begun."""
        return _WithoutLifespan(self._stack(), self._another) if self._again else self._stack()

    def _another(self) -> "Receiver":
        assert self._again is not None  # noqa: S101 -- seen to above; for the type checker
        other = self._again()
        other.user_middleware = self.user_middleware
        return other

    def _stack(self) -> ASGIApp:
        """Return the router behind one middleware of our own instead of Starlette's two, which cost a request object
        for each hook and three calls for each message. After an exception, every ASGI server answers 500 by itself."""
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
    """Answers requests that Starlette's router refuses in the same way as the endpoints do: an unknown path and a wrong
    token look alike."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except HTTPException as refusal:
            headers = refusal.headers or {}
            more = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
            await answers.refuse(send, refusal.status_code, more)


class _WithoutLifespan:
    """Answers each request by an application that lives as long as the request, for whoever runs no lifespan.

    Starlette's test client runs none without a `with`, and each request in another event loop; servers can be told so.
    One request after the other: each takes connections and a spool of its own.
    """

    def __init__(self, app: ASGIApp, another: Callable[[], Receiver]) -> None:
        self._app = app
        self._another = another
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = (loop, asyncio.Lock())
        async with self._turn[1]:
            app = self._another()
            async with app.router.lifespan_context(app):
                await app(scope, receive, send)
