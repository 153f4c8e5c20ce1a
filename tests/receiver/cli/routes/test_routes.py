"""`frontdesk routes` in a real process: the table, why an event goes where it goes, the schema."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from receiver.storage.redis import connection
from tests.support import processes
from tests.support.events import entry, keep_all

ROUTES = """\
routes:
  - {name: dear, action: "Booking*", handler: log, where: data.Price > 100}
  - {name: doors, action: [BookingCreate, BookingDelete], business: [1002, 1001], handler: "door:open", queue: doors}
  - {name: "off", action: "*", handler: log, enabled: false, retry: []}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a routing file."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    return tmp_path


def routes(folder: Path, *arguments: str, **settings: str) -> processes.Ran:
    return processes.run("routes", *arguments, settings=settings, cwd=folder)


def objects(ran: processes.Ran) -> list[dict[str, Any]]:
    assert ran.status == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def test_the_routes_are_listed(folder: Path) -> None:
    """As a table, and as one object a line with the file's own words."""
    table = routes(folder).out.splitlines()

    assert table[0].split() == ["name", "action", "business", "handler", "queue", "enabled"]
    assert table[2].split() == [
        "doors",
        "BookingCreate,",
        "BookingDelete",
        "1001,",
        "1002",
        "door:open",
        "doors",
        "yes",
    ]
    assert table[3].split()[-1] == "no"
    dear, doors, off = objects(routes(folder, "--json"))
    now = ("state", "waiting", "paused_at", "paused_by", "down_since", "told_to_wait_until")
    assert {doors.pop(name) for name in now} == {None}  # there is no store to ask
    expected: dict[str, object] = {
        "name": "doors",
        "action": ["BookingCreate", "BookingDelete"],
        "business": [1001, 1002],
        "where": None,
        "handler": "door:open",
        "queue": "doors",
        "timeout": "30s",
        "retry": ["10s", "1m", "10m", "1h", "6h"],
        "enabled": True,
        "shadow": False,
        "nexudus": "read",
        **dict.fromkeys(("order", "debounce", "delay", "limit", "concurrency", "per", "max_age")),
        "give_up": "3d",
        "at": None,
        "enrich": {},
        "cancelled_by": [],
        "line": 3,
    }
    assert doors == expected
    assert (dear["where"], dear["business"], off["enabled"], off["retry"]) == ("data.Price > 100", None, False, [])


def test_no_routes_are_said_in_a_sentence(folder: Path) -> None:
    """And are nothing with --json."""
    (folder / "routes.yaml").write_text("routes: []")

    assert routes(folder).out == "routes.yaml has no routes: events are kept, and none is handled.\n"
    assert routes(folder, "--json").out == ""


def test_a_wrong_file_is_told_with_all_its_problems(folder: Path) -> None:
    """As `check` tells them."""
    (folder / "routes.yaml").write_text("routes:\n  - {hander: log, action: BookingCraete}\n")

    ran = routes(folder)

    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("frontdesk: routes.yaml:2: ")
    assert "'handler'?" in ran.err
    assert "'BookingCreate'?" in ran.err


def test_explain_a_record_in_a_file(folder: Path) -> None:
    """One answer for each record; which location it came from is asked for, because a route wants to know."""
    (folder / "one.json").write_text('{"Id": 1, "Price": 150}')
    (folder / "two.json").write_text('[{"Id": 1, "Price": 50}, {"Id": 2}]')

    (one,) = objects(routes(folder, "explain", "BookingCreate", "one.json", "--business", "1003", "--json"))
    cheap, priceless = objects(routes(folder, "explain", "BookingUpdate", "two.json", "--business", "1", "--json"))

    assert (one["action"], one["business_id"]) == ("BookingCreate", 1003)
    told = ("route", "matched", "why_not", "failed", "shadow")
    assert [{name: each[name] for name in told} for each in one["routes"]] == [
        {"route": "dear", "matched": True, "why_not": None, "failed": False, "shadow": False},
        {
            "route": "doors",
            "matched": False,
            "why_not": "it wants business 1001, 1002, not 1003",
            "failed": False,
            "shadow": False,
        },
        {
            "route": "off",
            "matched": False,
            "why_not": "the route is not enabled",
            "failed": False,
            "shadow": False,
        },
    ]
    assert cheap["routes"][0]["why_not"] == "its filter is false: data.Price > 100"
    assert priceless["routes"][0]["failed"]
    table = routes(folder, "explain", "BookingCreate", "one.json", "--business", "1001").out
    assert [line.split()[:2] for line in table.splitlines()[1:]] == [["dear", "yes"], ["doors", "yes"], ["off", "no"]]


