"""What each endpoint tells and does, compared with what is known to have happened."""

from collections.abc import Iterator
from typing import Any

import pytest

from receiver.console.api.endpoints import ENDPOINTS
from receiver.storage.redis import connection
from tests.receiver.console.api.conftest import GAP, Api
from tests.receiver.console.house import CHANGED_SECRET, House, built
from tests.support.events import entry, keep_all

MANY = 20_000  # a search of them all takes many times as long as one answer may
PAGES = 50


def test_events_come_in_pages_that_leave_none_out(api: Api) -> None:
    """Newest first, each once, with the keys of the command."""
    found: list[Any] = []
    cursor = ""
    while True:
        page = api.get(f"/events?limit=1&since=1h{cursor}")
        found += page["events"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"

    ids = [one["id"] for one in found]
    assert ids == sorted(set(ids), reverse=True)
    assert {api.well, api.dead, api.forged} <= set(ids)
    (dead,) = api.get("/events?status=dead&route=broken")["events"]
    assert (dead["id"], dead["deliveries"][0].keys() >= {"id", "route", "status", "attempts", "error"}) == (
        api.dead,
        True,
    )


def test_one_event_tells_its_attempts_and_why_it_was_routed(api: Api) -> None:
    """By the routes of now."""
    told = api.get(f"/events/{api.dead}")

    assert [one["outcome"] for one in told["attempts"] if one["route"] == "broken"] == ["failed", "failed"]
    assert (told["is_masked"], told["verified_by"] is not None) == (True, True)
    explained = {one["route"]: one for one in api.get(f"/events/{api.well}/explain")["routes"]}
    assert explained["everything"]["matched"]
    assert explained["broken"]["why_not"] == "it wants TeamCreated, not BookingCreate"
    told = api.post("/routes/explain", {"action": "BookingCreate", "business_id": 1001, "data": {"Online": True}})
    assert {one["route"] for one in told["routes"] if one["matched"]} == {"everything"}


def test_a_story_says_what_changed(api: Api) -> None:
    """From one event of a record to the next."""
    story = api.post("/entities/Booking:7/reveal")

    update, create = story["events"][-2:]
    assert (create["id"], create["changes"]) == (api.well, None)
    assert {"name": "Online", "old": "true", "new": "false"} in update["changes"]


def test_the_house_is_told_as_the_pages_tell_it(api: Api) -> None:
    """Status, workers, routes, coverage, hooks, plan, audit."""
    status = api.get("/status?span=day")
    assert (status["workers"], status["standing"]["dead"]) == (1, 1)
    assert any("dead delivery" in one["text"] for one in status["warnings"])
    assert [one["is_live"] for one in api.get("/workers")["workers"]] == [True]
    routes = api.get("/routes")
    assert [one["name"] for one in routes["routes"]] == ["everything", "announce-paid", "never", "broken"]
    assert (routes["next"], routes["problems"]) == (None, [])
    assert api.get("/coverage")["businesses"][0]["actions"]["BookingCreate"]["state"] == "confirm"
    hooks = api.get("/hooks")
    assert (hooks["number"], hooks["trouble"], hooks["hooks"][0]["state"]) == (178, 178, "missing")
    plan = api.get("/plan")["plan"]
    assert (len(plan["changes"]), plan["changes"][0]["op"]) == (178, "create")
    assert all(one["words"].endswith("...") for one in plan["changes"]), "tokens of URLs are cut"
    audit = api.get("/audit")
    assert (audit["unaccounted"], audit["offenders"]) == (0, [])
    assert audit["events"]["accepted"] >= 4


def test_gaps_are_narrowed_and_come_in_pages(api: Api) -> None:
    """By action, location and state."""
    (gap,) = api.get("/gaps?state=confirm&action=BookingCreate&business=1001")["gaps"]

    assert (gap["id"], gap["from"], gap["why"]) == (GAP, "2023-11-14T22:13:20.000Z", "disabled")
    assert api.get("/gaps?state=healed")["gaps"] == []
    page = api.get("/gaps?limit=1")
    assert len(page["gaps"]) == 1
    if page["next"]:
        assert GAP not in str(api.get(f"/gaps?cursor={page['next']}"))


def test_every_change_is_an_act_of_whoever_has_the_token(api: Api) -> None:
    """All of them, in the order in which they were done; the audit log comes in pages, too."""
    group = f"/failures/{api.group}"
    done: dict[str, tuple[str, str, Any]] = {
        "reveal_event": ("unmask", f"/events/{api.well}/reveal", {}),
        "reveal_story": ("unmask", "/entities/Booking:7/reveal", {}),
        "replay_event": ("replay", f"/events/{api.well}/replay", {"route": "everything"}),
        "edit_event": ("edit", f"/events/{api.well}/edit", {"data": {"Id": 7, "Online": True, "Notes": "edited"}}),
        "release_event": ("release", f"/events/{api.forged}/release", {}),
        "replay_events": ("replay", "/replays", {"action": "BookingCreate", "since": "1h"}),
        "release_events": ("release", "/releases", {}),
        "acknowledge_failure_group": ("failures.acknowledge", f"{group}/acknowledge", {"reason": "known"}),
        "snooze_failure_group": ("failures.snooze", f"{group}/snooze", {"reason": "later", "for": "4h"}),
        "replay_failure_group": ("replay", f"{group}/replay", {"most": 1}),
        "pause_route": ("pause", "/routes/never/pause", None),
        "resume_route": ("resume", "/routes/never/resume", None),
        "stop_task": ("bulk.stop", "/task/stop", {}),
    }
    others = {"explain_record", "apply_plan", "backfill"}
    assert {one.name for one in ENDPOINTS if one.method == "POST"} == {*done, *others}, "a change that nobody tests"
    told = {}
    for name, (_, path, body) in done.items():
        told[name] = api.post(path, body)
        api.wait_for_task()

    acts: list[Any] = []
    cursor = ""
    while len(acts) < len(done):
        page = api.get(f"/acts?limit=5{cursor}")
        acts += page["acts"]
        cursor = f"&cursor={page['next']}"
    latest = acts[: len(done)][::-1]
    assert [one["what"] for one in latest] == [what for what, _, _ in done.values()]
    assert {one["who"] for one in latest} == {"alice"}
    assert told["edit_event"]["edited_from"] == api.well
    assert len(told["replay_event"]["deliveries"]) == 1
    assert (told["acknowledge_failure_group"]["status"], told["pause_route"]["changed"]) == ("acknowledged", True)


def test_a_dry_run_counts_and_changes_nothing(api: Api) -> None:
    """Of replays and releases."""
    api.house.post_forged("CoworkerUpdate", b'[{"Id": 70}]', secret=CHANGED_SECRET)
    before = api.get("/acts?limit=1")["acts"]

    replayed = api.post("/replays", {"action": "BookingCreate", "since": "1h", "dry_run": True})
    released = api.post("/releases", {"dry_run": True})

    assert (replayed["dry_run"], replayed["events"] >= 1, replayed["deliveries"] >= 1) == (True, True, True)
    assert (released["dry_run"], released["events"]) == (True, 1)
    assert api.get("/acts?limit=1")["acts"] == before


def test_the_plan_that_was_looked_at_is_applied_and_no_other(api: Api) -> None:
    """By its digest; the simulated Nexudus has the hooks then."""
    assert api.call("POST", "/plan/apply", {"digest": "another"}).status == 400
    plan = api.get("/plan")["plan"]

    assert api.post("/plan/apply", {"digest": plan["digest"]})["changes"] == len(plan["changes"])
    assert api.wait_for_task()["error"] == ""
    assert api.get("/hooks?look=true")["trouble"] == 0


def test_a_gap_that_waits_for_a_person_is_filled_in_that_persons_name(api: Api) -> None:
    """As `frontdesk backfill` fills it."""
    assert api.post("/backfills", {"gaps": [GAP]})["gaps"] == 1
    assert api.wait_for_task()["what"] == "backfill"

    (gap,) = [one for one in api.get("/gaps")["gaps"] if one["id"] == GAP]
    assert gap["state"] in ("healed", "cannot")
    act = next(one for one in api.get("/acts")["acts"] if one["what"] == "backfill")
    assert (act["who"], act["detail"]["gaps"]) == ("alice", 1)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A console beside a store with very many events."""
    with built(tmp_path_factory.mktemp("full")) as house:
        with connection.connect(house.settings["FRONTDESK_REDIS_URL"]) as client:
            for start in range(0, MANY, 200):
                records = (b'{"Id":%d}' % number for number in range(start, start + 200))
                keep_all(client, *(entry(record, routes=(), entity=None) for record in records))
        house.console()
        yield house


@pytest.mark.timeout(900)  # most of it goes into the events
def test_very_many_events_come_in_bounded_pages(full: House) -> None:
    """Each answer is bounded whatever is asked for, and the cursor leads on, to none twice."""
    api = Api(full, "", "", "", "")
    seen: set[str] = set()
    cursor = ""
    for _ in range(PAGES):
        answer = api.call("GET", f"/events?limit=200{cursor}")
        assert (answer.status, len(answer.body) < 200 * 1_000) == (200, True)
        page = answer.json()
        ids = [one["id"] for one in page["events"]]
        assert len(ids) <= 200
        assert not seen & set(ids)
        seen |= set(ids)
        assert page["next"] in ids if ids else page["is_cut"]
        cursor = f"&cursor={page['next']}"

    assert len(seen) > PAGES
    cut = api.get("/events?text=nobody+has+this")
    assert (cut["events"], cut["is_cut"]) == ([], True)
    assert api.call("GET", "/events?limit=1000000").status == 400
