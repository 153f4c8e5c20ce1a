"""A receiver, workers and other commands of one folder, on one store: what the benches of whole stacks share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from receiver.nexudus import hook_urls, samples, signature
from tests.support.http import Answer, request
from tests.support.processes import PATIENT, Process, free_port


class Stack(ABC):
    """routes.yaml and handlers, and the settings of all commands. *handlers*: the text of the module `seen`."""

    def __init__(self, folder: Path, redis_url: str, *, routes: str, handlers: str, key: str, secret: str) -> None:
        (folder / "routes.yaml").write_text(routes)
        (folder / "seen.py").write_text(handlers)
        self.folder = folder
        self.secret = secret
        self.now = datetime.now(UTC)  # of all its samples: who posts the same one twice posts the same bytes
        self.settings = {
            "FRONTDESK_REDIS_URL": redis_url,
            "FRONTDESK_ROUTES": str(folder / "routes.yaml"),
            "FRONTDESK_PORT": str(free_port()),
            "FRONTDESK_URL_KEYS": key,
            "FRONTDESK_WEBHOOK_SECRETS": secret,
            "FRONTDESK_LOG_FORMAT": "json",
            **PATIENT,
        }

    @property
    def receiver_url(self) -> str:
        """Where the receiver is."""
        return f"http://127.0.0.1:{self.settings['FRONTDESK_PORT']}"

    @abstractmethod
    def start(self, *arguments: str) -> Process:
        """Start a command that stays."""

    def serve(self, *arguments: str) -> Process:
        """Start a receiver and wait until it is ready."""
        receiver = self.start("serve", *arguments)
        receiver.wait_for_http(f"{self.receiver_url}/readyz")
        return receiver

    def posted(
        self,
        action: str,
        body: bytes | None = None,
        *,
        number: int = 1,
        business_id: int = 1001,
        secret: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Post one signed request as Nexudus does. *body*: by default the sample of *number*. *secret*: another one."""
        body = samples.body(action, now=self.now, number=number) if body is None else body
        url = hook_urls.url(self.receiver_url, self.settings["FRONTDESK_URL_KEYS"], business_id, action)
        signed = {signature.HEADER: signature.sign(body, secret or self.secret)}
        return request("POST", url, body, signed | dict(headers or {}))
