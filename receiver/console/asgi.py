"""The console as an ASGI application: every page twice, as HTML and below /api as JSON; and the API, /api/v1."""

from http import HTTPStatus

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from receiver.console.api import problems
from receiver.console.api.endpoint import BASE
from receiver.console.api.router import Api
from receiver.console.auth.sessions import Authenticator
from receiver.console.dispatcher import Dispatcher
from receiver.console.framework.page import API, ROOT, Operation, Page, PageRequest, form_of, query_of
from receiver.console.framework.rendering import STATIC, Templates
from receiver.console.framework.security_headers import SecurityHeaders
from receiver.console.framework.services import Services
from receiver.console.pages import (
    acts,
    coverage,
    dead,
    entity,
    event,
    events,
    failures,
    hooks,
    overview,
    playground,
    quarantine,
    replays,
    routes,
    workers,
)
from receiver.console.pages.signin import PATH, SignIn
from receiver.console.selection import event_search
from receiver.console.selection.live import LiveStreams
from receiver.core.errors import FrontdeskError, RequestRefused
from receiver.web.clients import ClientAddresses

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    events.PAGE,
    failures.PAGE,
    dead.PAGE,
    quarantine.PAGE,
    coverage.PAGE,
    hooks.PAGE,
    routes.PAGE,
    playground.PAGE,
    workers.PAGE,
    acts.PAGE,
    replays.PAGE,
    quarantine.RELEASE,
    failures.GROUP,
    entity.PAGE,
    event.PAGE,
)
"""In the order of the navigation."""

OPERATIONS: tuple[Operation, ...] = (
    *event.OPERATIONS,
    *entity.OPERATIONS,
    *failures.OPERATIONS,
    *routes.OPERATIONS,
    *playground.OPERATIONS,
    *hooks.OPERATIONS,
    *replays.OPERATIONS,
    *quarantine.OPERATIONS,
)

_REFUSED = {
    404: "path: there is nothing here; /api/v1/openapi.json names every path",
    405: "method: it is not one of this path; /api/v1/openapi.json names them",
}


class Console(Starlette):
    """Everything that a console process answers."""

    def __init__(self, services: Services, access: Authenticator, clients: ClientAddresses) -> None:
        templates = Templates(services.names.all)
        self._services = services
        self._access = access
        self._signin = SignIn(access, clients, templates)
        self._dispatcher = Dispatcher(
            services, access, self._signin, templates, [page for page in PAGES if page.is_listed]
        )
        self._live = LiveStreams()
        super().__init__(
            routes=self._routes(),
            middleware=[Middleware(SecurityHeaders, static=f"{ROOT}/static/")],
            exception_handlers={HTTPException: self._refuse},
        )
        self.router.redirect_slashes = False

    @property
    def is_draining(self) -> bool:
        """Whether it is about to stop: streams end, and a bulk task stops where it is."""
        return self._services.draining.is_set()

    @is_draining.setter
    def is_draining(self, is_so: bool) -> None:
        if is_so:
            self._services.draining.set()

    def _routes(self) -> list[BaseRoute]:
        found: list[BaseRoute] = [
            Route("/", _to_root),
            Route(ROOT, _to_root),
            Route("/healthz", _healthz),
            Route(PATH, self._signin.page, methods=["GET"]),
            Route(PATH, self._signin.sign_in, methods=["POST"]),
            Route(f"{ROOT}/enter", self._signin.enter),
            Route(f"{ROOT}/sign-out", self._sign_out, methods=["POST"]),
            Route(f"{ROOT}/events/live", self._follow),
            Mount(f"{ROOT}/static", StaticFiles(directory=STATIC)),
            *Api(self._services, self._signin).routes(),
        ]
        for act in OPERATIONS:
            found.append(Route(f"{ROOT}{act.path}", self._dispatcher.act(act, is_page=True), methods=["POST"]))
            found.append(Route(f"{API}{act.path}", self._dispatcher.act(act, is_page=False), methods=["POST"]))
        for page in PAGES:
            found.append(Route(f"{ROOT}{page.path}", self._dispatcher.page(page), methods=["GET"]))
            name = "/overview" if page.path == "/" else page.path
            found.append(Route(f"{API}{name}", self._dispatcher.facts(page), methods=["GET"]))
        return found

    async def _follow(self, request: Request) -> Response:
        """Stream new events. Query: as of the list of events."""
        try:
            session = await self._dispatcher.session(request)
            if session is None:
                return self._dispatcher.failed(request, 401, "sign in", is_page=False)
            if self._live.is_full:
                return self._dispatcher.failed(request, 503, "too many pages follow live events already", is_page=False)
            what = await run_in_threadpool(
                event_search.read_query, PageRequest(self._services, session, query_of(request))
            )
        except RequestRefused as refusal:
            return self._dispatcher.failed(request, refusal.status, str(refusal), is_page=False)
        except FrontdeskError as error:
            return self._dispatcher.failed(request, 400, str(error), is_page=False)
        redact = not session.identity.may_act
        stream = self._live.stream(self._services, what, self._dispatcher.row, redact=redact)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _sign_out(self, request: Request) -> Response:
        try:
            session = await self._dispatcher.session(request)
            form = await form_of(request)
            if session is None or not self._access.is_proof(session, form.get("proof", "")):
                raise RequestRefused(403, "the form is not from this console, or its session has ended")
            return await self._signin.sign_out(request, session)
        except FrontdeskError as error:
            return self._dispatcher.failed(request, 403, str(error), is_page=True)

    async def _refuse(self, request: Request, refusal: Exception) -> Response:
        status = refusal.status_code if isinstance(refusal, HTTPException) else 500
        if request.url.path.startswith(f"{BASE}/"):
            headers = refusal.headers if isinstance(refusal, HTTPException) else None
            return problems.answered(status, _REFUSED.get(status, HTTPStatus(status).phrase.lower()), headers)
        is_page = not request.url.path.startswith(f"{API}/")
        return self._dispatcher.failed(request, status, HTTPStatus(status).phrase.lower(), is_page=is_page)


async def _to_root(_: Request) -> Response:
    return RedirectResponse(f"{ROOT}/", HTTPStatus.SEE_OTHER)


async def _healthz(_: Request) -> Response:
    return JSONResponse({"alive": True})
