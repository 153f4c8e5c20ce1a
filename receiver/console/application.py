"""The console as an ASGI application: every page twice, as HTML and below /api as JSON."""

from http import HTTPStatus

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from receiver.console.auth.sessions import Access
from receiver.console.dispatcher import Front
from receiver.console.framework.page import API, ROOT, Act, Page
from receiver.console.framework.page_request import Visit, form_of, query_of
from receiver.console.framework.rendering import STATIC, Templates
from receiver.console.framework.security_headers import Guard
from receiver.console.framework.services import Desk
from receiver.console.pages import (
    acts,
    dead,
    event,
    events,
    hooks,
    overview,
    quarantine,
    replays,
    routes,
    search,
    workers,
)
from receiver.console.pages.live import Live
from receiver.console.pages.signin import PATH, SignIn
from receiver.core.errors import FrontdeskError, RequestRefused
from receiver.web.clients import ClientAddresses

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    events.PAGE,
    routes.PAGE,
    hooks.PAGE,
    dead.PAGE,
    quarantine.PAGE,
    workers.PAGE,
    acts.PAGE,
    replays.PAGE,
    quarantine.RELEASE,
    event.PAGE,
)
"""In the order of the navigation."""

ACTS: tuple[Act, ...] = (*event.ACTS, *routes.ACTS, *hooks.ACTS, *replays.ACTS, *quarantine.ACTS)


class Console(Starlette):
    """Everything that a console process answers."""

    def __init__(self, desk: Desk, access: Access, clients: ClientAddresses) -> None:
        templates = Templates()
        self._desk = desk
        self._access = access
        self._signin = SignIn(access, clients, templates)
        self._front = Front(desk, access, self._signin, templates, [page for page in PAGES if page.is_listed])
        self._live = Live()
        super().__init__(
            routes=self._routes(),
            middleware=[Middleware(Guard, static=f"{ROOT}/static/")],
            exception_handlers={HTTPException: self._refuse},
        )
        self.router.redirect_slashes = False

    @property
    def is_draining(self) -> bool:
        """Whether it is about to stop: streams end, and a bulk act stops where it is."""
        return self._desk.draining.is_set()

    @is_draining.setter
    def is_draining(self, is_so: bool) -> None:
        if is_so:
            self._desk.draining.set()

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
        ]
        for act in ACTS:
            found.append(Route(f"{ROOT}{act.path}", self._front.act(act, is_page=True), methods=["POST"]))
            found.append(Route(f"{API}{act.path}", self._front.act(act, is_page=False), methods=["POST"]))
        for page in PAGES:
            found.append(Route(f"{ROOT}{page.path}", self._front.page(page), methods=["GET"]))
            name = "/overview" if page.path == "/" else page.path
            found.append(Route(f"{API}{name}", self._front.facts(page), methods=["GET"]))
        return found

    async def _follow(self, request: Request) -> Response:
        """Stream new events. Query: as of the list of events."""
        try:
            session = await self._front.session(request)
            if session is None:
                return self._front.failed(request, 401, "sign in", is_page=False)
            if self._live.is_full:
                return self._front.failed(request, 503, "too many pages follow already", is_page=False)
            what = await run_in_threadpool(search.sought, Visit(self._desk, session, query_of(request)))
        except RequestRefused as refusal:
            return self._front.failed(request, refusal.status, str(refusal), is_page=False)
        except FrontdeskError as error:
            return self._front.failed(request, 400, str(error), is_page=False)
        redact = not session.identity.may_act
        stream = self._live.stream(self._desk, what, self._front.row, redact=redact)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _sign_out(self, request: Request) -> Response:
        try:
            session = await self._front.session(request)
            form = await form_of(request)
            if session is None or not self._access.is_proof(session, form.get("proof", "")):
                raise RequestRefused(403, "this form is not ours, or from a session that is over")
            return await self._signin.sign_out(request, session)
        except FrontdeskError as error:
            return self._front.failed(request, 403, str(error), is_page=True)

    async def _refuse(self, request: Request, refusal: Exception) -> Response:
        status = refusal.status_code if isinstance(refusal, HTTPException) else 500
        is_page = not request.url.path.startswith(f"{API}/")
        return self._front.failed(request, status, HTTPStatus(status).phrase.lower(), is_page=is_page)


async def _to_root(_: Request) -> Response:
    return RedirectResponse(f"{ROOT}/", HTTPStatus.SEE_OTHER)


async def _healthz(_: Request) -> Response:
    return JSONResponse({"alive": True})
