"""The endpoint that Nexudus posts to: an ASGI application in a route. No request or response object stands between.

The token is checked before anything of the body is read. Whoever has no right token learns nothing: the answer is that
of a path that does not exist.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from starlette.types import Receive, Scope, Send

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.core.one_loop import InOneLoop
from receiver.ingest.ingest import IngestResult
from receiver.ingest.request_evaluation import Request
from receiver.nexudus import hook_urls, signature
from receiver.nexudus.hook_urls import HookPath
from receiver.process import logs
from receiver.web import answers, bodies
from receiver.web.answers import Headers
from receiver.web.connections.timed_protocol import REFUSED
from receiver.web.request_notes import RequestNotes

PATH = "/hooks/{business_id}/{action}/{token}"
ELSEWHERE = "/hooks/{path:path}"
"""What looks as if it were meant for a hook: mistyped URLs are counted and logged as wrong tokens are."""

_GONE = 499
"""What is noted of a request whose sender did not stay to the end of its body, as nginx does; nobody is answered."""

_RETRY_AFTER_S = 5
_MOST_REMEMBERED = 4_096
_JSON = (b"content-type", answers.JSON)
_SIGNATURE = signature.HEADER.lower().encode("ascii")

_log = logs.get()


class Accepting(Protocol):
    """Whoever takes requests in; see `receiver.ingest.ingest.Ingest.accept`."""

    def accept(self, request: Request, done: Callable[[IngestResult], None]) -> None: ...


class HookEndpoint(InOneLoop):
    """Answers hooks, in one event loop. *url_keys*: all of them open."""

    def __init__(self, ingest: Accepting, *, url_keys: Sequence[str], max_body: int, notes: RequestNotes) -> None:
        self._ingest = ingest
        self._url_keys = tuple(url_keys)
        self._max_body = max_body
        self._notes = notes
        self._open: dict[str, HookPath] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. The usual way is one function long: each further one costs on every event."""
        started = time.perf_counter()
        hook = self._open.get(scope["path"]) or self._find(scope)
        if hook is None or scope["method"] != "POST":
            await self._turn_away(scope, send, hook, started)
            return
        fields = dict(scope["headers"])
        result: IngestResult
        size = 0
        try:
            body = await bodies.read(receive, fields.get(b"content-length"), self._max_body)
            if body is None:
                self._notes.answered(scope, started, hook, scope.get(REFUSED, _GONE))
                return
            size = len(body)
            future: asyncio.Future[IngestResult] = self._loop.create_future()
            self._ingest.accept(_request(hook, body, fields, scope["headers"]), partial(_resolve, future))
            result = await future
        except RequestRefused as refusal:
            result = refusal.with_traceback(None)  # which holds this frame, which holds it
        except Exception as error:  # noqa: BLE001 - whoever waits gets an answer, and the connection goes on
            _log.error("request.failed", action=hook.action, error=type(error).__name__)
            result = RequestRefused(500, type(error).__name__)
        if not isinstance(result, list):
            await self._refuse(scope, send, hook, started, result, size)
            return
        answer = answers.receipts(result)
        headers = (_JSON, (b"content-length", b"%d" % len(answer)))
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        self._notes.answered(scope, started, hook, 202, size, result)

    async def _turn_away(self, scope: Scope, send: Send, hook: HookPath | None, started: float) -> None:
        if hook is None:
            await answers.refuse(send, 404)
            self._notes.stranger(scope, started, 404)
        else:
            await answers.refuse(send, 405, [(b"allow", b"POST")])
            self._notes.answered(scope, started, hook, 405)

    def _find(self, scope: Scope) -> HookPath | None:
        """Return the hook that a path leads to, if its token is right.

        Paths with a right token are remembered. That says nothing about wrong ones: to be compared with them at all, a
        path has to have the same hash, under a key that nobody knows.
        """
        path: str = scope["path"]
        hook = hook_urls.parse(path.removeprefix(scope.get("root_path", "")))
        if hook is None or not hook_urls.is_authentic(self._url_keys, *hook):
            return None
        if len(self._open) >= _MOST_REMEMBERED:
            self._open.clear()
        self._open[path] = hook
        return hook

    async def _refuse(
        self,
        scope: Scope,
        send: Send,
        hook: HookPath,
        started: float,
        why: RequestRefused | StorageUnavailable,
        size: int,
    ) -> None:
        status = why.status if isinstance(why, RequestRefused) else 503
        more: Headers = ()
        if status == 503:
            after = why.retry_after if isinstance(why, RequestRefused) else None
            more = [(b"retry-after", str(after or _RETRY_AFTER_S).encode("ascii"))]
        await answers.refuse(send, status, more)
        self._notes.answered(scope, started, hook, status, size, error=str(why))


def _request(hook: HookPath, body: bytes, fields: dict[bytes, bytes], headers: list[tuple[bytes, bytes]]) -> Request:
    return Request(
        hook.business_id,
        hook.action,
        body,
        _text(fields.get(_SIGNATURE) if len(fields) == len(headers) else _signatures(headers)),
        _text(fields.get(b"content-type")),
        _text(fields.get(b"content-encoding")),
    )


def _resolve(future: "asyncio.Future[IngestResult]", result: IngestResult) -> None:
    if not future.done():  # its request was cancelled: the server is in a hurry to end
        future.set_result(result)


def _signatures(headers: Headers) -> bytes | None:
    """Return the signature; of several all, as HTTP joins them, which is none: one of them may be captured."""
    return b", ".join([value for name, value in headers if name == _SIGNATURE]) or None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
