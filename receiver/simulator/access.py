"""Who may call the simulated Nexudus: OAuth2 password grant and refresh, a fixed bearer token, or Basic.

https://developers.nexudus.com/reference/token-authentication-oauth
"""

import secrets
import time
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from receiver.nexudus.api.oauth import totp_code

_MOST_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class Account:
    """The one API user. *token* is accepted as it is."""

    username: str = "demo@example.com"
    password: str = field(default="demo", repr=False)
    totp: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    lifetime_s: int = 604_799


class Access:
    """Gives and checks tokens of *account*."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._good_until: OrderedDict[str, float] = OrderedDict()
        self._refresh_of: dict[str, str] = {}
        self.grants = 0

    def allows(self, authorization: str) -> bool:
        """Say whether a call with this Authorization header comes from the API user."""
        kind, _, token = authorization.partition(" ")
        if kind.lower() == "basic":
            return _same(token, b64encode(f"{self._account.username}:{self._account.password}".encode()).decode())
        if kind.lower() != "bearer":
            return False
        if self._account.token is not None and _same(token, self._account.token):
            return True
        return self._good_until.get(token, 0.0) > time.time()

    def grant(self, form: Mapping[str, str], client_id: str) -> tuple[int, dict[str, Any]]:
        """Answer the token endpoint: status and JSON. Refreshing ends all earlier refresh tokens of the client id."""
        kind = form.get("grant_type", "")
        if kind == "password":
            client_id = client_id or form.get("username", "")
            if not self._knows(form):
                return 401, _refused("The user name or password is incorrect.")
        elif kind == "refresh_token":
            client_id = client_id or self._account.username
            if not form.get("refresh_token") or self._refresh_of.get(client_id) != form["refresh_token"]:
                return 401, _refused("The refresh token is invalid.")
        else:
            return 400, {"error": "unsupported_grant_type"}
        return 200, self._new_tokens(client_id)

    def expire(self) -> None:
        """End every access token at once."""
        self._good_until.clear()

    def _knows(self, form: Mapping[str, str]) -> bool:
        if (form.get("username"), form.get("password")) != (self._account.username, self._account.password):
            return False
        return self._account.totp is None or form.get("totp") == totp_code(self._account.totp, time.time())

    def _new_tokens(self, client_id: str) -> dict[str, Any]:
        self.grants += 1
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._good_until[access] = time.time() + self._account.lifetime_s
        while len(self._good_until) > _MOST_TOKENS:
            self._good_until.popitem(last=False)
        if len(self._refresh_of) >= _MOST_TOKENS:
            self._refresh_of.clear()
        self._refresh_of[client_id] = refresh
        return {
            "access_token": access,
            "token_type": "bearer",
            "expires_in": self._account.lifetime_s,
            "refresh_token": refresh,
        }


def _same(given: str, right: str) -> bool:
    return secrets.compare_digest(given.encode(), right.encode())


def _refused(why: str) -> dict[str, Any]:
    return {"error": "invalid_grant", "error_description": why}
