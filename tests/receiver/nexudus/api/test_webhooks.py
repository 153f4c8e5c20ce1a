"""The API client against the simulator in a process of its own: pages, faults, tokens, strange answers."""

from collections.abc import Iterator

import pytest

from receiver.core.errors import CredentialsRefused, NexudusError
from receiver.nexudus.api.client import Client
from receiver.nexudus.api.oauth import BearerToken, Password
from receiver.nexudus.api.webhooks import Webhooks
from tests.support.nexudus import DEMO, CountingBudget, SimulatedNexudus

RECORD = {"BusinessId": 1001, "Name": "n", "Action": 6, "URL": "https://a.example/", "Description": "d", "Active": True}


@pytest.fixture
def webhooks(nexudus: SimulatedNexudus) -> Iterator[Webhooks]:
    """A client signed in by password."""
    with nexudus.client() as client:
        yield Webhooks(client)


def test_records_are_created_read_listed_updated_deleted(webhooks: Webhooks) -> None:
    """The five calls; a row of the list lacks the description, the record has it."""
    number = webhooks.create(RECORD)
    assert number is not None
    whole = webhooks.get(number)
    webhooks.update(dict(whole.record) | {"Name": "other"})
    listed = webhooks.list()
    webhooks.delete(number)

    assert [(one.id, one.name, one.active, one.action_code) for one in listed] == [(number, "other", True, 6)]
    assert (whole.record["Description"], "Description" in listed[0].record) == ("d", False)
    assert webhooks.list() == ()


def test_put_clears_what_is_not_sent(webhooks: Webhooks) -> None:
    """Why we always send the whole record."""
    number = webhooks.create(RECORD)
    assert number is not None

    webhooks.update({"Id": number} | {name: RECORD[name] for name in ("BusinessId", "Name", "Action", "URL")})

    whole = webhooks.get(number)
    assert (whole.record["Description"], whole.active) == (None, False)


def test_an_unknown_id_is_an_error_after_few_tries(nexudus: SimulatedNexudus) -> None:
    """Nexudus answers 500 with HTML for it, as for a fault."""
    budget = CountingBudget()
    with nexudus.client(budget) as client, pytest.raises(NexudusError, match="500 to GET .*/4711: a page of HTML") as e:
        Webhooks(client).get(4711)

    assert (e.value.status, budget.calls) == (500, 4)


def test_a_validation_error_carries_its_properties(webhooks: Webhooks) -> None:
    """`Errors[].PropertyName`."""
    with pytest.raises(NexudusError, match="400 to POST /api/sys/webhooks: Name: is a required field") as caught:
        webhooks.create(RECORD | {"Name": ""})

    assert caught.value.properties == {"Name": "is a required field"}


def test_pages_that_repeat_themselves_are_found_out(webhooks: Webhooks, nexudus: SimulatedNexudus) -> None:
    """A server that always has a next page, and always the same, does not hold us for ever."""
    webhooks.create(RECORD)
    nexudus.turn(repeat_pages=True)

    with pytest.raises(NexudusError, match="repeats itself in the pages of GET /api/sys/webhooks"):
        webhooks.list()


def test_tokens_end_and_are_renewed(webhooks: Webhooks, nexudus: SimulatedNexudus) -> None:
    """401 in the middle of the work: one new token, and the call is made again."""
    webhooks.list()
    before = nexudus.state()["grants"]
    nexudus.end_tokens()

    assert webhooks.list() == ()
    assert nexudus.state()["grants"] == before + 1


def test_refused_credentials_are_asked_with_once(nexudus: SimulatedNexudus) -> None:
    """An account is locked after a few wrong passwords."""
    budget = CountingBudget()
    with (
        nexudus.client(budget, Password("demo@example.com", "hush", "id")) as client,
        pytest.raises(CredentialsRefused, match="refused the credentials") as caught,
    ):
        Webhooks(client).list()

    assert budget.calls == 1
    assert "hush" not in str(caught.value)


def test_a_wrong_bearer_token_is_an_error_that_does_not_show_it(nexudus: SimulatedNexudus) -> None:
    """There is nothing to renew it with."""
    with nexudus.client(credentials=BearerToken("hush")) as client, pytest.raises(NexudusError, match="401") as caught:
        Webhooks(client).list()

    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("fault", ["error", "html", "cut", "lost_answer"])
def test_a_create_without_an_answer_is_not_repeated(webhooks: Webhooks, nexudus: SimulatedNexudus, fault: str) -> None:
    """It may have been carried out."""
    webhooks.list()
    nexudus.turn(next=[fault])

    with pytest.raises(NexudusError, match="POST /api/sys/webhooks") as caught:
        webhooks.create(RECORD)

    assert caught.value.status in (0, 500)
    assert len(nexudus.hooks()) == (fault == "lost_answer")


def test_a_throttled_create_is_repeated(webhooks: Webhooks, nexudus: SimulatedNexudus) -> None:
    """409 with Retry-After: it was not carried out."""
    webhooks.list()
    nexudus.turn(next=["throttle", "throttle"], retry_after_s=0)

    webhooks.create(RECORD)

    assert len(nexudus.hooks()) == 1


def test_retry_after_is_honoured(nexudus: SimulatedNexudus) -> None:
    """What Nexudus asks for is waited, a little more, and not less."""
    pauses: list[float] = []
    nexudus.turn(next=["throttle"], retry_after_s=3)
    with nexudus.client(sleep=pauses.append) as client:
        Webhooks(client).list()

    assert len(pauses) == 1
    assert 3 <= pauses[0] < 3.1


def test_the_wait_that_429_has_in_its_body_is_honoured(nexudus: SimulatedNexudus) -> None:
    """It has no header."""
    pauses: list[float] = []
    nexudus.turn(next=["throttle_429"], retry_after_s=7.5)
    with nexudus.client(sleep=pauses.append) as client:
        Webhooks(client).list()

    assert len(pauses) == 1
    assert 7.5 <= pauses[0] < 7.6


def test_a_minute_of_throttling_is_waited_out(nexudus: SimulatedNexudus) -> None:
    """Others use the account too: when its minute is used up, `Retry-After` says one second again and again."""
    pauses: list[float] = []
    nexudus.turn(next=["throttle"] * 10, retry_after_s=1)
    with Client(nexudus.url, DEMO, CountingBudget(), sleep=pauses.append) as client:
        assert Webhooks(client).list() == ()

    assert len(pauses) == 10
    assert all(pause >= 1 for pause in pauses)
    assert sum(pauses) >= 60


def test_throttling_without_an_end_ends(nexudus: SimulatedNexudus) -> None:
    """With one sentence."""
    nexudus.turn(throttle_rate=1)

    with nexudus.client() as client, pytest.raises(NexudusError, match="409 .* asks us to slow down") as caught:
        Webhooks(client).list()

    assert caught.value.throttled


def test_businesses_and_actions(webhooks: Webhooks) -> None:
    """Locations by id, and the table as Nexudus has it."""
    actions = webhooks.actions()

    assert dict(webhooks.businesses()) == {1001: "Location 1001", 1002: "Location 1002", 1003: "Location 1003"}
    assert actions is not None
    assert (len(actions), actions["HelDeskMessageCreated"]) == (90, 45)


def test_a_table_of_actions_that_does_not_come_is_no_error(webhooks: Webhooks, nexudus: SimulatedNexudus) -> None:
    """It is a check, not a need."""
    webhooks.list()
    nexudus.turn(next=["html"])

    assert webhooks.actions() is None
