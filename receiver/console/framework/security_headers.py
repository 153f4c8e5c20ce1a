"""Wraps every answer of the console: strict headers, one line in the log, no traceback in the answer."""

import time
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from receiver.process import logs
from receiver.web.request_log import masked

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "cache-control": "no-store",
}

_FOR_LONG: Final = "public, max-age=31536000, immutable"


class SecurityHeaders:
    """Wraps the application. *static*: paths below it are named by their content, and may be kept by browsers."""

    def __init__(self, app: ASGIApp, *, static: str) -> None:
        self._app = app
        self._static = static

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(scope["path"], message)
            await send(message)

        scope.setdefault("state", {})
        try:
            await self._app(scope, receive, guarded)
        except Exception as error:  # noqa: BLE001 - whatever it is, the browser gets an answer and the log its name
            logs.get().error("console.failed", path=masked(scope["path"]), exc_info=error)
            if not status:
                await PlainTextResponse("internal error; see the log\n", 500)(scope, receive, guarded)
        finally:
            _log(scope, status, time.perf_counter() - started)

    def _add_headers(self, path: str, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if path.startswith(self._static) and message["status"] in (200, 304):
            headers["cache-control"] = _FOR_LONG


def _log(scope: Scope, status: int, seconds: float) -> None:
    """Write the request's line. Open pages ask again and again, so what only looks is of no great interest."""
    write = logs.get().debug if scope["method"] in ("GET", "HEAD") and status < 400 else logs.get().info
    write(
        "console.answered",
        status=status,
        method=scope["method"],
        path=masked(scope["path"]),
        who=scope["state"].get("who"),
        ms=round(seconds * 1_000, 1),
    )
