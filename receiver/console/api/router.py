"""The API as routes: who asks, by a token in the header and nothing else; what; and the answer, or a problem."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import orjson
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.console.api import inputs, problems
from receiver.console.api.document import document
from receiver.console.api.endpoint import BASE, Endpoint
from receiver.console.api.endpoints import ENDPOINTS
from receiver.console.auth.sessions import Role, Session
from receiver.console.dispatcher import STATUSES
from receiver.console.framework.page import LARGEST_FORM, Done, Facts, PageRequest, Shown
from receiver.console.framework.services import Services
from receiver.console.pages.signin import SignIn
from receiver.core.errors import FrontdeskError, RequestRefused
from receiver.web import bodies

_JSON: Final = "application/json"


class Api:
    """Makes a route of each endpoint. Cookies count for nothing here, so no other site can make a browser use it."""

    def __init__(self, services: Services, signin: SignIn) -> None:
        self._services = services
        self._signin = signin

    def routes(self) -> list[Route]:
        """Return the routes. Those without a name in their path go first."""
        ordered = sorted(ENDPOINTS, key=lambda one: len(one.path_names))
        found = [Route(f"{BASE}/openapi.json", _document, methods=["GET"])]
        by_path: dict[str, list[Endpoint]] = {}
        for endpoint in ordered:
            by_path.setdefault(endpoint.path, []).append(endpoint)
        for path, endpoints in by_path.items():
            (endpoint,) = endpoints
            found.append(Route(BASE + path, self._answering(endpoint), methods=[endpoint.method], name=endpoint.name))
        return found

    def _answering(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                return await self._answer(endpoint, request)
            except RequestRefused as refusal:
                headers = {"retry-after": str(refusal.retry_after)} if refusal.retry_after else {}
                if refusal.status == 401:
                    headers["www-authenticate"] = "Bearer"
                return problems.answered(refusal.status, str(refusal), headers)
            except FrontdeskError as error:
                return problems.answered(STATUSES.get(type(error), 400), str(error))

        return answer

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        session = self._session(endpoint, request)
        query = inputs.read_query(endpoint.query or inputs.Nothing, request.query_params)
        body = None if endpoint.body is None else inputs.read_body(endpoint.body, await _content(request))
        if getattr(query, "redact", False):
            session = replace(session, identity=replace(session.identity, role=Role.VIEWER))
        asked = PageRequest(
            self._services, session, inputs.fields_of(query), request.path_params, inputs.fields_of(body)
        )
        return Response(await run_in_threadpool(_run, endpoint, asked), media_type=_JSON)

    def _session(self, endpoint: Endpoint, request: Request) -> Session:
        session = self._signin.bearer(request)
        if session is None:
            raise RequestRefused(401, "authorization: no valid token; send one as Authorization: Bearer TOKEN")
        who = session.identity
        request.state.who = who.name
        if not (endpoint.may_view or who.may_act):
            raise RequestRefused(
                403, f"authorization: {who.name} may look but not change anything; ask for an admin token"
            )
        return session


def _run(endpoint: Endpoint, asked: PageRequest) -> bytes:
    done = endpoint.run(asked)
    answer = endpoint.answer.model_validate(_facts(done))
    return _written(answer)


def _facts(done: Facts | Done | Shown) -> Facts:
    if isinstance(done, Done):
        return {"said": done.said, **done.facts}
    return done.facts if isinstance(done, Shown) else done


def _written(answer: BaseModel) -> bytes:
    shape: dict[str, Any] = answer.model_dump(by_alias=True, exclude_unset=True)
    return orjson.dumps(shape, default=str)


async def _content(request: Request) -> bytes:
    declared = request.headers.get("content-length", "").encode("latin-1") or None
    content = await bodies.read(request.receive, declared, LARGEST_FORM)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content and media_type != _JSON:
        raise RequestRefused(415, "content-type: the body must be application/json")
    return content or b""


async def _document(_: Request) -> Response:
    return Response(orjson.dumps(document()), media_type=_JSON)
