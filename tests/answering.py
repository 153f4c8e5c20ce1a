"""A receiver's outside, as a process: answers the probe with its URL key, takes every hook, and can be broken.

`python -m tests.answering KEY`; `PUT /break` and `PUT /mend` switch it.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from receiver.nexudus import hooks


class Answering(BaseHTTPRequestHandler):
    """One request."""

    key = ""
    broken = False

    def do_GET(self) -> None:
        """Answer the probe."""
        parts = urlsplit(self.path)
        nonce = parse_qs(parts.query).get("nonce", [""])[0]
        if Answering.broken or parts.path != "/hooks/-/probe":
            self._answer(503 if Answering.broken else 404, b"")
            return
        self._answer(200, (hooks.probe_answer(Answering.key, nonce) or "").encode())

    def do_POST(self) -> None:
        """Take a hook, or fail as a broken receiver does."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(500 if Answering.broken else 202, b"{}")

    def do_PUT(self) -> None:
        """Switch."""
        Answering.broken = self.path == "/break"
        self._answer(200, b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name in the library
        """Say nothing."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    Answering.key = sys.argv[1]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    print(f"listening at http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
