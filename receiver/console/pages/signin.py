"""Signing in and out: with a token, or with a link that is good once."""

import re
from http import HTTPStatus
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from receiver.console.auth.rate_limit import RateLimit
from receiver.console.auth.sessions import SESSION_S, Authenticator, Identity, Session
from receiver.console.framework.page import ROOT, form_of
from receiver.console.framework.rendering import Templates
from receiver.core.errors import RequestRefused
from receiver.process import logs
from receiver.web.clients import ClientAddresses

COOKIE: Final = "frontdesk_console"
PATH: Final = f"{ROOT}/sign-in"

_OURS = re.compile(rf"{ROOT}(/[\w\-.~/]*(\?[\w\-.~/=&%+:]*)?)?")
_LONGEST_TOKEN: Final = 4_096


def is_foreign(request: Request) -> bool:
    """Whether the browser says that another site sent this.

    Browsers leave Sec-Fetch-Site out where the console is reached by plain HTTP; then the Origin has to be our host.
    """
    headers = request.headers
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in ("none", "same-origin")
    if (origin := headers.get("origin")) is None:
        return False
    scheme, _, host = origin.lower().partition("://")
    ours = (headers.get("host", ""), headers.get("x-forwarded-host", "").partition(",")[0])
    return not host or host not in {_without_port(one.strip().lower(), scheme) for one in ours}


def _without_port(host: str, scheme: str) -> str:
    """Return a host as an Origin names it: without the port that its scheme has anyway."""
    return host.removesuffix({"http": ":80", "https": ":443"}.get(scheme, ""))


def is_by_tls(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to the first of the proxies before us."""
    told = request.headers.get("x-forwarded-proto", "").partition(",")[0]
    return "https" in (request.url.scheme, told.strip().lower())


def where_next(asked: str) -> str:
    """Return a page of ours to go on to, whatever was asked for."""
    return asked if _OURS.fullmatch(asked) and "//" not in asked else f"{ROOT}/"


class SignIn:
    """The pages for those who are not signed in yet."""

    def __init__(self, access: Authenticator, clients: ClientAddresses, templates: Templates) -> None:
        self._access = access
        self._clients = clients
        self._templates = templates
        self._throttle = RateLimit()

    async def page(self, request: Request) -> Response:
        """Ask for a token."""
        return self._asking(where_next(request.query_params.get("next", "")))

    async def sign_in(self, request: Request) -> Response:
        """Check a token. Form: token, next."""
        form = await form_of(request)
        next_page = where_next(form.get("next", ""))
        if is_foreign(request):
            return self._asking(next_page, "Another site sent this form; sign in here.", HTTPStatus.FORBIDDEN)
        if wait_s := self._throttle.wait_s(self._address(request)):
            answer = self._asking(next_page, f"Too many attempts; wait {wait_s} seconds.", HTTPStatus.TOO_MANY_REQUESTS)
            answer.headers["retry-after"] = str(wait_s)
            return answer
        identity = self._judge(request, form.get("token", ""))
        if identity is None:
            return self._asking(next_page, "This token is not valid.", HTTPStatus.FORBIDDEN)
        return self._welcome(request, identity, next_page)

    async def enter(self, request: Request) -> Response:
        """Sign in by a link. Query: link."""
        if request.method == "HEAD":
            return Response()
        link = request.query_params.get("link", "")[:_LONGEST_TOKEN]
        identity = await run_in_threadpool(self._access.enter, link)
        if identity is None:
            return self._asking(
                f"{ROOT}/", "This link was used already or has expired; sign in with a token.", HTTPStatus.FORBIDDEN
            )
        return self._welcome(request, identity, f"{ROOT}/")

    async def sign_out(self, request: Request, session: Session) -> Response:
        """End a session, here and wherever else its cookie may be."""
        await run_in_threadpool(self._access.end, session)
        logs.get().info("session.ended", who=session.identity.name)
        answer = RedirectResponse(PATH, HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, path=ROOT)
        return answer

    def bearer(self, request: Request) -> Session | None:
        """Return who a program signs in as, by the token that it shows.

        The right token never waits for what others guess from its address, and does not pay their debt. Raises
        RequestRefused (429) for a wrong one whose address has to wait.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if (identity := self._known(token.strip())) is not None:
            return Session(identity, "")
        if wait_s := self._throttle.wait_s(self._address(request)):
            raise RequestRefused(429, f"too many attempts; wait {wait_s} seconds", retry_after=wait_s)
        self._refused(self._address(request))
        return None

    def _known(self, token: str) -> Identity | None:
        return self._access.by_token(token) if 0 < len(token) <= _LONGEST_TOKEN else None

    def _judge(self, request: Request, token: str) -> Identity | None:
        address = self._address(request)
        identity = self._known(token)
        if identity is None:
            self._refused(address)
        else:
            self._throttle.succeeded(address)
        return identity

    def _refused(self, address: str) -> None:
        self._throttle.failed(address)
        logs.get().warning("session.refused", client=address)

    def _welcome(self, request: Request, identity: Identity, next_page: str) -> Response:
        logs.get().info("session.begun", who=identity.name, role=str(identity.role), client=self._address(request))
        answer: Response
        if is_foreign(request):
            # The browser keeps a SameSite=Strict cookie to itself until a page of ours, not a redirection, leads on.
            answer = HTMLResponse(self._templates.render("welcome.html", {"next": next_page}))
        else:
            answer = RedirectResponse(next_page, HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            COOKIE,
            self._access.begin(identity),
            max_age=SESSION_S,
            path=ROOT,
            secure=is_by_tls(request),  # whoever only claims it locks nobody out but himself
            httponly=True,
            samesite="strict",
        )
        return answer

    def _asking(self, next_page: str, problem: str = "", status: int = 200) -> Response:
        return HTMLResponse(self._templates.render("sign_in.html", {"next": next_page, "problem": problem}), status)

    def _address(self, request: Request) -> str:
        return self._clients.of(request.scope)
