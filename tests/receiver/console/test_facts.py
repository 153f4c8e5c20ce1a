"""What the pages tell, compared with what is known to have happened."""

import http.client
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from receiver.console.asgi import OPERATIONS
from receiver.console.pages.overview import KINDS, SPANS
from tests.receiver.console.house import ADMIN, House
from tests.support.processes import wait_until


@pytest.fixture(scope="module")
def known(house: House) -> dict[str, Any]:
    """One event of each kind; their ids."""
    found = {
        "well": house.post("BookingCreate", number=1, business_id=1002),
        "dead": house.post("TeamCreated", number=1),
        "forged": house.post_forged("CoworkerUpdate"),
    }
    assert house.post("BookingCreate", number=1, business_id=1002) == found["well"], "a duplicate"
    house.wait_for_status(found["dead"], "dead")
    house.wait_for_status(found["well"], "succeeded")
    return found


@pytest.mark.parametrize("span", list(SPANS))
def test_the_overview_counts_what_happened(house: House, known: dict[str, str], span: str) -> None:
    """Over each span: events by outcome, the time they took, queues, workers, hooks, and what is wrong in sentences."""

    def look() -> Any:
        facts = house.facts(f"/overview?span={span}")
        return facts if facts["hooks"] and facts["unaccounted"] is not None else None

    told = wait_until(look, "the hooks and the audit to be looked at", timeout_s=60)

    sums = {kind: sum(bucket[kind] for bucket in told["buckets"]) for kind in KINDS}
    assert (told["received"], sums) == (3, {"well": 1, "dead": 1, "unrouted": 0, "quarantined": 1})
    assert told["counters"]["duplicates"] == 1
    assert (told["standing"]["dead"], told["standing"]["quarantined"]) == (1, 1)
    assert told["latency"]["events"] == 3
    assert all(isinstance(told["latency"][what]["p99"], int) for what in ("wait", "run"))
    assert {queue["name"] for queue in told["queues"]} >= {"doors", "default"}
    assert (told["waiting"], told["workers"], told["spooled"], told["unaccounted"]) == (0, 1, 0, 0)
    assert told["hooks"]["trouble"] == 178, "none of those that routes.yaml asks for is there"
    wrong = " ".join(one["text"] for one in told["trouble"])
    assert "178 hooks at Nexudus need attention." in wrong
    assert "1 event with a dead delivery." in wrong
    assert "1 request in quarantine." in wrong
    assert {one["business_id"] for one in told["businesses"]} == {1001, 1002}


def test_the_timeline_says_all_that_became_of_an_event(house: House, known: dict[str, str]) -> None:
    """Received, verified how, seen before or not, routed to whom, each attempt with its error and how long it took."""
    dead, forged = (house.facts(f"/events/{known[name]}") for name in ("dead", "forged"))

    assert [step["what"] for step in dead["timeline"]][:4] == ["received", "verified", "kept", "routed"]
    said = {step["what"]: step["said"] for step in dead["timeline"]}
    assert "the signature matched" in said["verified"]
    assert "no identical request came before it" in said["kept"]
    assert said["routed"].startswith("2 deliveries by table ")
    failed = [step for step in dead["timeline"] if step["what"] == "failed"]
    assert [step["said"] for step in failed] == [
        f"broken, attempt {number}: RuntimeError: the lights are out" for number in (1, 2)
    ]
    assert all(step["took_ms"] is not None and step["worker"] and step["at"] for step in failed)
    assert [step["what"] for step in forged["timeline"]] == ["received", "verified", "quarantined"]
    assert forged["timeline"][-1]["said"] == "X-Nexudus-Hook-Signature does not match"


def test_it_is_said_of_each_route_why_it_wants_an_event_or_not(house: House, known: dict[str, str]) -> None:
    """By the first condition that fails."""
    explained = {one["route"]: one for one in house.facts(f"/events/{known['well']}")["explained"]}

    assert {name for name, one in explained.items() if one["matched"]} == {"everything", "announce-paid"}
    assert explained["never"]["why_not"] == "it wants CoworkerInvoice*, not BookingCreate"
    assert explained["broken"]["why_not"] == "it wants TeamCreated, not BookingCreate"


def test_routes_are_told_with_what_they_got(house: House, known: dict[str, str]) -> None:
    """This hour, which may have begun since the events came, and in the last day."""
    routes = {route["name"]: route for route in house.facts("/routes")["routes"]}

    assert {name: route["day"] for name, route in routes.items()} == {
        "everything": 2,
        "announce-paid": 1,
        "never": 0,
        "broken": 1,
    }
    assert all(route["hour"] in (0, route["day"]) for route in routes.values())


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"status": "dead"}, {"dead"}),
        ({"status": "succeeded"}, {"well"}),
        ({"status": "quarantined"}, {"forged"}),
        ({"route": "broken"}, {"dead"}),
        ({"route": "everything", "business": "1002"}, {"well"}),
        ({"action": "CoworkerUpdate", "status": "quarantined", "business": "1001"}, {"forged"}),
        ({"since": "1h", "until": "0s"}, {"well", "dead", "forged"}),
        ({"until": "1h"}, set()),
        ({"text": "no such text"}, set()),
    ],
    ids=lambda value: urlencode(value) if isinstance(value, dict) else "",
)
def test_events_are_found_by_every_filter(
    house: House, known: dict[str, str], query: dict[str, str], names: set[str]
) -> None:
    """Alone and together."""
    found = house.facts(f"/events?{urlencode(query)}")

    assert {event["id"] for event in found["events"]} == {known[name] for name in names}
    assert (found["more"], found["is_cut"]) == (None, False)


