"""The endpoint that Nexudus posts to. It answers to the protocol itself: no framework in front of it, no task behind.

The token is checked before anything of the body is read. Whoever has no right token learns nothing: the answer is that
of a path that does not exist.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol
from urllib.parse import parse_qs, unquote

import httptools

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.ingest.evaluation import Request
from receiver.ingest.ingest import IngestResult
from receiver.nexudus import hook_urls, signature
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.process import logs
from receiver.storage.model.entries import Receipt
from receiver.web import answers, bodies
from receiver.web.clients import ClientAddresses
from receiver.web.hook_request import Headers, Place, Visit
from receiver.web.request_log import Answered, RequestLog

PROBE = "/hooks/-/probe"

_RETRY_AFTER_S = 5
_PORTION = 8
_MOST_REMEMBERED = 4_096
_SIGNATURE = signature.HEADER.lower().encode("ascii")

_log = logs.get()


class Accepting(Protocol):
    """Whoever takes requests in; see `receiver.ingest.ingest.Ingest.accept`."""

    def accept(self, request: Request, done: Callable[[IngestResult], None]) -> None: ...


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
        self._whole: list[Visit] = []
        self._open: dict[bytes, Place] = {}

    def place(self, target: bytes) -> Place | None:
        """Return where a request target leads to; None: not here. Raises ValueError for what is no target.

        Targets with a right token are remembered. That says nothing about wrong ones: to be compared with them at all,
        a target has to have the same hash, under a key that nobody knows.
        """
        return self._open.get(target) or self._find(target)

    def _find(self, target: bytes) -> Place | None:
        url = httptools.parse_url(target)
        path = unquote(url.path.decode("ascii"))
        if not path.startswith(hook_urls.PREFIX):
            return None
        hook = hook_urls.parse(path)
        if hook is None or not hook_urls.is_authentic(self._url_keys, *hook):
            return Place(path, url.query or b"")
        if len(self._open) >= _MOST_REMEMBERED:
            self._open.clear()
        found = self._open[target] = Place(path, url.query or b"", hook)
        return found

    def enter(self, visit: Visit) -> None:
        """Answer what needs no body."""
        if visit.place.hook is None:
            self._answer_stranger(visit)
        elif visit.method != b"POST":
            self._refuse(visit, 405, [(b"allow", b"POST")])
        else:
            declared = visit.fields.get(b"content-length")
            if declared is not None and bodies.is_over(declared, self._max_body):
                shown = declared[:18].decode("ascii")
                self._refuse(visit, 413, error=f"a body of {shown} bytes is over the limit of {self._max_body}")
            else:
                self.measure(visit)

    def measure(self, visit: Visit) -> None:
        """Refuse a body as soon as it is known to be too large, without reading the rest."""
        if visit.size > self._max_body:
            self._refuse(visit, 413, error=f"the body is over the limit of {self._max_body} bytes")

    def take(self, visit: Visit) -> None:
        """Have the events of a whole request kept, and then answer. Never raises.

        Requests that came in one turn of the loop are taken one after another at its end: what the processor has just
        learnt of our work it has not forgotten yet over the sockets.
        """
        self._whole.append(visit)
        if len(self._whole) == 1:
            asyncio.get_running_loop().call_soon(self._take_all)

    def _take_all(self) -> None:
        # In portions: the store works on the first while we work on the next.
        portion, self._whole = self._whole[:_PORTION], self._whole[_PORTION:]
        if self._whole:
            asyncio.get_running_loop().call_soon(self._take_all)
        for visit in portion:
            self._accept(visit)

    def _accept(self, visit: Visit) -> None:
        hook, fields = visit.place.hook, visit.fields
        assert hook is not None  # noqa: S101 - `enter` has answered strangers
        try:
            request = Request(
                hook.business_id,
                hook.action,
                visit.body,
                _text(_signature(visit)),
                _text(fields.get(b"content-type")),
                _text(fields.get(b"content-encoding")),
            )
            self._ingest.accept(request, partial(self._answer, visit))
        except Exception as error:  # noqa: BLE001 - whoever waits gets an answer, and the connection goes on
            _log.error("request.failed", action=hook.action, error=type(error).__name__)
            self._refuse(visit, 500)

    def part(self, visit: Visit, status: int) -> None:
        """Note whose body did not come to its end."""
        self._note(visit, status)

    def _answer(self, visit: Visit, accepted: IngestResult) -> None:
        if isinstance(accepted, RequestRefused):
            headers = _retry_after(accepted.retry_after) if accepted.status == 503 else ()
            self._refuse(visit, accepted.status, headers, error=str(accepted))
        elif isinstance(accepted, StorageUnavailable):
            self._refuse(visit, 503, _retry_after(None), error=str(accepted))
        else:
            visit.answer(202, answers.JSON, answers.receipts(accepted))
            self._note(visit, 202, accepted)

    def _answer_stranger(self, visit: Visit) -> None:
        if visit.place.path != PROBE:
            self._refuse(visit, 404)
        elif visit.method not in (b"GET", b"HEAD"):
            self._refuse(visit, 405, [(b"allow", b"GET, HEAD")])
        else:
            proof = hook_urls.probe_answer(self._url_keys[0], _nonce(visit.place.query))
            if proof is None:
                self._refuse(visit, 400)
            else:
                visit.answer(200, answers.TEXT, proof.encode("ascii"))
                self._note(visit, 200)

    def _refuse(self, visit: Visit, status: int, headers: Headers = (), error: str | None = None) -> None:
        visit.answer(status, answers.JSON, answers.error(status), headers)
        self._note(visit, status, error=error)

    def _note(self, visit: Visit, status: int, receipts: Sequence[Receipt] = (), error: str | None = None) -> None:
        """Count the answer and write its line."""
        seconds = time.perf_counter() - visit.started
        client = self._clients.sender(visit.peer, visit.headers)
        method = visit.method.decode("latin-1")
        hook = visit.place.hook
        if hook is None:
            self._metrics.answered(status, None, seconds)
            self._log.write(Answered(method, client, status, visit.place.path, seconds=seconds))
            return
        self._metrics.answered(status, hook.action, seconds)
        self._log.write(
            Answered(method, client, status, None, hook.business_id, hook.action, visit.size, receipts, error, seconds)
        )


def _nonce(query: bytes) -> str:
    try:
        return parse_qs(query.decode("latin-1"), max_num_fields=8).get("nonce", [""])[0]
    except ValueError:
        return ""


def _signature(visit: Visit) -> bytes | None:
    """Return the signature; of several all, as HTTP joins them, which is none: one of them may be captured."""
    if len(visit.headers) == len(visit.fields):
        return visit.fields.get(_SIGNATURE)
    return b", ".join(value for name, value in visit.headers if name == _SIGNATURE) or visit.fields.get(_SIGNATURE)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _retry_after(seconds: int | None) -> Headers:
    return [(b"retry-after", str(seconds or _RETRY_AFTER_S).encode("ascii"))]
