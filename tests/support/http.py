"""One HTTP client for tests: a request on a connection of its own, and its answer as it came."""

import http.client
import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ANSWERS_WITHIN_S = 60.0
"""How long an answer may take; only a receiver that hangs takes longer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. *headers* by their lower-case name; of several with one name, the last. *cookies*: all Set-Cookie."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """Return the body's value."""
        return json.loads(self.body)


def request(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    *,
    timeout_s: float = ANSWERS_WITHIN_S,
) -> Answer:
    """Send one well-formed request and return its answer; no redirect is followed. Pairs may repeat a header's name.

    Raises OSError or http.client.HTTPException when nothing answers.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=timeout_s)
    with closing(connection):
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.putrequest(method, path)
        for name, value in headers.items() if isinstance(headers, Mapping) else headers:
            connection.putheader(name, value)
        if body is not None or method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body)
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        cookies = tuple(answer.headers.get_all("set-cookie") or ())
        return Answer(answer.status, named, answer.read(), cookies)