def test_what_comes_live_is_filtered_too(house: House, known: dict[str, str]) -> None:
    """A page that shows some of the events follows those."""
    client = http.client.HTTPConnection("127.0.0.1", int(house.settings["FRONTDESK_CONSOLE_PORT"]), timeout=30)
    client.request(
        "GET", "/console/events/live?action=BookingDelete&business=1002", headers={"Authorization": f"Bearer {ADMIN}"}
    )
    stream = client.getresponse()
    lines: Iterator[bytes] = iter(stream.readline, b"")
    assert next(line for line in lines if line.startswith(b": following"))

    others = [house.post("BookingDelete", number=10, business_id=1001), house.post("CoworkerDelete", number=10)]
    wanted = house.post("BookingDelete", number=11, business_id=1002)
    told = next(line for line in lines if line.startswith(b"data:"))

    assert wanted.encode() in told
    assert not [event for event in others if event.encode() in told]
    client.close()


ROUTE = "{name: tried, action: BookingCreate, handler: log}"


def test_every_act_is_kept_with_who_when_and_what(house: House, known: dict[str, str]) -> None:
    """All that the console can do, but for explaining, which changes and reveals nothing."""
    began = datetime.now(UTC)
    group = wait_until(lambda: house.facts("/failures")["groups"], "a group of failures")[0]["id"]
    done = {
        "/events/{event}/reveal": ("unmask", {"event": known["well"]}),
        "/events/{event}/replay": ("replay", {"event": known["well"]}),
        "/events/{event}/edit": ("edit", {"event": known["well"], "record": '{"Id": 1, "Online": true}'}),
        "/events/{event}/release": ("release", {"event": known["forged"]}),
        "/entities/{entity}/reveal": ("unmask", {"entity": "Booking:1"}),
        "/failures/{group}/acknowledge": ("failures.acknowledge", {"group": group, "reason": "known"}),
        "/failures/{group}/snooze": ("failures.snooze", {"group": group, "reason": "later"}),
        "/failures/{group}/try": ("replay", {"group": group}),
        "/failures/{group}/replay": ("replay", {"group": group}),
        "/routes/{route}/pause": ("pause", {"route": "never"}),
        "/routes/{route}/resume": ("resume", {"route": "never"}),
        "/replay": ("replay", {"action": "BookingCreate"}),
        "/stop": ("bulk.stop", {}),
        "/quarantine/release": ("release", {}),
        "/playground": ("unmask", {"yaml": ROUTE, "event": known["well"]}),
        "/playground/send": ("try", {"yaml": ROUTE, "action": "BookingCreate"}),
    }
    assert {act.path for act in OPERATIONS} == {*done, "/routes/explain", "/hooks/apply"}, "an act that nobody tests"

    for path, (_, values) in done.items():
        wait_until(lambda: any(one["dead"] for one in house.facts("/failures")["groups"]), "what is replayed to die")
        house.act(path.format(**values), **{name: text for name, text in values.items() if f"{{{name}}}" not in path})
        wait_until(lambda: not (house.facts("/dead")["progress"] or {}).get("is_running"), "the run to end")

    acts = [act for act in house.facts("/acts")["acts"] if act["who"] == "alice"][::-1]
    done_to_events = [act for act in acts if act["what"] != "search"]
    assert [act["what"] for act in done_to_events] == [what for what, _ in done.values()]
    assert all(began <= datetime.fromisoformat(act["at"]) <= datetime.now(UTC) for act in done_to_events)
    assert done_to_events[0]["detail"]["event_id"] == known["well"]
    log = house.folder / "console.log"
    wait_until(lambda: log.read_text().count('"event":"act.recorded"') == len(acts), "a line for each")


def test_workers_are_told_with_what_they_run(house: House, known: dict[str, str]) -> None:
    """Processes, since when, and the deliveries in their hands."""
    held = house.folder / "held"
    held.touch()
    try:
        event = house.post("CoworkerCheckin", number=20)
        (worker,) = wait_until(
            lambda: [one for one in house.facts("/workers")["workers"] if one["deliveries"]], "a worker to be at it"
        )
    finally:
        held.unlink()

    (delivery,) = worker["deliveries"]
    assert (delivery["event"], delivery["route"], delivery["attempt"]) == (event, "everything", 1)
    assert (worker["is_live"], worker["held"]) == (True, 1)
    assert datetime.fromisoformat(worker["since"]) <= datetime.now(UTC)
    house.wait_for_status(event, "succeeded")
    assert {queue["name"] for queue in house.facts("/workers")["queues"]} >= {"default", "doors"}
