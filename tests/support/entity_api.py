"""A small Nexudus for tests of back-fill: an HTTP server with records that a test puts there, and lies it orders."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from receiver.nexudus.api.client import Client, Patience
from receiver.nexudus.api.oauth import BearerToken
from receiver.nexudus.record_kinds import KINDS
from tests.support.nexudus import CountingBudget

HURRY = Patience(attempts=2, first_pause_s=0.001, longest_pause_s=0.01, silence_s=0.5, connect_s=1, give_up_s=2)
_HIDDEN = {"AuditTrailEntry": ("EntityId", "OldValue")}
_ARRAYS = ("Businesses", "Teams", "Notes")


def iso(at_ms: int) -> str:
    """Return a time as the API writes it."""
    return datetime.fromtimestamp(at_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class EntityApi:
    """The server. *records*: by kind and Id. *ignored*: filters that it ignores, in lower case. *answers*: by kind, a
    status that it answers instead. *needs*: by kind, a filter without which a search is refused. *before_page* is
    called before each page of a search, with its number, *before_record* before one record."""

    def __init__(self) -> None:
        self.records: dict[str, dict[int, dict[str, Any]]] = {}
        self.ignored: set[str] = set()
        self.answers: dict[str, int] = {}
        self.needs: dict[str, str] = {}
        self.gone_as_html = False
        self.total_is: dict[str, int] = {}
        self.repeats: set[str] = set()
        self.page_size: int | None = None
        self.before_page: Callable[[str, int], None] = lambda _kind, _number: None
        self.before_search: Callable[[dict[str, str]], None] = lambda _params: None
        self.before_record: Callable[[str, int], None] = lambda _kind, _number: None
        self.hang_at: tuple[str, int] | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._next = 0
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End it."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def client(self) -> Client:
        """Return a client that does not wait between tries; the caller closes it."""
        return Client(self.url, BearerToken("token"), CountingBudget(), patience=HURRY, sleep=lambda _: None)

    def put(self, kind: str, number: int, created_ms: int, updated_ms: int | None = None, **fields: Any) -> None:
        """Put a record there."""
        times = {"CreatedOn": iso(created_ms), "UpdatedOn": iso(created_ms if updated_ms is None else updated_ms)}
        base = {"Id": number, "UniqueId": f"{kind}-{number}", "BusinessId": 1001, "Notes": "long", **times}
        self.records.setdefault(kind, {})[number] = base | fields

    def audit(self, kind: str, number: int, at_ms: int, what: int = 3, **fields: Any) -> None:
        """Put an entry into the audit trail: *what* 1 create, 2 update, 3 delete."""
        self._next += 1
        entry: dict[str, Any] = {"EntityShortName": kind, "EntityId": number, "AuditType": what, "OldValue": None}
        self.put("AuditTrailEntry", 900_000 + self._next, at_ms, **entry | fields)

    def searches(self, kind: str) -> int:
        """How many pages of searches of a kind were asked for, without batches by Id."""
        path = f"/api/{KINDS[kind].path}"
        return sum(one == path and "id" not in params for one, params in self.asked)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                params = dict(parse_qsl(parts.query))
                api.asked.append((parts.path, params))
                status, body = api.answer(parts.path.removeprefix("/api/"), params)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

    def answer(self, path: str, params: dict[str, str]) -> tuple[int, Any]:
        """Return the status and the body for a path below /api/."""
        paths = {kind.path: kind.name for kind in KINDS.values()}
        if path in paths:
            kind = paths[path]
            if kind in self.needs and "id" not in params and self.needs[kind] not in params:
                return 400, {"Message": "Missing required filter"}
            return (self.answers[kind], {"Message": "no"}) if kind in self.answers else (200, self._page(kind, params))
        path, _, number = path.rpartition("/")
        self.before_record(paths.get(path, ""), int(number))
        record = self.records.get(paths.get(path, ""), {}).get(int(number))
        if record is not None:
            return 200, record
        return (500, b"<html>gone</html>") if self.gone_as_html else (404, {"Message": "not found"})

    def _page(self, kind: str, params: dict[str, str]) -> Any:
        number, size = int(params.get("page", 1)), int(params.get("size", 25 if "id" not in params else 1_000))
        if self.hang_at == (kind, number):
            self._released.wait(5)
        size = size if "id" in params else min(size, self.page_size or size)
        self.before_search(params)
        if "id" not in params:
            self.before_page(kind, number)
        rows = [row for _, row in sorted(self.records.get(kind, {}).items()) if self._matches(kind, row, params)]
        start = 0 if kind in self.repeats else (number - 1) * size
        is_batch = "id" in params
        hidden = () if is_batch else (*_HIDDEN.get(kind, ()), *_ARRAYS)
        shown = [{key: value for key, value in row.items() if key not in hidden} for row in rows[start : start + size]]
        if is_batch:
            return shown
        return {
            "Records": shown,
            "HasNextPage": kind in self.repeats or start + size < len(rows),
            "TotalItems": self.total_is.get(kind, len(rows)) if rows else 0,
        }

    def _matches(self, kind: str, row: dict[str, Any], params: dict[str, str]) -> bool:
        for name, text in params.items():
            lower = name.lower()
            if lower in self.ignored or lower in ("page", "size", "orderby"):
                continue
            if lower == "id":
                if row["Id"] not in json.loads(text):
                    return False
                continue
            way, _, rest = lower.partition("_") if lower.startswith(("from_", "to_")) else ("", "", lower)
            field = next((key for key in row if f"{kind}_{key}".lower() == rest), rest)
            field = "CoworkerInvoiceId" if rest.endswith("_coworkerinvoice") else field
            field = "CoworkerId" if rest.endswith("_coworker") else field
            value = row.get(field)
            if way == "from" and (value is None or str(value)[: len(text)] < text):
                return False
            if way == "to" and (value is None or str(value)[: len(text)] > text):
                return False
            if not way and str(value).lower() != text.lower():
                return False
        return True
