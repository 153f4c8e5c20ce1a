"""Sends messages through Apprise (https://github.com/caronc/apprise): mail, Slack, Teams, and a hundred more.

No other module imports Apprise. It is imported when it is needed: that takes a third of a second, and most processes
send nothing.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Literal
from urllib.parse import urlsplit

_SHORTEST_REST_S: Final = 15.0
_LONGEST_REST_S: Final = 1_800.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message. *kind* selects its colour and icon, if the service has any."""

    title: str
    text: str
    kind: Literal["failure", "success", "info"]


@dataclass(slots=True)
class _Rest:
    until: float
    length_s: float


class Notifier:
    """The URLs that messages go to, each known by a digest: a URL holds secrets. Not safe to share between threads."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Raises ValueError, which does not quote it, for a URL that Apprise does not understand."""
        self._services = {digest_of(url): _service(number, url) for number, url in enumerate(urls, 1)}
        self._rests: dict[str, _Rest] = {}

    @property
    def digests(self) -> tuple[str, ...]:
        """The digests of the URLs, in their order."""
        return tuple(self._services)

    def service(self, digest: str) -> str:
        """Return what may be said of a URL: which service it is for."""
        return str(self._services[digest][0].service_name)

    def send(self, digest: str, message: Message, *, now: float | None = None) -> bool:
        """Send to one URL; return whether its service accepted it. After a refusal, the URL is skipped for a while."""
        moment = time.monotonic() if now is None else now
        rest = self._rests.get(digest)
        if rest and moment < rest.until:
            return False
        try:
            taken = bool(
                self._services[digest].notify(title=message.title, body=message.text, notify_type=message.kind)
            )
        except Exception:  # noqa: BLE001 - a stranger's plugin; its message may quote the URL
            taken = False
        if taken:
            self._rests.pop(digest, None)
        else:
            length_s = min(rest.length_s * 2, _LONGEST_REST_S) if rest else _SHORTEST_REST_S
            self._rests[digest] = _Rest(moment + length_s, length_s)
        return taken


def digest_of(url: str) -> str:
    """Return a digest that identifies a URL and reveals nothing of it."""
    return hashlib.sha256(b"frontdesk alert url\0" + url.encode()).hexdigest()[:16]


def _service(number: int, url: str) -> Any:
    apprise: Any = import_module("apprise")
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it would log URLs
    found = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Frontdesk", app_desc="Frontdesk", async_mode=False))
    if not found.add(url):
        scheme = urlsplit(url).scheme[:20] if "://" in url else ""
        of = f" ({scheme}://...)" if scheme.replace("+", "").isalnum() else ""
        raise ValueError(
            f"URL {number}{of} is not one that Apprise understands; its documentation lists the services and how their "
            "URLs are written (a comma inside one is written %2C)"
        )
    return found
