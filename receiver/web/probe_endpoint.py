"""The probe endpoint, with which the registrar checks that the public URL leads to a receiver that has the URL key."""

import time
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from receiver.nexudus import hook_urls
from receiver.web import answers
from receiver.web.request_notes import RequestNotes

PATH = "/hooks/-/probe"


class Probe:
    """Answers with the HMAC of a nonce under *url_key*."""

    def __init__(self, url_key: str, notes: RequestNotes) -> None:
        self._url_key = url_key
        self._notes = notes

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        status = 200
        if scope["method"] not in ("GET", "HEAD"):
            status = 405
            await answers.refuse(send, status, [(b"allow", b"GET, HEAD")])
        elif (proof := hook_urls.probe_answer(self._url_key, _nonce(scope["query_string"]))) is None:
            status = 400
            await answers.refuse(send, status)
        else:
            await answers.whole(send, status, answers.TEXT, proof.encode("ascii"))
        self._notes.stranger(scope, started, status)


def _nonce(query: bytes) -> str:
    try:
        return parse_qs(query.decode("latin-1"), max_num_fields=8).get("nonce", [""])[0]
    except ValueError:
        return ""
