"""Which registrations are ours, told from the rows of a list alone. Pure.

Ours is a hook's URL below our public URL, or one whose path carries a token that one of our keys made. The latter at
another host is **elsewhere**: another deployment with our keys, or ours before it moved. All else is **foreign**.
Who shares a host with other programs gives FRONTDESK_PUBLIC_URL a path of its own.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from receiver.nexudus import actions, hook_urls
from receiver.nexudus.api.registration import Registration

_PORTS = {"http": 80, "https": 443}
_ACTIONS = {code: name for name, code in actions.CODES.items()}


class Owner(StrEnum):
    """Whose a registration is."""

    OURS = "ours"
    ELSEWHERE = "elsewhere"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Owned:
    """A registration with what its URL says about it.

    *action* is the one it is for: by its path, which our token vouches for, else by its number; None when neither
    tells. *key_index* counts our keys from 0, the one that signs; None when none of them made the URL. *home* is the
    public URL of whoever made it, when it is not at ours.
    """

    registration: Registration
    owner: Owner
    action: str | None
    key_index: int | None = None
    home: str = ""

    @property
    def pair(self) -> tuple[int, str] | None:
        """The (business, action) it serves. The business is the record's: a hook never changes its location."""
        return (self.registration.business_id, self.action) if self.action else None


@dataclass(frozen=True, slots=True)
class Ownership:
    """Knows our own. *public_url* None: only by the token. *keys* are our URL keys, the one that signs first."""

    public_url: str | None
    keys: tuple[str, ...] = field(repr=False)

    def url(self, business_id: int, action: str) -> str:
        """Return the URL that a hook of ours should have."""
        return hook_urls.url(self.public_url or "", self.keys[0], business_id, action)

    def of(self, registration: Registration, *, move_from: Collection[str] = ()) -> Owned:
        """Tell whose *registration* is. Hooks elsewhere, below one of *move_from*, count as ours."""
        before, path = _split(registration.url)
        key_index = hook_urls.key_index(self.keys, path) if path else None
        said = hook_urls.parse(path)
        action = _ACTIONS.get(registration.action_code)
        if said and said.action in actions.CODES:
            action = said.action
        if self._is_below(registration.url):
            return Owned(registration, Owner.OURS, action, key_index)
        if key_index is None:
            return Owned(registration, Owner.FOREIGN, _ACTIONS.get(registration.action_code))
        home = _normal(before)
        moved = home in {_normal(url) for url in move_from}
        return Owned(registration, Owner.OURS if moved else Owner.ELSEWHERE, action, key_index, home)

    def _is_below(self, url: str) -> bool:
        """Whether a URL is below our public URL: somebody may have broken the path of a hook of ours."""
        return bool(self.public_url) and _normal(url).startswith(_normal(self.public_url or "") + "/")


def name_of(action: str) -> str:
    """Return the name of a registration of ours: it says who manages it."""
    return f"Frontdesk {action}"


def _split(url: str) -> tuple[str, str]:
    """Return what is before the path of a hook, and that path; ("", "") when there is none.

    Somebody may have put a slash, a query or a fragment behind it; its token still says whose it is.
    """
    place = re.split("[?#]", url, maxsplit=1)[0]
    start = place.rfind(hook_urls.PREFIX)
    return (place[:start], place[start:].rstrip("/")) if start >= 0 else ("", "")


def _normal(url: str) -> str:
    """Return *url* in one spelling: lower-case scheme and host, no default port, no slash at the end."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return ""
    host = (parts.hostname or "").rstrip(".")
    if ":" in host:
        host = f"[{host}]"
    suffix = "" if port in (None, _PORTS.get(parts.scheme)) else f":{port}"
    return f"{parts.scheme}://{host}{suffix}{parts.path.rstrip('/')}"
