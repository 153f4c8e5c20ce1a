"""`frontdesk pause` and `resume`, as an operator calls them, and what `routes`, `events` and `acts` say of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import redis

from receiver.storage.redis import connection, keys
from tests.support.events import entry, keep_all
from tests.support.processes import Ran, run

ROUTES = """\
routes:
  - {name: doors, action: "Booking*", handler: log, order: entity, concurrency: 4, limit: 100/m}
  - {name: crm, action: "Booking*", handler: log, order: data.Owner, debounce: 30s}
"""


class House:
    """A folder with a routing file, and a store."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self.client: redis.Redis = connection.connect(redis_url)
        self._settings = {"FRONTDESK_REDIS_URL": redis_url}
        self.write(ROUTES)

    def write(self, routes: str) -> None:
        """Write the routing file."""
        (self.folder / "routes.yaml").write_text(routes)

    def run(self, *arguments: str) -> Ran:
        """Run a command."""
        return run(*arguments, settings=self._settings, cwd=self.folder)

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a command that prints one object a line."""
        ran = self.run(*arguments, "--json")
        assert ran.status == 0, ran.err
        return [json.loads(line) for line in ran.out.splitlines()]


@pytest.fixture
def house(tmp_path: Path, redis_url: str) -> House:
    """A house with an empty store."""
    return House(tmp_path, redis_url)


def test_a_pause_is_an_act_that_is_seen_everywhere(house: House) -> None:
    """Twice is once. What waits says so; `resume` takes it back."""
    one = entry(routes=["doors"])
    keep_all(house.client, one)

    assert house.run("pause", "doors").out == "doors is paused.\n"
    assert house.lines("pause", "doors") == [{"route": "doors", "paused": True, "changed": False}]
    doors, crm = house.lines("routes")
    assert (doors["state"], doors["order"], doors["concurrency"], doors["limit"]) == ("paused", "entity", 4, "100/m")
    assert doors["waiting"] == 1, "although no worker runs, which would hold it"
    assert "@" in doors["paused_by"]
    assert (crm["state"], crm["waiting"], crm["debounce"], crm["paused_by"]) == ("open", 0, "30s", None)
    (event,) = house.lines("events", "--status", "in_flight")
    assert event["deliveries"][0]["waits_for"] == "pause"

    assert house.lines("resume", "doors") == [{"route": "doors", "paused": False, "changed": True}]
    assert house.run("resume", "doors").out == "doors was not paused.\n"
    assert [act["what"] for act in house.lines("acts")] == ["resume", "pause"]
    assert house.client.exists(keys.PAUSED) == 0


def test_only_a_route_of_the_table_is_paused(house: House) -> None:
    """Another name is refused with the nearest right one; nothing is recorded."""
    ran = house.run("pause", "dors")

    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "frontdesk: pause: routes.yaml has no route 'dors'; did you mean 'doors'?\n"
    assert house.run("resume", "cmr").err == "frontdesk: resume: no route 'cmr' is paused\n"
    assert house.lines("acts") == []


def test_a_paused_route_that_is_deleted_stays_paused_and_can_be_resumed(house: House) -> None:
    """`routes` says loudly that it is there; a second pause is refused, because the route is not."""
    house.run("pause", "doors")
    house.write("routes: [{name: crm, action: BookingCreate, handler: log}]")

    listed = house.run("routes")
    assert (listed.status, "'doors' is paused and not in routes.yaml" in listed.err.replace("\n", " ")) == (0, True)
    assert house.run("pause", "doors").status == 1
    assert house.run("resume", "doors").out == "doors is resumed.\n"
    assert house.run("routes").err == ""


def test_a_key_that_cannot_be_worked_out_is_explained(house: House) -> None:
    """The delivery runs for itself; `routes explain` says why."""
    (house.folder / "one.json").write_text('{"Id": 5, "Name": "no owner"}')

    (explained,) = house.lines("routes", "explain", "BookingCreate", "one.json")

    assert [(one["route"], one["matched"], one["no_key"]) for one in explained["routes"]] == [
        ("doors", True, None),
        ("crm", True, "there is no 'Owner' in it"),
    ]
