"""A real HTTP endpoint that alerts arrive at, as Apprise's json:// sends them."""

import json
from typing import Any

from tests.support.http_server import LocalServer, SilentHandler


class Mailbox(LocalServer):
    """Keeps what is posted to it; answers *status*."""

    def __init__(self) -> None:
        self.status = 200
        self.posts: list[dict[str, Any]] = []
        super().__init__(_Post)

    @property
    def url(self) -> str:
        """Its URL, as FRONTDESK_ALERT_URLS has it; the path is a secret."""
        return f"json://127.0.0.1:{self.server_address[1]}/s3cr3t-path"

    @property
    def titles(self) -> list[str]:
        """The titles of what came, in its order."""
        return [post["title"] for post in self.posts]


class _Post(SilentHandler):
    server: Mailbox

    def do_POST(self) -> None:  # noqa: N802 - its name
        """Keep it and answer."""
        body = self.body()
        if self.server.status == 200:
            self.server.posts.append(json.loads(body))
        self.answer(self.server.status)
