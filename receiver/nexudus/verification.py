"""Verifies that a request is signed with a shared secret of its location, under the reading that this secret uses.

A body that is not ASCII can be read in two ways (see `signature`). In the .NET reading, every non-ASCII character
becomes `?`, so a captured signature is valid for other texts as well. Therefore each secret has only one reading: the
one that is set, or else the first one that it was seen to use. Only a body for which the readings differ shows which
one that is. A captured signature cannot be turned into one of the raw reading, so once a secret was seen to use the raw
reading, that is final. If a secret is known for the .NET reading and then signs under the raw one, that one request is
quarantined and the secret counts as raw from then on. Whoever makes us learn the .NET reading with a captured signature
therefore delays one request, and no more.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from receiver.nexudus import signature
from receiver.nexudus.signature import Reading

ANY = "any"
"""The scope of a secret that is valid for every location; the scope of any other secret is its location's number."""


class Verdict(NamedTuple):
    """The result of a verification. *doubt*: why the signature is not accepted. *reading*: the one it is valid under.
    Both None: no secret is set for the location.

    *seen*: the scope of the secret that signed, and the reading that this shows it to use; None: nothing new.
    """

    reading: Reading | None = None
    doubt: str | None = None
    seen: tuple[str, Reading] | None = None


_VALID: Mapping[Reading, Verdict] = {"raw": Verdict("raw"), "dotnet-ascii": Verdict("dotnet-ascii")}


class Verifier:
    """Verifies signatures with the secrets of all locations, and remembers which reading each scope uses."""

    def __init__(self, secrets: Iterable[tuple[int | None, str]], reading: Reading | None = None) -> None:
        """*secrets*: pairs of a location (None: any) and a secret. *reading*: the only valid one, if the setting says
        so."""
        self._reading = reading
        self._learnt: dict[str, Reading] = {}
        self._for_any: tuple[tuple[str, str], ...] = ()
        self._for_one: defaultdict[int, tuple[tuple[str, str], ...]] = defaultdict(tuple)
        for business, secret in secrets:
            if business is None:
                self._for_any += ((ANY, secret),)
            else:
                self._for_one[business] += ((str(business), secret),)

    @property
    def learnt(self) -> Mapping[str, Reading]:
        """The reading that each scope was seen to use."""
        return self._learnt

    def secrets_of(self, business_id: int) -> Sequence[tuple[str, str]]:
        """Return the secrets that are valid for hooks of a location, as pairs of scope and secret."""
        return self._for_any + self._for_one.get(business_id, ())

    def verify(self, business_id: int, body: bytes, header: str | None) -> Verdict:
        """Verify a request by what is known so far. Changes nothing, and never raises, whatever the body and header."""
        return self.judge(self.secrets_of(business_id), body, header)

    def judge(self, secrets: Sequence[tuple[str, str]], body: bytes, header: str | None) -> Verdict:
        """Do what `verify` does, for a caller that already has the secrets of the location."""
        for scope, secret in secrets:
            reading = signature.verify(body, header, (secret,), likely=self._reading or self._learnt.get(scope))
            if reading is not None:
                if body.isascii() and secret.isascii():  # both readings are one
                    return _VALID[reading]
                return self._judged(scope, reading)
        if not secrets:
            return Verdict()
        return Verdict(doubt=f"{signature.HEADER} {'does not match' if header else 'is missing'}")

    def _judged(self, scope: str, reading: Reading) -> Verdict:
        learnt = self._learnt.get(scope)
        known = self._reading or learnt or reading
        if known == reading:
            return _VALID[reading] if learnt == reading else Verdict(reading, seen=(scope, reading))
        why = "FRONTDESK_SIGNATURE_READING says so" if self._reading else "this secret has been seen to sign so"
        doubt = f"{signature.HEADER} matches only in the reading {reading!r}, and only {known!r} holds: {why}"
        return Verdict(doubt=doubt, seen=(scope, reading))

    def learn(self, scope: str, reading: Reading) -> bool:
        """Note the reading that a scope was seen to use; return whether that is new."""
        if self._learnt.get(scope) in (reading, "raw"):
            return False
        self._learnt[scope] = reading
        return True