def test_explain_without_a_location_where_nobody_asks_for_it(folder: Path) -> None:
    """Then any will do."""
    (folder / "routes.yaml").write_text("routes: [{action: '*', handler: log}]")
    (folder / "one.json").write_text("{}")

    assert objects(routes(folder, "explain", "BookingCreate", "one.json", "--json"))[0]["routes"][0]["matched"]


def test_explain_without_a_location_takes_one_that_the_file_names(folder: Path) -> None:
    """`routes explain ACTION FILE` answers, and says what it took for granted."""
    (folder / "one.json").write_text('{"Id": 1, "Price": 150}')

    ran = routes(folder, "explain", "BookingCreate", "one.json", "--json")

    (one,) = objects(ran)
    assert (one["business_id"], one["routes"][1]["matched"]) == (1001, True)
    assert "explained for business 1001; --business selects another one" in ran.err


def test_explain_names_the_location(folder: Path) -> None:
    """Beside its number, in the sentence and in JSON."""
    (folder / "routes.yaml").write_text(f"locations: {{1001: {{name: Soho}}}}\n{ROUTES}")
    (folder / "one.json").write_text('{"Id": 1, "Price": 150}')

    ran = routes(folder, "explain", "BookingCreate", "one.json", "--json")

    assert (objects(ran)[0]["business_id"], objects(ran)[0]["business"]) == (1001, "Soho")
    assert "explained for business 1001 Soho; --business" in ran.err


def test_explain_an_event_that_is_kept(folder: Path, redis_url: str) -> None:
    """With its own location, read from the store by its id."""
    with connection.connect(redis_url) as client:
        event_id, quarantined = _keep(client)

    (one,) = objects(routes(folder, "explain", "BookingCreate", event_id, "--json", FRONTDESK_REDIS_URL=redis_url))
    refused = routes(folder, "explain", "BookingCreate", quarantined, FRONTDESK_REDIS_URL=redis_url)
    unknown = routes(folder, "explain", "BookingCreate", "0" * 20, FRONTDESK_REDIS_URL=redis_url)

    (alone,) = objects(routes(folder, "explain", event_id, "--json", FRONTDESK_REDIS_URL=redis_url))
    assert one["business_id"] == 1001
    assert [each["matched"] for each in one["routes"]] == [True, True, False]
    assert alone == one, "its own action is known; it need not be said"
    assert (refused.status, unknown.status) == (1, 1)
    assert "is quarantined (no JSON); it holds no record to route" in refused.err
    assert "is not kept" in unknown.err


def _keep(client: redis.Redis) -> tuple[str, str]:
    kept = entry(b'{"Id":1,"Price":150}', business_id=1001)
    aside = entry(b"[no json", routes=(), quarantine="no JSON")
    keep_all(client, kept, aside)
    return kept.envelope.id, aside.envelope.id


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["BookingCreate", "nowhere.json"], "nowhere.json is neither a file nor the id of an event"),
        (["BookingCreate", "bad.json", "--business", "1"], "bad.json: is not JSON: "),
        (["BookingCreate", "list.json", "--business", "1"], "list.json: holds no record"),
        (["BookingCreate", "empty.json", "--business", "1"], "empty.json: holds no record"),
        (["BookingCreate", "large.json", "--business", "1"], "large.json: is larger than 1048576 bytes"),
        (["BookingCreate"], "FILE|EVENT_ID"),
        (["BookingCreate", "one.json", "--business", "x"], "business"),
    ],
)
def test_explain_says_what_it_cannot_read(folder: Path, arguments: list[str], sentence: str) -> None:
    """One sentence, exit status 1."""
    (folder / "bad.json").write_text("{")
    (folder / "list.json").write_text("[1]")
    (folder / "empty.json").write_text("[]")
    (folder / "one.json").write_text("{}")
    (folder / "large.json").write_text(" " * 1_048_577)

    ran = routes(folder, "explain", *arguments)

    assert (ran.status, ran.out) == (1, "")
    assert sentence in ran.err
    assert "Traceback" not in ran.err


