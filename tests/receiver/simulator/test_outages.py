"""Hooks that are off for a while, disabled, deleted or failing: things happen all the same."""

from collections.abc import Iterator
from typing import Any

import pytest

from receiver.nexudus.api.webhooks import Webhooks
from receiver.simulator.account.tenant import Tenant
from receiver.simulator.outages import Outage, Outages
from tests.receiver.simulator.test_firing import Catcher
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import wait_until

HOOK = {"Name": "n", "URL": "https://a.example/", "Active": True}


def _tenant() -> Tenant:
    tenant = Tenant({1001: "One", 1002: "Two"})
    for business_id in (1001, 1002):
        for code in (6, 7):
            tenant.create(HOOK | {"BusinessId": business_id, "Action": code})
    return tenant


@pytest.mark.parametrize(
    ("only", "off"),
    [
        ({}, 4),
        ({"businesses": [1001]}, 2),
        ({"actions": ["BookingCreate"]}, 2),
        ({"businesses": [1001], "actions": ["BookingUpdate"]}, 1),
    ],
)
def test_an_outage_concerns_what_it_names(only: dict[str, Any], off: int) -> None:
    """Locations, actions, both, or everything."""
    tenant = _tenant()
    outages = Outages(tenant)

    outages.begin(Outage(how="disable", **only))

    assert [hook["Active"] for hook in tenant.hooks.values()].count(False) == off
    assert sum(outages.silences(hook) for hook in tenant.hooks.values()) == off
    outages.end()
    assert not any(outages.silences(hook) for hook in tenant.hooks.values())
    assert [hook["Active"] for hook in tenant.hooks.values()].count(False) == off, "nobody enables them"


def test_deleted_hooks_are_gone(nexudus: SimulatedNexudus) -> None:
    """Those that somebody makes anew, too, until it is over."""
    with nexudus.client() as client:
        hooks = Webhooks(client)
        hooks.create(HOOK | {"BusinessId": 1001, "Action": 6})
        nexudus.begin_outage(how="delete")
        assert nexudus.hooks() == []
        hooks.create(HOOK | {"BusinessId": 1001, "Action": 6})
        wait_until(lambda: nexudus.hooks() == [], "the new hook to be deleted")
        nexudus.end_outage()
        hooks.create(HOOK | {"BusinessId": 1001, "Action": 6})

    assert len(nexudus.hooks()) == 1


def _register(nexudus: SimulatedNexudus, url: str) -> int:
    with nexudus.client() as client:
        number = Webhooks(client).create(HOOK | {"BusinessId": 1001, "Action": 6, "URL": url})
    assert number is not None
    return number


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    """A server that takes everything."""
    started = Catcher()
    yield started
    started.close()


def test_what_happens_while_hooks_are_off_is_lost_to_them_and_known(
    nexudus: SimulatedNexudus, catcher: Catcher
) -> None:
    """Enabled again meanwhile, a hook is silent still; the list tells what it did not hear."""
    number = _register(nexudus, catcher.url)
    nexudus.begin_outage(seconds=600, how="disable")
    assert nexudus.fire(1001, "BookingCreate") == 0
    nexudus.edit(number, Active=True)
    assert nexudus.fire(1001, "BookingCreate") == 0
    wait_until(lambda: not nexudus.hooks()[0]["Active"], "the hook to be disabled again")

    nexudus.end_outage()
    nexudus.edit(number, Active=True)
    assert nexudus.fire(1001, "BookingCreate") == 1

    wait_until(lambda: len(catcher.caught) == 1, "the third event")
    assert [one["posts"] for one in nexudus.happened()] == [0, 0, 1]
    assert nexudus.state()["outage"] == {"seconds": 0}


def test_errors_are_counted_and_what_failed_is_lost(nexudus: SimulatedNexudus, catcher: Catcher) -> None:
    """The hook stays active until the tenth."""
    _register(nexudus, catcher.url)
    nexudus.begin_outage(seconds=600, how="errors")

    nexudus.fire(1001, "BookingCreate", 3)

    wait_until(lambda: nexudus.hooks()[0]["ErrorCount"] == 3, "three strikes")
    (hook,) = nexudus.hooks()
    assert (hook["Active"], hook["LastError"]) == (True, "Unable to connect to the remote server")
    nexudus.end_outage()
    nexudus.fire(1001, "BookingCreate")
    wait_until(lambda: nexudus.hooks()[0]["ErrorCount"] == 0, "a success")
    assert len(catcher.caught) == 1


def test_by_itself_life_goes_on_while_hooks_are_off(nexudus: SimulatedNexudus, catcher: Catcher) -> None:
    """What had a hook once goes on happening; nobody hears of it."""
    _register(nexudus, catcher.url)
    nexudus.begin_outage(seconds=600, how="delete")
    nexudus.turn(events_per_second=100)

    told = wait_until(lambda: told if len(told := nexudus.happened()) >= 5 else None, "five events")

    assert {(one["business_id"], one["action"], one["posts"]) for one in told} == {(1001, "BookingCreate", 0)}
    assert catcher.caught == []


def test_an_outage_ends_by_itself(nexudus: SimulatedNexudus) -> None:
    """After its time."""
    nexudus.begin_outage(seconds=0.2)
    assert nexudus.state()["outage"]["how"] == "disable"

    wait_until(lambda: nexudus.state()["outage"] == {"seconds": 0}, "the end")
