"""plan and apply as commands: from any state to the right one. Real processes against a simulated Nexudus."""

from pathlib import Path

import orjson

from receiver.nexudus import actions, hook_urls
from receiver.nexudus.api.webhooks import Webhooks
from tests.conftest import StartFrontdesk
from tests.receiver.cli.registrar.registrations import (
    PAIRS,
    ROUTES,
    assert_converged,
    ours,
    planned,
    start_receiver,
)
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import run, wait_until


def test_from_nothing_to_converged(nexudus: SimulatedNexudus, settings: dict[str, str]) -> None:
    """plan says what apply will do, exit status 2; apply does it; then there is nothing to do, exit status 0."""
    plan = planned(settings, status=2)

    applied = run("apply", "--yes", settings=settings)

    assert (len(plan["changes"]), plan["unchanged"], plan["foreign"], plan["elsewhere"]) == (PAIRS, 0, 1, 0)
    first = plan["changes"][0]
    assert (first["op"], first["business_id"], first["action"], first["hook_id"], first["from"]) == (
        "create",
        1001,
        "BookingCreate",
        None,
        None,
    )
    assert first["to"]["url"] == hook_urls.url("https://hooks.example", "key-1", 1001, "BookingCreate")
    assert (applied.status, applied.err) == (0, "")
    assert f"Done: {PAIRS} changes" in applied.out
    assert_converged(nexudus, settings)
    assert "nothing to change" in run("apply", "--yes", settings=settings).out
    acts = [orjson.loads(line) for line in run("acts", "--json", settings=settings).out.splitlines()]
    assert [(act["what"], act["detail"]) for act in acts] == [("apply", {"created": PAIRS})]


