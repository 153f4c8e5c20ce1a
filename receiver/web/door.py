"""The endpoint that Nexudus posts to, as a plain ASGI application: no router and no middleware in front of it.

The token is checked before anything of the body is read. Whoever has no right token learns nothing: the answer is that
of a path that does not exist.
"""

import time
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from receiver.errors import RequestRefused, StorageUnavailable
from receiver.ingest import Request
from receiver.metrics import IngestMetrics
from receiver.nexudus import hooks, signature
from receiver.storage.entries import Receipt
from receiver.web import answers, bodies
from receiver.web.clients import ClientAddresses
from receiver.web.requestlog import Answered, RequestLog

PROBE = "/hooks/-/probe"

_RETRY_AFTER_S = 5
_GONE = 499
"""What the log calls a request whose sender did not stay to the end of its body, as nginx does; nobody is answered."""

_SIGNATURE = signature.HEADER.lower().encode("ascii")
_WANTED = {_SIGNATURE, b"content-type", b"content-encoding", b"content-length"}


class Accepting(Protocol):
    """Whoever takes requests in; see `receiver.ingest.Ingest.accept`."""

    async def accept(self, request: Request) -> list[Receipt]: ...


class Door:
    """Answers everything below `/hooks/`."""

    def __init__(
        self,
        ingest: Accepting,
        *,
        url_keys: Sequence[str],
        max_body: int,
        clients: ClientAddresses,
        log: RequestLog,
        metrics: IngestMetrics,
    ) -> None:
        """*url_keys*: the first one answers the probe, all open hooks."""
        self._ingest = ingest
        self._url_keys = tuple(url_keys)
        self._max_body = max_body
        self._clients = clients
        self._log = log
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and write its line."""
        started = time.perf_counter()
        answered = Answered(scope["method"], self._clients.of(scope))
        hook = hooks.parse(scope["path"])
        try:
            if hook is None or not hooks.is_authentic(self._url_keys, *hook):
                answered.path = scope["path"]
                answered.status = await self._answer_stranger(scope, send)
            else:
                answered.business_id, answered.action = hook.business_id, hook.action
                answered.status = await self._answer_hook(hook, scope, receive, send, answered)
        finally:
            answered.seconds = time.perf_counter() - started
            self._metrics.answered(answered.status, answered.action, answered.seconds)
            self._log.write(answered)

    async def _answer_stranger(self, scope: Scope, send: Send) -> int:
        if scope["path"] != PROBE:
            return await answers.send_error(send, 404)
        if scope["method"] not in ("GET", "HEAD"):
            return await answers.send_error(send, 405, [(b"allow", b"GET, HEAD")])
        proof = hooks.probe_answer(self._url_keys[0], _nonce(scope["query_string"]))
        if proof is None:
            return await answers.send_error(send, 400)
        return await answers.send_text(send, proof)

    async def _answer_hook(
        self, hook: hooks.Hook, scope: Scope, receive: Receive, send: Send, answered: Answered
    ) -> int:
        if scope["method"] != "POST":
            return await answers.send_error(send, 405, [(b"allow", b"POST")])
        try:
            request = await self._read(hook, scope, receive)
            if request is None:
                return _GONE
            answered.size = len(request.body)
            answered.receipts = await self._ingest.accept(request)
        except RequestRefused as refusal:
            answered.error = str(refusal)
            headers = _retry_after(refusal.retry_after) if refusal.status == 503 else ()
            return await answers.send_error(send, refusal.status, headers)
        except StorageUnavailable as error:
            answered.error = str(error)
            return await answers.send_error(send, 503, _retry_after(None))
        return await answers.send_json(send, 202, answers.receipts(answered.receipts))

    async def _read(self, hook: hooks.Hook, scope: Scope, receive: Receive) -> Request | None:
        found = {name: value for name, value in scope["headers"] if name in _WANTED}
        body = await bodies.read(receive, found.get(b"content-length"), self._max_body)
        if body is None:
            return None
        return Request(
            hook.business_id,
            hook.action,
            body,
            _text(found.get(_SIGNATURE)),
            _text(found.get(b"content-type")),
            _text(found.get(b"content-encoding")),
        )


def _nonce(query: bytes) -> str:
    try:
        return parse_qs(query.decode("latin-1"), max_num_fields=8).get("nonce", [""])[0]
    except ValueError:
        return ""


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _retry_after(seconds: int | None) -> answers.Headers:
    return [(b"retry-after", str(seconds or _RETRY_AFTER_S).encode("ascii"))]
