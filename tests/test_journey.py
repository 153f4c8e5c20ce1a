"""The main job, end to end, in real processes: Nexudus posts; the event is kept, routed, handled, and can be found."""

import itertools
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from receiver.nexudus import samples
from tests.conftest import StartFrontdesk
from tests.support.journey import ROUTES, Journey
from tests.support.processes import run, wait_until


@pytest.fixture
def stack(tmp_path: Path, redis_url: str, frontdesk: StartFrontdesk) -> Journey:
    """A fresh stack; nothing runs yet."""
    return Journey(tmp_path, redis_url, frontdesk)


def _shape(value: Mapping[str, Any]) -> set[str]:
    return set(value)


def test_one_event_of_every_action_reaches_its_handler_and_its_record(stack: Journey) -> None:
    """All 89 actions, signed as Nexudus signs, through HTTP, the store, the queue and the workers."""
    receiver = stack.serve()
    worker = stack.start("work", "--processes", "2")

    for action in samples.names():
        assert stack.post(action) == 202
    events = stack.ended(89)

    assert sorted(event["action"] for event in events) == sorted(samples.names())
    assert Counter(event["status"] for event in events) == {"succeeded": 88, "dead": 1}
    by_id = {event["id"]: event for event in events}
    for seen in stack.seen():
        assert (seen["action"], seen["code"]) == (by_id[seen["id"]]["action"], by_id[seen["id"]]["action_code"])
    noted = Counter(seen["key"].partition("-")[2] for seen in stack.seen())
    assert noted["everything"] == 89
    assert noted["paid"] == sum("paid" in str(event["deliveries"]) for event in events)
    assert "never" not in noted
    assert receiver.stop() == 0
    assert worker.stop() == 0
    assert "Traceback" not in receiver.output + worker.output


def test_what_is_printed_has_the_published_keys(stack: Journey) -> None:
    """events, show and replay --json, as programs read them; a replay keeps the event, its key and its history."""
    stack.serve()
    stack.start("work")
    stack.lines("send", "TeamCreated")
    (event,) = stack.ended(1)

    assert _shape(event) >= {
        "id", "action", "action_code", "business_id", "received_at", "origin", "status", "deliveries",
    }  # fmt: skip
    assert (event["status"], event["origin"], event["business_id"]) == ("dead", "webhook", 1001)
    delivery = next(one for one in event["deliveries"] if one["route"] == "broken")
    assert _shape(delivery) >= {"id", "route", "status", "attempts", "next_attempt_at", "error"}
    assert (delivery["status"], delivery["attempts"]) == ("dead", 2)
    assert delivery["error"] == "RuntimeError: the lights are out"

    (shown,) = stack.lines("show", event["id"])
    assert _shape(shown) >= _shape(event) | {"data", "verified_by", "attempts"}
    assert shown["verified_by"] in ("raw", "dotnet-ascii")
    assert shown["data"]["Id"] > 0
    assert [one["outcome"] for one in shown["attempts"] if one["route"] == "broken"] == ["failed", "failed"]

    (stack.folder / "mended").touch()
    (replayed,) = stack.lines("replay", "--status", "dead", "--yes")
    assert (replayed["events"], replayed["deliveries"]) == (1, 1)
    (after,) = stack.ended(1)
    assert after["status"] == "succeeded"
    again = stack.seen()[-1]
    assert (again["key"], again["origin"]) == (f"{event['id']}-broken", "replay")


def test_events_are_found_by_what_they_are(stack: Journey) -> None:
    """Filters by action, business, route, status and time; newest first."""
    stack.serve()
    stack.lines("send", "BookingCreate", "--business", "1002")
    stack.lines("send", "VisitorRegistered", "--count", "3")

    assert [event["action"] for event in stack.lines("events")] == ["VisitorRegistered"] * 3 + ["BookingCreate"]
    assert len(stack.lines("events", "--action", "BookingCreate")) == 1
    assert len(stack.lines("events", "--business", "1001")) == 3
    assert len(stack.lines("events", "--route", "everything", "--since", "1h")) == 4
    assert stack.lines("events", "--until", "1h") == []
    assert len(stack.lines("events", "--status", "in_flight", "--limit", "2")) == 2
    wrong = run("events", "--status", "lost", settings=stack.settings)
    assert wrong.status == 1
    assert wrong.err.startswith("frontdesk: --status: 'lost' is not a status")


def test_what_cannot_be_read_or_verified_is_set_aside_and_shown(stack: Journey, tmp_path: Path) -> None:
    """A bad signature and a broken body are kept as they came, with the reason, and delivered to nobody."""
    stack.serve()
    broken = tmp_path / "broken.json"
    broken.write_bytes(b'[{"Id": 1, "FullName": "Ad')

    stack.lines("send", "CoworkerCreate", str(broken))
    stack.settings["FRONTDESK_WEBHOOK_SECRETS"] = "another"
    stack.lines("send", "CoworkerUpdate")

    forged, unreadable = stack.lines("events", "--status", "quarantined")
    assert (forged["action"], unreadable["action"]) == ("CoworkerUpdate", "CoworkerCreate")
    assert "does not match" in forged["reason"]
    assert "cannot be read" in unreadable["reason"]
    (shown,) = stack.lines("show", unreadable["id"])
    assert shown["body"].startswith('[{"Id": 1')
    assert shown["data"] is None


def test_the_same_request_twice_is_one_event(stack: Journey, tmp_path: Path) -> None:
    """Nexudus retries; clock-dependent fields and ticks differ, the event does not."""
    stack.serve()
    now = samples.WRITTEN
    first = samples.body("BookingCreate", now=now, number=1)
    file = tmp_path / "body.json"
    file.write_bytes(first)
    (one,) = stack.lines("send", "BookingCreate", str(file))
    file.write_bytes(first.replace(b'"MinutesToStart":', b'"MinutesToStart":1'))
    (two,) = stack.lines("send", "BookingCreate", str(file))

    (event,) = stack.lines("events")
    assert event["status"] == "in_flight"
    assert (one["events"], two["events"]) == ({"accepted": 1}, {"duplicate": 1})


def test_without_a_right_table_events_are_kept_and_can_be_replayed(stack: Journey) -> None:
    """Wrong routes never stop the door; what came meanwhile is unrouted, and handled when the table is right."""
    (stack.folder / "routes.yaml").write_text("routes: [{action: BookingCraete, handler: log}]")
    stack.serve()
    stack.lines("send", "BookingCreate")
    (event,) = stack.lines("events", "--status", "unrouted")

    (stack.folder / "routes.yaml").write_text(ROUTES)
    stack.lines("replay", event["id"], "--yes")
    stack.start("work")

    (after,) = stack.ended(1)
    assert after["status"] == "succeeded"


def test_tail_follows_events_as_they_come(stack: Journey) -> None:
    """One line each, without payload."""
    stack.serve()
    stack.lines("send", "BookingCreate")
    tail = stack.start("tail", "--json")
    numbers = itertools.count(1)

    def shows() -> bool:
        stack.post("VisitorCheckedin", next(numbers))
        return "VisitorCheckedin" in tail.output

    wait_until(shows, "tail to show an event")
    assert "BookingCreate" not in tail.output
    tail.signal(signal.SIGINT)
    assert tail.wait() == 130


def test_several_receivers_share_one_port(stack: Journey) -> None:
    """`serve --processes 2`: nothing is doubled or lost between them."""
    receiver = stack.serve("--processes", "2")

    (sent,) = stack.lines("send", "BookingCreate", "--count", "200")

    assert sent["events"] == {"accepted": 200}
    assert len(stack.lines("events")) == 200
    assert receiver.stop() == 0
