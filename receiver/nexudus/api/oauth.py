"""Access tokens for the Nexudus API: a fixed bearer token, or one from the OAuth2 password grant that is refreshed.

The grant is form-encoded; a JSON body is answered `unsupported_grant_type`. The `client_id` is a header, and refreshing
the token of one client id ends the refresh tokens of everybody else who uses the same one
(https://developers.nexudus.com/reference/token-authentication-oauth). Therefore each deployment has its own.
"""

import base64
import binascii
import hmac
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from receiver.core.errors import CredentialsRefused, NexudusError

TokenRequest = Callable[[Mapping[str, str], Mapping[str, str]], Any]
"""A function that posts a form with headers to the token endpoint and returns the JSON of its answer."""


class TokenSource(Protocol):
    """Gives the access token for the next call."""

    def current(self) -> str:
        """Return a token that should be valid."""

    def after_refusal(self, refused: str) -> str | None:
        """Return another token than *refused*, which was answered 401; None when there is no other."""


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A fixed token from the settings."""

    token: str = field(repr=False)

    def current(self) -> str:
        """Return the token."""
        return self.token

    def after_refusal(self, refused: str) -> None:
        """There is no other."""


@dataclass(frozen=True, slots=True)
class Password:
    """The credentials of an API user. *totp* is the current code, or the base32 secret from which codes are made."""

    username: str
    password: str = field(repr=False)
    client_id: str
    totp: str | None = field(default=None, repr=False)


class PasswordTokens:
    """Gets tokens by password and renews them before they expire. Only one thread asks at a time; the others wait."""

    def __init__(self, password: Password, request: TokenRequest, *, now: Callable[[], float] = time.time) -> None:
        self._password = password
        self._request = request
        self._now = now
        self._lock = threading.Lock()
        self._access: str | None = None
        self._refresh: str | None = None
        self._good_until = 0.0

    def current(self) -> str:
        """Return the token. It is renewed first if no more than a tenth of its life, at most a minute, is left."""
        with self._lock:
            if self._access is None or self._now() >= self._good_until:
                self._renew()
            return self._access or ""

    def after_refusal(self, refused: str) -> str:
        """Return a new token, or the one that another thread has got in the meantime."""
        with self._lock:
            if self._access in (None, refused):
                self._renew()
            return self._access or ""

    def _renew(self) -> None:
        answer: Any = None
        if self._refresh is not None:
            refresh, self._refresh = self._refresh, None
            try:
                answer = self._ask({"grant_type": "refresh_token", "refresh_token": refresh})
            except NexudusError as error:
                # Another process with our client id refreshed, or the token is older than 15 days: use the password.
                if not isinstance(error, CredentialsRefused):
                    raise
        if answer is None:
            answer = self._ask(self._by_password())
        self._keep(answer)

    def _by_password(self) -> dict[str, str]:
        form = {
            "grant_type": "password",
            "username": self._password.username,
            "password": self._password.password,
        }
        if self._password.totp:
            form["totp"] = totp_code(self._password.totp, self._now())
        return form

    def _ask(self, form: Mapping[str, str]) -> Any:
        return self._request(form, {"client_id": self._password.client_id})

    def _keep(self, answer: Any) -> None:
        access = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(access, str) or not access or not access.isascii():
            raise NexudusError("Nexudus answered the request for a token without one; is FRONTDESK_NEXUDUS_URL right?")
        lifetime = answer.get("expires_in")
        seconds = float(lifetime) if isinstance(lifetime, int | float) and 0 < lifetime < 1e9 else 600.0
        refresh = answer.get("refresh_token")
        self._access = access
        self._refresh = refresh if isinstance(refresh, str) and refresh else None
        self._good_until = self._now() + seconds - min(60.0, seconds / 10)


def totp_code(totp: str, now: float) -> str:
    """Return the code to send: *totp* itself if it is a code (6 to 8 digits), else a code made from it (RFC 6238)."""
    if totp.isdigit() and 6 <= len(totp) <= 8:
        return totp
    letters = totp.replace(" ", "").replace("-", "").upper().rstrip("=")
    try:
        key = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except (binascii.Error, ValueError):
        raise NexudusError("FRONTDESK_NEXUDUS_TOTP is neither a code of 6 to 8 digits nor a base32 secret") from None
    digest = hmac.digest(key, int(now // 30).to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"
