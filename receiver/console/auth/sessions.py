"""Who may in, and how that is proven from request to request: tokens, sessions, sign-in links, proofs of our own forms.

Everything that is handed out is signed with a key derived from the token of whom it speaks for, so nothing has to be
stored, every console with the same tokens knows every session, and changing somebody's token ends their sessions.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from itsdangerous import BadSignature, URLSafeTimedSerializer

SESSION_S: Final = 12 * 3_600
"""How long a session lasts."""

LINK_S: Final = 600
"""How long a sign-in link is good, once."""

_SCRYPT: Final = {"n": 2**13, "r": 8, "p": 1, "dklen": 32}
"""Slow on purpose: a stolen cookie is not to be turned back into a weak token by trying."""


class Role(StrEnum):
    """What somebody may do: look, or look and act."""

    ADMIN = "admin"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody, as the settings name them."""

    name: str
    role: Role

    @property
    def may_act(self) -> bool:
        """Whether they may replay, release, apply, and see personal data."""
        return self.role is Role.ADMIN


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in. *id* is empty for a program that shows its token with each request."""

    identity: Identity
    id: str


class UsedTokens(Protocol):
    """Remembers what was used up; see `receiver.storage.shared.one_time_tokens.OneTimeTokens`."""

    def spend(self, what: str, keep_ms: int) -> bool: ...

    def is_spent(self, what: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Account:
    identity: Identity
    digest: bytes
    key: bytes


class Authenticator:
    """Knows everybody by their token. Methods that check for used tokens raise StorageUnavailable."""

    def __init__(
        self, admins: Iterable[tuple[str, str]], viewers: Iterable[tuple[str, str]], *, spent: UsedTokens | None = None
    ) -> None:
        """*admins*, *viewers*: names and tokens. *spent* None: only to make links with."""
        self._spent = spent
        self._people = [_person(Role.ADMIN, name, token) for name, token in admins]
        self._people += [_person(Role.VIEWER, name, token) for name, token in viewers]

    def by_token(self, token: str) -> Identity | None:
        """Return whose token that is. Takes as long for a wrong one as for a right one."""
        digest = hashlib.sha256(token.encode()).digest()
        matching = [person for person in self._people if hmac.compare_digest(person.digest, digest)]
        return matching[0].identity if matching else None

    def begin(self, identity: Identity) -> str:
        """Begin a session; return what its cookie holds."""
        return self._signed("session", self._of(identity), secrets.token_urlsafe(16))

    def session(self, cookie: str) -> Session | None:
        """Return the session of a cookie, if it is ours, not over, and nobody signed out of it."""
        for person in self._people:
            identifier = self._read("session", person, cookie, SESSION_S)
            if identifier is not None:
                is_over = self._spent is not None and self._spent.is_spent(f"session {identifier}")
                return None if is_over else Session(person.identity, identifier)
        return None

    def end(self, session: Session) -> None:
        """Sign out: the cookie is worth nothing from now on, wherever a copy of it is."""
        if self._spent is not None and session.id:
            self._spent.spend(f"session {session.id}", SESSION_S * 1_000)

    def proof(self, session: Session) -> str:
        """Return what our own forms carry, and nobody else's."""
        return hmac.digest(self._of(session.identity).key, f"form {session.id}".encode(), "sha256").hex()

    def is_proof(self, session: Session, shown: str) -> bool:
        """Whether a form is ours."""
        return hmac.compare_digest(self.proof(session).encode(), shown.encode())

    def link(self, identity: Identity) -> str:
        """Return the secret part of a link that signs *identity* in, once, within ten minutes."""
        return self._signed("link", self._of(identity), secrets.token_urlsafe(16))

    def enter(self, link: str) -> Identity | None:
        """Use a link up; return whom it signs in, or None when it is not good any more."""
        for person in self._people:
            nonce = self._read("link", person, link, LINK_S)
            if nonce is not None and self._spent is not None and self._spent.spend(f"link {nonce}", LINK_S * 1_000):
                return person.identity
        return None

    def sealed(self, session: Session, said: str) -> str:
        """Sign a sentence that the next page shows."""
        return self._signed("said", self._of(session.identity), said)

    def unsealed(self, session: Session, sealed: str) -> str | None:
        """Return the sentence, if it is ours and fresh."""
        return self._read("said", self._of(session.identity), sealed, 60)

    def _of(self, identity: Identity) -> _Account:
        return next(person for person in self._people if person.identity == identity)

    @staticmethod
    def _signed(purpose: str, person: _Account, what: str) -> str:
        signed = _serializer(purpose, person).dumps(what)
        return signed if isinstance(signed, str) else signed.decode()

    @staticmethod
    def _read(purpose: str, person: _Account, shown: str, max_age_s: int) -> str | None:
        try:
            what: Any = _serializer(purpose, person).loads(shown, max_age=max_age_s)
        except BadSignature:
            return None
        return what if isinstance(what, str) else None


def _serializer(purpose: str, person: _Account) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        person.key, salt=f"frontdesk console {purpose}", signer_kwargs={"digest_method": hashlib.sha256}
    )


def _person(role: Role, name: str, token: str) -> _Account:
    salt = f"frontdesk console {role} {name}".encode()
    key = hashlib.scrypt(token.encode(), salt=salt, **_SCRYPT)
    return _Account(Identity(name, role), hashlib.sha256(token.encode()).digest(), key)
