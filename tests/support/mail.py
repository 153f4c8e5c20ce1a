"""A mail server of this machine that keeps what it takes."""

import contextlib
import email
import email.policy
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from tests.support.processes import free_port


@dataclass
class MailServer:
    """The messages that arrived, and who sent them to whom. *refuses*: it takes none."""

    port: int
    messages: list[EmailMessage] = field(default_factory=list)
    refuses: bool = False

    def url(self, to: str = "desk@example.com") -> str:
        """Return the URL of Apprise for a mail through it."""
        return f"mailto://127.0.0.1:{self.port}?from=frontdesk@example.com&to={to}&mode=insecure"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - its name
        """Take a message, or not."""
        if self.refuses:
            return "554 we do not take it"
        self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"


@contextlib.contextmanager
def a_mail_server() -> Iterator[MailServer]:
    """Serve SMTP until the block ends."""
    server = MailServer(free_port())
    controller = Controller(server, hostname="127.0.0.1", port=server.port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
