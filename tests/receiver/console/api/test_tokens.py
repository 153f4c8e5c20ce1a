"""Tokens that are revoked, and tokens that are guessed, at a console of their own."""

from collections.abc import Iterator

import pytest

from tests.receiver.console.api.conftest import Api
from tests.receiver.console.house import House, built
from tests.support.http import Answer
from tests.support.processes import wait_until


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house without anything but a store."""
    with built(tmp_path_factory.mktemp("alone")) as house:
        yield house


def test_a_token_that_is_revoked_opens_nothing_any_more(alone: House) -> None:
    """After the console was restarted without it."""
    api = Api(alone, "", "", "", "")
    console = alone.console()
    assert api.get("/task") == {"progress": None}
    console.end()
    alone.settings["FRONTDESK_ADMIN_TOKEN"] = "alice=another-token-of-alice"
    alone.console()

    wait_until(lambda: api.call("GET", "/task").status == 401, "the token to be refused")
    assert api.get("/task", token="another-token-of-alice") == {"progress": None}


def test_guessing_tokens_is_slowed_down_and_the_right_one_never_waits(alone: House) -> None:
    """The same count as for signing in."""
    alone.console()
    api = Api(alone, "", "", "", "")

    def guesses() -> Iterator[Answer]:
        for number in range(60):
            yield api.call("GET", "/task", token=f"wrong-{number}")

    refused = next(answer for answer in guesses() if answer.status == 429)

    assert int(refused.headers["retry-after"]) > 0
    assert refused.json()["where"] == "authorization"
    assert api.get("/task") == {"progress": None}
