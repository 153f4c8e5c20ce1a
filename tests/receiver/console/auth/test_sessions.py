"""Tokens, sessions, links and proofs: what is signed for one is good for nobody and nothing else."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.console.auth.rate_limit import ADDRESSES, FAILURES, PAUSE_S, RateLimit
from receiver.console.auth.sessions import LINK_S, SESSION_S, Authenticator, Identity, Role

ALICE = Identity("alice", Role.ADMIN)
VICTOR = Identity("victor", Role.VIEWER)


class Memory:
    """Remembers what was used up, as the store does."""

    def __init__(self) -> None:
        self.spent: set[str] = set()

    def spend(self, what: str, keep_ms: int) -> bool:
        """Use it up."""
        assert keep_ms > 0
        is_new = what not in self.spent
        self.spent.add(what)
        return is_new

    def is_spent(self, what: str) -> bool:
        """Whether it is used up."""
        return what in self.spent


def _access(alice: str = "sesame", memory: Memory | None = None) -> Authenticator:
    return Authenticator([("alice", alice)], [("victor", "look")], spent=memory or Memory())


ACCESS = _access()


def test_a_token_names_somebody() -> None:
    """Each token its owner, with what they may do; any other nobody."""
    assert (ACCESS.by_token("sesame"), ACCESS.by_token("look")) == (ALICE, VICTOR)
    assert [ACCESS.by_token(token) for token in ("", "Sesame", "sesame ", "alice", "löök")] == [None] * 5
    assert (ALICE.may_act, VICTOR.may_act) == (True, False)


def test_a_session_lasts_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is good in every console with the same tokens, and after twelve hours nowhere."""
    cookie = ACCESS.begin(VICTOR)

    again = _access().session(cookie)

    assert again is not None
    assert again.identity == VICTOR
    later = __import__("time").time() + SESSION_S + 2
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    assert ACCESS.session(cookie) is None


def test_a_changed_token_ends_the_sessions_of_its_owner_alone() -> None:
    """That is how access is taken away."""
    alices, victors = ACCESS.begin(ALICE), ACCESS.begin(VICTOR)

    changed = _access(alice="another")

    assert changed.session(alices) is None
    assert changed.session(victors) is not None


def test_signing_out_ends_every_copy_of_the_cookie() -> None:
    """Not only that of the browser that did it; another session of the same person goes on."""
    access = _access()
    one, other = access.begin(ALICE), access.begin(ALICE)
    session = access.session(one)
    assert session is not None

    access.end(session)

    assert access.session(one) is None
    assert access.session(other) is not None


def test_a_link_is_good_once_and_for_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two consoles of one store share the memory of what is used up."""
    memory = Memory()
    one, other = _access(memory=memory), _access(memory=memory)
    link, late = one.link(ALICE), one.link(ALICE)

    assert (one.enter(link), other.enter(link), one.enter(link)) == (ALICE, None, None)
    later = __import__("time").time() + LINK_S + 2
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    assert one.enter(late) is None


def test_nothing_signed_for_one_purpose_serves_another() -> None:
    """A link is no session, a sentence is no link, a proof belongs to its session."""
    link, cookie = ACCESS.link(ALICE), ACCESS.begin(ALICE)
    session, other = ACCESS.session(cookie), ACCESS.session(ACCESS.begin(ALICE))
    assert session is not None
    assert other is not None
    said = ACCESS.sealed(session, "done")

    assert ACCESS.session(link) is ACCESS.session(said) is None
    assert ACCESS.enter(cookie) is ACCESS.enter(said) is None
    assert ACCESS.unsealed(session, said) == "done"
    assert ACCESS.unsealed(session, cookie.replace("a", "b")) is None
    assert ACCESS.is_proof(session, ACCESS.proof(session))
    assert not ACCESS.is_proof(session, ACCESS.proof(other))


@given(st.text(max_size=200).filter(lambda junk: junk not in ("sesame", "look")))
def test_junk_opens_nothing(junk: str) -> None:
    """Whatever is in a cookie, a link or a form."""
    session = ACCESS.session(COOKIE)
    assert session is not None

    assert (ACCESS.session(junk), ACCESS.enter(junk), ACCESS.by_token(junk)) == (None, None, None)
    assert not ACCESS.is_proof(session, junk)


COOKIE = ACCESS.begin(ALICE)


@given(st.integers(0, len(COOKIE) - 1), st.characters(codec="ascii"))
def test_a_changed_cookie_is_none(at: int, character: str) -> None:
    """Each character of it counts, but for unused bits of the last one."""
    changed = COOKIE[:at] + character + COOKIE[at + 1 :]

    assert changed == COOKIE or at == len(COOKIE) - 1 or ACCESS.session(changed) is None


def test_failures_have_to_be_waited_for() -> None:
    """Ten are free; then one more for each half minute. Others are not concerned, nor is who got it right."""
    now = [1_000.0]
    throttle = RateLimit(lambda: now[0])
    for _ in range(FAILURES):
        assert throttle.wait_s("192.0.2.1") == 0
        throttle.failed("192.0.2.1")

    assert throttle.wait_s("192.0.2.1") == PAUSE_S
    assert throttle.wait_s("192.0.2.2") == 0
    now[0] += PAUSE_S
    assert throttle.wait_s("192.0.2.1") == 0
    throttle.failed("192.0.2.1")
    assert throttle.wait_s("192.0.2.1") == PAUSE_S
    throttle.succeeded("192.0.2.1")
    assert throttle.wait_s("192.0.2.1") == 0


def test_a_network_of_ipv6_counts_as_one() -> None:
    """Its owner has 2^64 addresses."""
    throttle = RateLimit(lambda: 0.0)
    for number in range(FAILURES):
        throttle.failed(f"2001:db8::{number:x}")

    assert throttle.wait_s("2001:db8::ffff") > 0
    assert throttle.wait_s("2001:db8:0:1::1") == 0


def test_many_addresses_help_nobody_and_fill_no_memory() -> None:
    """All together are slowed down, and what is remembered of them has a bound."""
    throttle = RateLimit(lambda: 0.0)
    for number in itertools.islice(itertools.count(), ADDRESSES * 2):
        throttle.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")

    assert throttle.wait_s("192.0.2.9") > 0
    assert len(throttle._owed) <= ADDRESSES
