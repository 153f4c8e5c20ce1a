"""Whether a request is signed by a shared secret of its location, in the way in which that secret is known to sign.

There are two readings of a body that is not ASCII (see `signature`). Under the .NET one all its foreign characters are
the same `?`, so a captured signature fits other texts, too. Hence a secret has one reading only: the one that is set,
or the first one that it was seen to sign under. Only a body that the readings differ on shows which one that is. The
raw reading cannot be made from a captured signature, so once it was seen it holds for good. A secret known as .NET's
that signs raw for once has that one request set aside, and is known as raw from then on; so whoever teaches us the
.NET reading by a captured signature costs us no more than that.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from receiver.nexudus import signature
from receiver.nexudus.signature import Reading

ANY = "any"
"""The scope of a secret that holds at every location; that of another one is its location's number."""


class Verdict(NamedTuple):
    """What a signature is worth. *doubt*: why it is not accepted; without it and *reading* no secret is asked for.

    *seen*: the scope of the secret that signed, and the reading that it has shown thereby.
    """

    reading: Reading | None = None
    doubt: str | None = None
    seen: tuple[str, Reading] | None = None


class Verifier:
    """Verifies signatures by the secrets of all locations, and remembers how each scope of them signs."""

    def __init__(self, secrets: Iterable[tuple[int | None, str]], reading: Reading | None = None) -> None:
        """*secrets*: pairs of a location (None: any) and a secret. *reading*: the only one that holds, if it is set."""
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
        """Which reading each scope was seen to sign under."""
        return self._learnt

    def secrets_of(self, business_id: int) -> Sequence[tuple[str, str]]:
        """Return the secrets that open hooks of a location, each behind its scope."""
        return self._for_any + self._for_one.get(business_id, ())

    def verify(self, business_id: int, body: bytes, header: str | None) -> Verdict:
        """Judge a request by what is known so far. Changes nothing; total over any bytes and any header."""
        return self.judge(self.secrets_of(business_id), body, header)

    def judge(self, secrets: Sequence[tuple[str, str]], body: bytes, header: str | None) -> Verdict:
        """Do what `verify` does, with the secrets of the location at hand."""
        for scope, secret in secrets:
            reading = signature.verify(body, header, (secret,), likely=self._reading or self._learnt.get(scope))
            if reading is not None:
                if body.isascii() and secret.isascii():  # both readings are one
                    return Verdict(reading)
                return self._judged(scope, reading)
        if not secrets:
            return Verdict()
        return Verdict(doubt=f"{signature.HEADER} {'does not match' if header else 'is missing'}")

    def _judged(self, scope: str, reading: Reading) -> Verdict:
        known = self._reading or self._learnt.get(scope, reading)
        if known == reading:
            return Verdict(reading, seen=(scope, reading))
        why = "FRONTDESK_SIGNATURE_READING says so" if self._reading else "this secret has been seen to sign so"
        doubt = f"{signature.HEADER} matches only in the reading {reading!r}, and only {known!r} holds: {why}"
        return Verdict(doubt=doubt, seen=(scope, reading))

    def learn(self, scope: str, reading: Reading) -> bool:
        """Note what a scope was seen to sign under; return whether that is news."""
        if self._learnt.get(scope) in (reading, "raw"):
            return False
        self._learnt[scope] = reading
        return True