def test_every_action_at_three_locations_in_pages_of_25(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """3 x 89 from nothing; the API answers no longer pages, whatever is asked for."""
    Path(settings["FRONTDESK_ROUTES"]).write_text('businesses: all\nroutes: [{action: "*", handler: log}]')
    nexudus.turn(largest_page=25)

    applied = run("apply", "--yes", settings=settings)

    assert (applied.status, applied.err) == (0, "")
    assert "Done: 267 changes" in applied.out
    assert_converged(nexudus, settings, actions.NAMES, (1001, 1002, 1003))


def test_drift_of_every_kind_is_mended(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """Somebody edits, disables, deletes, copies and renumbers our hooks in the panel."""
    run("apply", "--yes", settings=settings)
    made = {(hook["BusinessId"], hook["Action"]): hook["Id"] for hook in ours(nexudus)}
    right = hook_urls.url("https://hooks.example", "key-1", 1001, "BookingUpdate")
    nexudus.edit(made[1001, 6], URL="https://hooks.example/hooks/1001/BookingCreate/forged", Description="by hand")
    nexudus.edit(made[1001, 7], URL=right + "?by=hand", Active=False)
    nexudus.edit(made[1001, 8], Name="renamed", Action=61)
    nexudus.edit(made[1002, 6], Active=False, ErrorCount=10, LastError="500", SystemId="theirs")
    nexudus.remove(made[1002, 7])
    with nexudus.client() as client:
        for name, code in (("copy", 7), ("stray", 57)):
            Webhooks(client).create({"BusinessId": 1001, "Name": name, "Action": code, "URL": right, "Active": True})

    changes = planned(settings, status=2)["changes"]
    applied = run("apply", "--yes", settings=settings)

    assert sorted((each["op"], each["business_id"], each["action"]) for each in changes) == [
        ("create", 1002, "BookingUpdate"),
        ("deactivate", 1001, "BookingUpdate"),
        ("update", 1001, "BookingCreate"),
        ("update", 1001, "BookingDelete"),
        ("update", 1001, "BookingUpdate"),
        ("update", 1002, "BookingCreate"),
    ]
    assert (applied.status, applied.err) == (0, "")
    assert_converged(nexudus, settings)
    records = {hook["Id"]: hook for hook in nexudus.hooks()}
    assert records[made[1001, 6]]["Description"] == "by hand"
    assert records[made[1002, 6]]["SystemId"] == "theirs"


def test_throttling_and_faults_on_the_way_change_nothing_in_the_end(
    settings: dict[str, str], nexudus: SimulatedNexudus
) -> None:
    """One of each at the token, the checks, the lists, the reads and the writes; in-process tests do every call."""
    faults = ["throttle", "error", "html", "cut", "lost_answer"]
    pairs = [call for fault in faults for call in (fault, None)]
    nexudus.turn(next=["throttle", "html", None, None, "error", None, *pairs * 3], retry_after_s=0)

    applied = run("apply", "--yes", settings=settings)

    assert (applied.status, nexudus.turn()["next"]) == (0, []), applied.err
    assert_converged(nexudus, settings)


def test_a_nexudus_that_lies_is_pending_and_exit_status_1(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """A write that reports success and does not stick."""
    nexudus.turn(lost_write_rate=1)

    lied_to = run("apply", "--yes", "--json", settings=settings)
    nexudus.turn(lost_write_rate=0)
    again = run("apply", "--yes", settings=settings)

    assert lied_to.status == 1
    assert len(orjson.loads(lied_to.out)["pending"]) == PAIRS
    assert f"{PAIRS} changes are pending" in lied_to.err
    assert again.status == 0
    assert_converged(nexudus, settings)


def test_kill_9_at_any_moment_and_again(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk
) -> None:
    """Killed after some hooks, while its call is under way; the next run goes on, and nothing is there twice.

    Without Redis, so that nobody has to wait for the dead one's lock to run out; the next test is about that.
    """
    alone = {name: value for name, value in settings.items() if name != "FRONTDESK_REDIS_URL"}
    nexudus.turn(slow_ms=10)
    for enough in (1, 9, 20):
        killed = frontdesk("apply", "--yes", settings=alone)
        wait_until(lambda enough=enough: len(ours(nexudus)) >= enough, f"{enough} hooks")  # type: ignore[misc]
        killed.kill()

    nexudus.turn(slow_ms=0)
    assert run("apply", "--yes", settings=alone).status == 0

    assert_converged(nexudus, settings)
    assert len(ours(nexudus)) == PAIRS


def test_two_applies_at_once_and_one_that_is_killed(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk
) -> None:
    """The first is killed while it holds the lock; of the two others one waits for its lock, one for the other."""
    nexudus.turn(slow_ms=10)
    dead = frontdesk("apply", "--yes", settings=settings)
    wait_until(lambda: len(ours(nexudus)) >= 3, "the first hooks")
    dead.kill()

    both = [frontdesk("apply", "--yes", settings=settings) for _ in range(2)]

    assert [process.wait() for process in both] == [0, 0], [process.output for process in both]
    assert all("is already applying; waiting for it" in process.output for process in both)
    assert_converged(nexudus, settings)
    assert len(ours(nexudus)) == PAIRS


def test_the_keys_rotate_while_receivers_accept_both(
    settings: dict[str, str], nexudus: SimulatedNexudus, frontdesk: StartFrontdesk
) -> None:
    """A new first key: hooks shows the old one until apply moved them; what fires before and after is taken."""
    rotated = settings | {"FRONTDESK_URL_KEYS": "key-2,key-1"}
    start_receiver(rotated, frontdesk)
    run("apply", "--yes", settings=rotated | {"FRONTDESK_URL_KEYS": "key-1"})

    before = run("hooks", "--json", settings=rotated)
    table = run("hooks", settings=rotated)
    nexudus.fire(1001, "BookingCreate")
    wait_until(lambda: nexudus.state()["deliveries"]["delivered"] == 1, "a delivery to an old URL")
    assert run("apply", "--yes", settings=rotated).status == 0
    nexudus.fire(1001, "BookingCreate")
    wait_until(lambda: nexudus.state()["deliveries"]["delivered"] == 2, "a delivery to a new URL")
    after = run("hooks", "--json", settings=rotated)

    rows = [orjson.loads(line) for line in before.out.splitlines()]
    assert {(row["url_key"], row["state"]) for row in rows} == {(1, "drifted")}
    assert "old (2 of 2)" in table.out
    rows = [orjson.loads(line) for line in after.out.splitlines()]
    assert {(row["url_key"], row["state"]) for row in rows} == {(0, "healthy")}
    assert_converged(nexudus, rotated)


def test_moving_to_a_key_that_receivers_lack_is_warned_of(
    settings: dict[str, str], nexudus: SimulatedNexudus, frontdesk: StartFrontdesk
) -> None:
    """Said, not refused: whoever applies may know better, and the receiver may not be up yet."""
    receiver = start_receiver(settings, frontdesk)
    first = run("apply", "--yes", settings=settings)
    rotated = settings | {"FRONTDESK_URL_KEYS": "key-2,key-1"}
    once_more = settings | {"FRONTDESK_URL_KEYS": "key-3,key-2"}

    behind = run("apply", "--yes", settings=rotated)
    again = run("apply", "--yes", settings=rotated)
    receiver.stop()
    alone = run("apply", "--yes", settings=once_more)

    said = f"{PAIRS} webhooks get URLs of the first URL key, and a receiver at {settings['FRONTDESK_PUBLIC_URL']}"
    assert (first.status, first.err) == (0, "")
    assert behind.status == 0
    assert said + "/hooks/-/probe does not take hooks of the first URL key yet" in behind.err
    assert (again.status, again.err) == (0, "")
    assert alone.status == 0
    assert "of the first URL key, and the receiver cannot be reached at" in alone.err
    assert_converged(nexudus, once_more)


def test_hooks_move_hosts_only_when_it_is_said(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """The old host's hooks are shown, left alone, and then moved."""
    run("apply", "--yes", settings=settings)
    moved = settings | {"FRONTDESK_PUBLIC_URL": "https://new.example"}

    beside = planned(moved, status=2)
    move = ("--move-from", "https://hooks.example")
    moving = planned(moved, *move, status=2)
    applied = run("apply", "--yes", *move, settings=moved)

    assert (beside["elsewhere"], beside["elsewhere_at"]) == (PAIRS, ["https://hooks.example"])
    assert {change["op"] for change in beside["changes"]} == {"create"}
    assert {change["op"] for change in moving["changes"]} == {"update"}
    assert applied.status == 0
    assert_converged(nexudus, moved)
    assert len(ours(nexudus)) == PAIRS


def test_more_than_a_third_is_refused_without_force(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """13 of 16 actions are no longer routed."""
    run("apply", "--yes", settings=settings)
    Path(settings["FRONTDESK_ROUTES"]).write_text(ROUTES[: ROUTES.index("  - {name: invoices")])

    refused = run("apply", "--yes", settings=settings)
    forced = run("apply", "--yes", "--force", settings=settings)

    assert refused.status == 1
    assert "26 of our 32 registrations" in refused.err
    assert forced.status == 0
    assert sum(hook["Active"] for hook in ours(nexudus)) == 6
