"""Tokens: got by password, renewed before they expire, one request at a time."""

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from receiver.core.errors import CredentialsRefused, NexudusError
from receiver.nexudus.api import oauth
from receiver.nexudus.api.oauth import Password, PasswordTokens


class Endpoint:
    """A token endpoint that counts, and refuses refresh tokens when told to."""

    def __init__(self, lifetime: object = 1_000) -> None:
        self.forms: list[dict[str, str]] = []
        self.client_ids: set[str] = set()
        self.refuses_refresh = False
        self._lifetime = lifetime

    def __call__(self, form: Mapping[str, str], headers: Mapping[str, str]) -> Any:
        """Answer."""
        self.forms.append(dict(form))
        self.client_ids.add(headers["client_id"])
        if self.refuses_refresh and form["grant_type"] == "refresh_token":
            raise CredentialsRefused("no", status=400)
        number = len(self.forms)
        return {"access_token": f"a{number}", "refresh_token": f"r{number}", "expires_in": self._lifetime}

    @property
    def kinds(self) -> list[str]:
        """The grants asked for."""
        return [form["grant_type"] for form in self.forms]


def _tokens(endpoint: Endpoint, now: list[float]) -> PasswordTokens:
    return PasswordTokens(Password("user", "pass", "frontdesk-7"), endpoint, now=lambda: now[0])


def test_a_token_is_renewed_before_it_expires() -> None:
    """60 s before, or a tenth of its life when that is shorter; with the refresh token, under our client id."""
    endpoint, now = Endpoint(), [0.0]
    tokens = _tokens(endpoint, now)

    first = tokens.current()
    now[0] = 939.0
    still = tokens.current()
    now[0] = 940.0
    renewed = tokens.current()

    assert (first, still, renewed) == ("a1", "a1", "a2")
    assert endpoint.forms[1] == {"grant_type": "refresh_token", "refresh_token": "r1"}
    assert endpoint.client_ids == {"frontdesk-7"}


def test_a_refused_refresh_falls_back_to_the_password() -> None:
    """A sibling with our client id refreshed: its refresh ended ours."""
    endpoint, now = Endpoint(), [0.0]
    tokens = _tokens(endpoint, now)
    tokens.current()
    endpoint.refuses_refresh = True

    assert tokens.after_refusal("a1") == "a3"
    assert endpoint.kinds == ["password", "refresh_token", "password"]


def test_many_threads_renew_once() -> None:
    """Twenty threads are told 401 for the same token; one asks, the others take what it got."""
    endpoint, now = Endpoint(), [0.0]
    tokens = _tokens(endpoint, now)
    tokens.current()
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(tokens.after_refusal("a1"))) for _ in range(20)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert got == ["a2"] * 20
    assert len(endpoint.forms) == 2


@pytest.mark.parametrize("lifetime", [None, "soon", -1, True])
def test_an_odd_lifetime_is_taken_for_a_short_one(lifetime: object) -> None:
    """Do not assume more than minutes."""
    endpoint, now = Endpoint(lifetime), [0.0]
    tokens = _tokens(endpoint, now)
    tokens.current()
    now[0] = 600.0

    assert tokens.current() == "a2"


@pytest.mark.parametrize("answer", [None, [], {}, {"access_token": ""}, {"access_token": 7}, {"access_token": "é"}])
def test_an_answer_without_a_token_is_an_error(answer: object) -> None:
    """Whatever answers there is not Nexudus."""
    tokens = PasswordTokens(Password("user", "pass", "id"), lambda _form, _headers: answer)

    with pytest.raises(NexudusError, match="without one; is FRONTDESK_NEXUDUS_URL right"):
        tokens.current()


def test_totp_codes_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B, the last six digits; a code is sent as it is."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

    assert [oauth.totp_code(secret, at) for at in (59, 1_111_111_109, 2_000_000_000)] == ["287082", "081804", "279037"]
    assert oauth.totp_code("gezd gnbv gy3t qojq gezd gnbv gy3t qojq", 59) == "287082"
    assert oauth.totp_code("123456", 59) == "123456"
    with pytest.raises(NexudusError, match="FRONTDESK_NEXUDUS_TOTP is neither"):
        oauth.totp_code("not base32!", 0)


def test_secrets_do_not_show() -> None:
    """Neither in a repr nor in a traceback's locals."""
    assert "hush" not in repr(Password("user", "hush", "id", totp="hush")) + repr(oauth.BearerToken("hush"))
