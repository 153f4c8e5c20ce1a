"""A real HTTP endpoint that alerts arrive at, as Apprise's json:// sends them."""

import http.server
import json
import threading
from typing import Any, Self


class Mailbox(http.server.ThreadingHTTPServer):
    """Keeps what is posted to it; answers *status*."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.status = 200
        self.posts: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        """Its URL, as FRONTDESK_ALERT_URLS has it; the path is a secret."""
        return f"json://127.0.0.1:{self.server_address[1]}/s3cr3t-path"

    @property
    def titles(self) -> list[str]:
        """The titles of what came, in its order."""
        return [post["title"] for post in self.posts]


class _Post(http.server.BaseHTTPRequestHandler):
    server: Mailbox

    def do_POST(self) -> None:
        """Keep it and answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.status == 200:
            self.server.posts.append(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name it has there
        """Stay silent."""
