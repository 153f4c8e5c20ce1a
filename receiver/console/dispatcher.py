"""From requests to pages and operations: authentication, permission, answer; as HTML, or as JSON below /api."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from receiver.console.auth.sessions import Authenticator, Session
from receiver.console.framework.page import ROOT, Facts, Operation, Page, PageRequest, Shown, form_of, query_of
from receiver.console.framework.rendering import Templates
from receiver.console.framework.services import Services
from receiver.console.pages.signin import COOKIE, PATH, SignIn, is_foreign
from receiver.core.errors import (
    EventUnknown,
    FrontdeskError,
    NexudusError,
    RequestRefused,
    RoutesError,
    StorageUnavailable,
    UnsafePlan,
)

PROOF: Final = "x-frontdesk-proof"
SAID: Final = "frontdesk_said"

Endpoint = Callable[[Request], Awaitable[Response]]

STATUSES: Final[Mapping[type[FrontdeskError], int]] = {
    EventUnknown: 404,
    RoutesError: 409,
    UnsafePlan: 409,
    NexudusError: 502,
    StorageUnavailable: 503,
}
"""How errors are answered; all others are 400."""


class Dispatcher:
    """Makes an endpoint of each page and operation."""

    def __init__(
        self, services: Services, access: Authenticator, signin: SignIn, templates: Templates, listed: list[Page]
    ) -> None:
        self._services = services
        self._access = access
        self._signin = signin
        self._templates = templates
        self._listed = listed

    def page(self, page: Page) -> Endpoint:
        """Show a page to people."""

        async def show(request: Request) -> Response:
            session = await self.session(request)
            if session is None:
                return _to_sign_in(request)
            page_request = PageRequest(self._services, session, query_of(request), request.path_params)
            answer = HTMLResponse(await run_in_threadpool(self._page, page, page_request, self._said(request, session)))
            if SAID in request.cookies:
                answer.delete_cookie(SAID, path=ROOT)
            return answer

        return self._answering(show, is_page=True)

    def facts(self, page: Page) -> Endpoint:
        """Tell programs what a page shows."""

        async def tell(request: Request) -> Response:
            session = await self._session_or_refusal(request)
            page_request = PageRequest(self._services, session, query_of(request), request.path_params)
            return _json(await run_in_threadpool(page.sorted_facts, page_request))

        return self._answering(tell, is_page=False)

    def act(self, act: Operation, *, is_page: bool) -> Endpoint:
        """Run an operation for a form of ours, or for a program."""

        async def carry_out(request: Request) -> Response:
            session = await self._session_or_refusal(request)
            form = await form_of(request)
            self._check_form(request, session, form)
            if not (act.for_viewers or session.identity.may_act):
                raise RequestRefused(
                    403, f"{session.identity.name} may look but not change anything; ask for an admin token"
                )
            page_request = PageRequest(self._services, session, query_of(request), request.path_params, form)
            done = await run_in_threadpool(act.run, page_request)
            if isinstance(done, Shown):
                if not is_page:
                    return _json(done.facts)
                return HTMLResponse(await run_in_threadpool(self._render, done.page, page_request, done.facts, None))
            if not is_page:
                return _json({"said": done.said, **done.facts})
            answer = RedirectResponse(f"{ROOT}{done.next}", HTTPStatus.SEE_OTHER)
            sealed = self._access.sealed(session, done.said)
            answer.set_cookie(SAID, sealed, max_age=60, path=ROOT, httponly=True, samesite="strict")
            return answer

        return self._answering(carry_out, is_page=is_page)

    async def session(self, request: Request) -> Session | None:
        """Return who that is, by token or cookie. Raises RequestRefused, StorageUnavailable."""
        session = self._signin.bearer(request)
        if session is None and (cookie := request.cookies.get(COOKIE)):
            session = await run_in_threadpool(self._access.session, cookie)
        request.state.who = session.identity.name if session else None
        return session

    def row(self, shape: Facts) -> str:
        """Return an event as a row of the list of events."""
        return self._templates.render("row.html", {"event": shape})

    def failed(self, request: Request, status: int, sentence: str, *, is_page: bool) -> Response:
        """Say what went wrong."""
        if not is_page:
            return _json({"error": sentence}, status)
        values = {"status": status, "sentence": sentence, "who": getattr(request.state, "who", None)}
        return HTMLResponse(self._templates.render("failed.html", values), status)

    async def _session_or_refusal(self, request: Request) -> Session:
        session = await self.session(request)
        if session is None:
            raise RequestRefused(401, "sign in, or show a token as Authorization: Bearer")
        return session

    def _check_form(self, request: Request, session: Session, form: Mapping[str, str]) -> None:
        """See that a form is ours; a token in a header proves that too: no other site makes a browser send one."""
        shown = request.headers.get(PROOF) or form.get("proof", "")
        if session.id and (is_foreign(request) or not self._access.is_proof(session, shown)):
            raise RequestRefused(
                403, "the form is not from this console, or its session has ended; load the page again"
            )

    def _answering(self, endpoint: Endpoint, *, is_page: bool) -> Endpoint:
        async def answer(request: Request) -> Response:
            try:
                return await endpoint(request)
            except RequestRefused as refusal:
                failed = self.failed(request, refusal.status, str(refusal), is_page=is_page)
                if refusal.retry_after:
                    failed.headers["retry-after"] = str(refusal.retry_after)
                return failed
            except FrontdeskError as error:
                return self.failed(request, STATUSES.get(type(error), 400), str(error), is_page=is_page)

        return answer

    def _said(self, request: Request, session: Session) -> str | None:
        sealed = request.cookies.get(SAID)
        return self._access.unsealed(session, sealed) if sealed else None

    def _page(self, page: Page, page_request: PageRequest, said: str | None) -> str:
        return self._render(page, page_request, page.sorted_facts(page_request), said)

    def _render(self, page: Page, page_request: PageRequest, facts: Facts, said: str | None) -> str:
        frame: dict[str, Any] = {
            "page": page,
            "listed": self._listed,
            "identity": page_request.session.identity,
            "proof": self._access.proof(page_request.session),
            "said": said,
            "sorting": page.sorting(page_request),
        }
        return self._templates.render(page.template, {**page.more(page_request, facts), **facts, **frame})


def _to_sign_in(request: Request) -> Response:
    there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{PATH}?next={quote(there, safe='')}", HTTPStatus.SEE_OTHER)


def _json(value: Mapping[str, Any], status: int = 200) -> Response:
    body = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, media_type="application/json")