def test_explain_warns_of_an_action_that_nobody_knows(folder: Path) -> None:
    """And answers all the same: Nexudus may add one tomorrow."""
    (folder / "one.json").write_text('{"Price": 150}')

    ran = routes(folder, "explain", "BookingCraete", "one.json", "--business", "1", "--json")

    assert "did you mean 'BookingCreate'?" in ran.err
    assert [each["matched"] for each in objects(ran)[0]["routes"]] == [True, False, False]


def test_the_schema_is_printed_as_json(folder: Path) -> None:
    """Without a routing file, too."""
    (folder / "routes.yaml").unlink()

    assert json.loads(routes(folder, "schema").out)["properties"]["routes"]["type"] == "array"


NEXT = """\
routes:
  - {name: dear, action: "Booking*", handler: log, where: data.Price > 10}
  - {name: doors, action: BookingCreate, business: 1002, handler: "door:open", queue: fast}
"""


def test_diff_shows_what_would_be_handled_otherwise(folder: Path, redis_url: str) -> None:
    """Of the events that are kept, in the time asked for; nothing is delivered."""
    (folder / "next.yaml").write_text(NEXT)
    old = time.time() - 9 * 86_400
    with connection.connect(redis_url) as client:
        cheap, door = entry(b'{"Id":1,"Price":50}', business_id=1003), entry(b'{"Id":2}', business_id=1001)
        ancient = entry(b'{"Id":3,"Price":50}', business_id=1003, at=old)
        keep_all(client, ancient, cheap, door, entry(b"[no json", quarantine="no JSON"))
    settings = {"FRONTDESK_REDIS_URL": redis_url}

    (shown,) = objects(routes(folder, "diff", "next.yaml", "--json", **settings))
    (longer,) = objects(routes(folder, "diff", "next.yaml", "--since", "30d", "--json", **settings))
    table = routes(folder, "diff", "next.yaml", **settings)
    same = routes(folder, "diff", "routes.yaml", **settings)

    dear, doors, off = shown["routes"]
    assert (shown["events"], shown["skipped"], shown["same"]) == (2, 1, False)
    assert (dear["before"], dear["after"], dear["gained"]["examples"]) == (0, 1, [cheap.envelope.id])
    assert (doors["lost"]["examples"], doors["changed"], dear["failed"]) == ([door.envelope.id], ["queue"], 1)
    assert (off["is"], off["before"]) == ("gone", 0)
    assert shown["newly_handled"] == {"count": 1, "examples": [cheap.envelope.id]}
    assert shown["no_longer_handled"] == {"count": 1, "examples": [door.envelope.id]}
    assert longer["routes"][0]["gained"]["count"] == 2
    assert f"doors would no longer get: {door.envelope.id}" in table.out
    assert "1 that no route handles would be handled, and 1 that are handled now would no longer be" in table.out
    assert same.out.endswith("2 events (1 without a record were skipped) would go to the same routes as today.\n")


def test_diff_says_what_is_wrong_with_either_file(folder: Path, redis_url: str) -> None:
    """Each problem with its own file."""
    (folder / "next.yaml").write_text("routes:\n  - {handler: log}\n")

    wrong = routes(folder, "diff", "next.yaml", FRONTDESK_REDIS_URL=redis_url)
    missing = routes(folder, "diff", "nowhere.yaml", FRONTDESK_REDIS_URL=redis_url)

    assert (wrong.status, missing.status) == (1, 1)
    assert "next.yaml:2: a route needs `action`" in wrong.err
    assert "nowhere.yaml: cannot be read" in missing.err
