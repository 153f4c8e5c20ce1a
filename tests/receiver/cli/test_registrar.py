"""plan, apply, hooks and watch as commands: real processes against a simulated Nexudus and a real Redis."""

import os
import pty
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from receiver.nexudus import actions, hooks
from receiver.nexudus.webhooks import Webhooks
from receiver.storage import keys
from tests.conftest import StartFrontdesk
from tests.nexudus import SimulatedNexudus
from tests.processes import Process, Valkey, command, environment, free_port, run, wait_until

ROUTES = """
businesses: [1001, 1002]
routes:
  - {name: bookings, action: "Booking*", handler: log}
  - {name: invoices, action: "CoworkerInvoice*", handler: log}
"""
ROUTED = [name for name in actions.NAMES if name.startswith(("Booking", "CoworkerInvoice"))]
PAIRS = 2 * len(ROUTED)
FOREIGN = {"BusinessId": 1001, "Name": "CRM", "Action": 90, "URL": "https://crm.example/in", "Description": "theirs"}


@pytest.fixture
def settings(nexudus: SimulatedNexudus, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """What an operator sets, with limits that do not slow a test down; at Nexudus there is a hook of somebody else."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    with nexudus.client() as client:
        Webhooks(client).create(FOREIGN | {"Active": True})
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        "FRONTDESK_NEXUDUS_URL": nexudus.url,
        "FRONTDESK_NEXUDUS_USERNAME": "demo@example.com",
        "FRONTDESK_NEXUDUS_PASSWORD": "demo",
        "FRONTDESK_NEXUDUS_CALLS_PER_MINUTE": "10000",
        "FRONTDESK_NEXUDUS_WRITES_PER_MINUTE": "10000",
        "FRONTDESK_PUBLIC_URL": "https://hooks.example",
        "FRONTDESK_URL_KEYS": "key-1",
        "FRONTDESK_WEBHOOK_SECRETS": "s3cr3t",
        "FRONTDESK_LOG_FORMAT": "json",
    }


def _plan(settings: Mapping[str, str], *options: str, status: int) -> dict[str, Any]:
    ran = run("plan", "--json", *options, settings=settings)
    assert ran.status == status, ran.err
    plan: dict[str, Any] = orjson.loads(ran.out)
    return plan


def _ours(nexudus: SimulatedNexudus) -> list[dict[str, Any]]:
    return [hook for hook in nexudus.hooks() if hook["URL"] != FOREIGN["URL"]]


def _assert_converged(
    nexudus: SimulatedNexudus,
    settings: Mapping[str, str],
    names: Iterable[str] = ROUTED,
    businesses: Iterable[int] = (1001, 1002),
) -> None:
    """Exactly one right active hook for each pair, somebody else's as it was, and an empty second plan."""
    public, key = settings["FRONTDESK_PUBLIC_URL"], settings["FRONTDESK_URL_KEYS"].partition(",")[0]
    right = [
        (place, actions.CODES[name], hooks.url(public, key, place, name)) for place in businesses for name in names
    ]
    active = [(hook["BusinessId"], hook["Action"], hook["URL"]) for hook in _ours(nexudus) if hook["Active"]]
    assert sorted(active) == sorted(right)
    (theirs,) = [hook for hook in nexudus.hooks() if hook["URL"] == FOREIGN["URL"]]
    assert FOREIGN.items() <= theirs.items()
    assert (theirs["Active"], theirs["UpdatedOn"]) == (True, theirs["CreatedOn"])
    assert _plan(settings, status=0)["changes"] == []


def test_from_nothing_to_converged(nexudus: SimulatedNexudus, settings: dict[str, str]) -> None:
    """plan says what apply will do, exit status 2; apply does it; then there is nothing to do, exit status 0."""
    plan = _plan(settings, status=2)

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
    assert first["to"]["url"] == hooks.url("https://hooks.example", "key-1", 1001, "BookingCreate")
    assert (applied.status, applied.err) == (0, "")
    assert f"Done: {PAIRS} changes" in applied.out
    _assert_converged(nexudus, settings)
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
    _assert_converged(nexudus, settings, actions.NAMES, (1001, 1002, 1003))


def test_drift_of_every_kind_is_mended(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """Somebody edits, disables, deletes, copies and renumbers our hooks in the panel."""
    run("apply", "--yes", settings=settings)
    made = {(hook["BusinessId"], hook["Action"]): hook["Id"] for hook in _ours(nexudus)}
    right = hooks.url("https://hooks.example", "key-1", 1001, "BookingUpdate")
    nexudus.edit(made[1001, 6], URL="https://hooks.example/hooks/1001/BookingCreate/forged", Description="by hand")
    nexudus.edit(made[1001, 7], URL=right + "?by=hand", Active=False)
    nexudus.edit(made[1001, 8], Name="renamed", Action=61)
    nexudus.edit(made[1002, 6], Active=False, ErrorCount=10, LastError="500", SystemId="theirs")
    nexudus.remove(made[1002, 7])
    with nexudus.client() as client:
        for name, code in (("copy", 7), ("stray", 57)):
            Webhooks(client).create({"BusinessId": 1001, "Name": name, "Action": code, "URL": right, "Active": True})

    changes = _plan(settings, status=2)["changes"]
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
    _assert_converged(nexudus, settings)
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
    _assert_converged(nexudus, settings)


def test_tokens_in_urls_are_cut_short_for_people(settings: dict[str, str]) -> None:
    """A plan that is pasted into a ticket opens no door."""
    shown = run("plan", settings=settings)

    token = hooks.token("key-1", 1001, "BookingCreate")
    assert f"/hooks/1001/BookingCreate/{token[:4]}..." in shown.out
    assert token not in shown.out
    assert f"{PAIRS} to create" in shown.out


def test_a_business_without_a_secret_is_warned_of(settings: dict[str, str]) -> None:
    """One business has its own secret, the other none."""
    warned = run("plan", settings=settings | {"FRONTDESK_WEBHOOK_SECRETS": "1001=s3cr3t"})

    assert "no shared secret for business 1002" in warned.err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"FRONTDESK_PUBLIC_URL": ""}, "FRONTDESK_PUBLIC_URL is not set"),
        ({"FRONTDESK_PUBLIC_URL": "http://hooks.example"}, "FRONTDESK_PUBLIC_URL: must be https://"),
        ({"FRONTDESK_URL_KEYS": ""}, "FRONTDESK_URL_KEYS is not set"),
        ({"FRONTDESK_NEXUDUS_USERNAME": ""}, "FRONTDESK_NEXUDUS_USERNAME is not set"),
        ({"FRONTDESK_NEXUDUS_PASSWORD": ""}, "FRONTDESK_NEXUDUS_PASSWORD is not set"),
        ({"FRONTDESK_NEXUDUS_PASSWORD": "wrong"}, "Nexudus refused the credentials (401)"),
        ({"FRONTDESK_NEXUDUS_TOKEN": "wrong"}, "Nexudus answered 401 to GET /api/sys/webhooks"),
        ({"FRONTDESK_NEXUDUS_URL": "http://127.0.0.1:1"}, "Nexudus gave no answer to POST /api/token"),
        ({"FRONTDESK_NEXUDUS_URL": "http://nexudus:port"}, "FRONTDESK_NEXUDUS_URL, _TOKEN or _CLIENT_ID holds"),
        ({"FRONTDESK_NEXUDUS_TOKEN": "hüsh"}, "FRONTDESK_NEXUDUS_URL, _TOKEN or _CLIENT_ID holds"),
        ({"FRONTDESK_REDIS_URL": "redis://127.0.0.1:1/0"}, "is FRONTDESK_REDIS_URL right?"),
        ({"FRONTDESK_ROUTES": "/nowhere.yaml"}, "/nowhere.yaml: cannot be read"),
    ],
)
def test_what_is_missing_or_wrong_is_one_sentence(
    settings: dict[str, str], nexudus: SimulatedNexudus, change: dict[str, str], sentence: str
) -> None:
    """Exit status 1, nothing on standard output, nothing written."""
    ran = run("apply", "--yes", settings=settings | change)

    assert (ran.status, ran.out) == (1, "")
    assert sentence in ran.err
    assert ran.err.count("\n") == 1
    assert _ours(nexudus) == []


@pytest.mark.parametrize(
    ("change", "routes", "problem"),
    [
        ({}, ROUTES, ""),
        ({"FRONTDESK_NEXUDUS_PASSWORD": "wrong"}, ROUTES, "Nexudus refused the credentials (401)"),
        ({"FRONTDESK_NEXUDUS_PASSWORD": ""}, ROUTES, "FRONTDESK_NEXUDUS_PASSWORD is not set"),
        ({}, ROUTES.replace("1002", "1009"), "businesses: 1009 is no location that the API user sees"),
    ],
)
def test_check_online_asks_nexudus(settings: dict[str, str], change: dict[str, str], routes: str, problem: str) -> None:
    """Before a deployment rather than in its first plan; without `--online` nobody is asked."""
    Path(settings["FRONTDESK_ROUTES"]).write_text(routes)

    online = orjson.loads(run("check", "--online", "--json", settings=settings | change).out)
    offline = orjson.loads(run("check", "--json", settings=settings | change).out)

    told = [each["message"] for each in online["problems"]]
    assert [problem in each for each in told] == ([True] if problem else [])
    assert offline["problems"] == []


@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes")])
def test_a_place_to_move_from_is_a_url(settings: dict[str, str], command: tuple[str, ...]) -> None:
    """Anything else would match no hook, and "nothing to do" would be believed."""
    ran = run(*command, "--move-from", "old.example", settings=settings)

    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "frontdesk: --move-from 'old.example': must be a public URL, as in https://old.example.com\n"


def test_an_unknown_business_is_one_sentence(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """Said by plan already."""
    Path(settings["FRONTDESK_ROUTES"]).write_text(ROUTES.replace("1002", "4711"))

    ran = run("plan", settings=settings)

    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "businesses: 4711 is no location that the API user sees; it sees 1001 Location 1001" in ran.err


def test_without_a_terminal_apply_wants_yes(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """A cron job without --yes changes nothing."""
    ran = run("apply", settings=settings)

    assert (ran.status, _ours(nexudus)) == (1, [])
    assert "repeat with --yes" in ran.err


@pytest.mark.parametrize(("answer", "status", "made"), [("n", 1, 0), ("y", 0, PAIRS)])
def test_on_a_terminal_apply_asks(
    settings: dict[str, str], nexudus: SimulatedNexudus, answer: str, status: int, made: int
) -> None:
    """It shows the plan, asks, and shows a bar while it works."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("apply"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(settings) | {"TERM": "xterm"},
        close_fds=True,
    )
    os.close(theirs)
    try:
        seen = _read_until(ours, f"Make these {PAIRS} changes at Nexudus? [y/N] ")
        os.write(ours, f"{answer}\n".encode())
        seen += _read_until(ours, None)
        assert process.wait(30) == status, seen
    finally:
        process.kill()
        process.wait()
        os.close(ours)

    assert len(_ours(nexudus)) == made
    assert ("Registering" in seen) is (made > 0)


def _read_until(terminal: int, text: str | None) -> str:
    seen = ""
    while text is None or text not in seen:
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # Linux says so when the other side is closed
            break
        seen += chunk.decode(errors="replace")
    return seen


def test_more_than_a_third_is_refused_without_force(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """13 of 16 actions are no longer routed."""
    run("apply", "--yes", settings=settings)
    Path(settings["FRONTDESK_ROUTES"]).write_text(ROUTES[: ROUTES.index("  - {name: invoices")])

    refused = run("apply", "--yes", settings=settings)
    forced = run("apply", "--yes", "--force", settings=settings)

    assert refused.status == 1
    assert "26 of our 32 registrations" in refused.err
    assert forced.status == 0
    assert sum(hook["Active"] for hook in _ours(nexudus)) == 6


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
    _assert_converged(nexudus, settings)


@pytest.mark.parametrize(
    ("role", "options"),
    [
        ("WebHook-List", ()),
        ("WebHook-Read", ()),
        ("WebHook-Create", ()),
        ("WebHook-Edit", ()),
        ("WebHook-Delete", ("--prune",)),
    ],
)
def test_a_missing_role_is_named(
    settings: dict[str, str], nexudus: SimulatedNexudus, role: str, options: tuple[str, ...]
) -> None:
    """401 means either: it says which role the call needs; nothing is half told, and with the role all is well."""
    Path(settings["FRONTDESK_ROUTES"]).write_text("businesses: [1001]\nroutes: [{action: TeamCreated, handler: log}]")
    with nexudus.client() as client:
        for pair in ((1001, "TeamCreated"), (1002, "TeamCreated"), (1002, "TeamDeleted")):
            record = {"BusinessId": pair[0], "Name": "old", "Action": actions.CODES[pair[1]], "Active": True}
            Webhooks(client).create(record | {"URL": hooks.url("https://hooks.example", "key-1", *pair)})
    if role == "WebHook-Create":
        nexudus.remove(_ours(nexudus)[0]["Id"])
    before = _ours(nexudus)
    nexudus.turn(missing_roles=[role, "Business-List"])

    ran = run("apply", "--yes", *options, settings=settings)
    after = _ours(nexudus)
    nexudus.turn(missing_roles=["Business-List"] if role == "WebHook-Delete" else ["Business-List", "WebHook-Delete"])
    again = run("apply", "--yes", *options, settings=settings)

    assert ran.status == 1
    assert f"the credentials are refused, or the API user lacks something: it needs API access and the role {role}" in (
        ran.err
    )
    assert ran.err.count("\n") == 1
    assert len(after) == len(before)
    assert (again.status, again.err) == (0, "")
    _assert_converged(nexudus, settings, ["TeamCreated"], [1001])


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
        wait_until(lambda enough=enough: len(_ours(nexudus)) >= enough, f"{enough} hooks")  # type: ignore[misc]
        killed.kill()

    nexudus.turn(slow_ms=0)
    assert run("apply", "--yes", settings=alone).status == 0

    _assert_converged(nexudus, settings)
    assert len(_ours(nexudus)) == PAIRS


def test_two_applies_at_once_and_one_that_is_killed(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk
) -> None:
    """The first is killed while it holds the lock; of the two others one waits for its lock, one for the other."""
    nexudus.turn(slow_ms=10)
    dead = frontdesk("apply", "--yes", settings=settings)
    wait_until(lambda: len(_ours(nexudus)) >= 3, "the first hooks")
    dead.kill()

    both = [frontdesk("apply", "--yes", settings=settings) for _ in range(2)]

    assert [process.wait() for process in both] == [0, 0], [process.output for process in both]
    assert all("is applying already; waiting for it" in process.output for process in both)
    _assert_converged(nexudus, settings)
    assert len(_ours(nexudus)) == PAIRS


def test_the_keys_rotate_and_hooks_shows_which(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """A new first key: hooks shows the old one until apply moved them."""
    run("apply", "--yes", settings=settings)
    rotated = settings | {"FRONTDESK_URL_KEYS": "key-2,key-1"}

    before = run("hooks", "--json", settings=rotated)
    table = run("hooks", settings=rotated)
    assert run("apply", "--yes", settings=rotated).status == 0
    after = run("hooks", "--json", settings=rotated)

    rows = [orjson.loads(line) for line in before.out.splitlines()]
    assert {(row["url_key"], row["state"]) for row in rows} == {(1, "drifted")}
    assert "old (2 of 2)" in table.out
    rows = [orjson.loads(line) for line in after.out.splitlines()]
    assert {(row["url_key"], row["state"]) for row in rows} == {(0, "healthy")}
    _assert_converged(nexudus, rotated)


def test_hooks_tells_what_nexudus_and_the_store_know(
    settings: dict[str, str], nexudus: SimulatedNexudus, valkey: Valkey
) -> None:
    """All keys of the documentation; what is missing is listed too."""
    run("apply", "--yes", settings=settings)
    made = {(hook["BusinessId"], hook["Action"]): hook["Id"] for hook in _ours(nexudus)}
    nexudus.edit(made[1001, 6], ErrorCount=3, LastError="500 \x1b[31m", LastTrigger="2026-03-01T10:00:00Z")
    nexudus.edit(made[1001, 7], Active=False, ErrorCount=10)
    nexudus.remove(made[1001, 8])
    with valkey.client() as client:
        client.hset("fd:received", "1001/BookingCreate", 1_772_359_200_000)

    listed = run("hooks", "--json", settings=settings)
    table = run("hooks", settings=settings)

    rows = [orjson.loads(line) for line in listed.out.splitlines()]
    assert len(rows) == PAIRS
    assert rows[0] == {
        "business_id": 1001,
        "action": "BookingCreate",
        "action_code": 6,
        "hook_id": made[1001, 6],
        "active": True,
        "error_count": 3,
        "last_error": "500 \x1b[31m",
        "last_trigger": "2026-03-01T10:00:00Z",
        "last_received_at": "2026-03-01T10:00:00+00:00",
        "url_key": 0,
        "state": "failing",
    }
    assert [row["state"] for row in rows[1:4]] == ["disabled", "missing", "healthy"]
    assert "\x1b[31m" not in table.out
    assert "3 that need attention" in table.out


def _receiver(settings: dict[str, str], frontdesk: StartFrontdesk) -> Process:
    """Start a real receiver at the public URL, which becomes one of this machine."""
    settings.setdefault("FRONTDESK_PORT", str(free_port()))
    settings["FRONTDESK_PUBLIC_URL"] = f"http://127.0.0.1:{settings['FRONTDESK_PORT']}"
    receiver = frontdesk("serve", settings=settings)
    receiver.wait_for_http(f"{settings['FRONTDESK_PUBLIC_URL']}/readyz")
    return receiver


def test_registrations_carry_deliveries(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk
) -> None:
    """From apply to kept events: Nexudus fires what is registered, the receiver takes it, hooks says when."""
    _receiver(settings, frontdesk)
    run("apply", "--yes", settings=settings)

    assert nexudus.fire(1001, "BookingCreate", 3) == 3
    assert nexudus.fire(1002, "CoworkerInvoicePaid") == 1
    wait_until(lambda: nexudus.state()["deliveries"]["delivered"] == 4, "four deliveries")

    rows = [orjson.loads(line) for line in run("hooks", "--json", settings=settings).out.splitlines()]
    assert {(row["business_id"], row["action"]) for row in rows if row["last_received_at"]} == {
        (1001, "BookingCreate"),
        (1002, "CoworkerInvoicePaid"),
    }
    events = [orjson.loads(line) for line in run("events", "--json", settings=settings).out.splitlines()]
    assert sorted(event["action"] for event in events) == ["BookingCreate"] * 3 + ["CoworkerInvoicePaid"]


def test_the_watch_finds_what_nexudus_disabled_and_brings_it_back(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk
) -> None:
    """Ten strikes disable a hook; it stays so while the receiver is away, and is back when the probe is answered."""
    receiver = _receiver(settings, frontdesk)
    watch = frontdesk("watch", "--every", "200ms", settings=settings)
    wait_until(lambda: len(_ours(nexudus)) == PAIRS, "all hooks")
    receiver.kill()
    nexudus.fire(1001, "BookingCreate")
    held = watch.wait_for(r'"action":"BookingCreate".*the receiver cannot be reached at .*registration.held')
    assert [hook["Action"] for hook in _ours(nexudus) if not hook["Active"]] == [6], held[0]

    _receiver(settings, frontdesk)
    watch.wait_for(r"registration.reenabled")

    assert nexudus.fire(1001, "BookingCreate") == 1
    wait_until(lambda: nexudus.state()["deliveries"]["delivered"] == 1, "a delivery")
    assert "/hooks/1001/BookingCreate" not in watch.output, "tokens and URLs are not for logs"
    assert watch.stop() == 0
    _assert_converged(nexudus, settings)


def test_one_watch_leads_and_another_takes_over(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk
) -> None:
    """Of two replicas one stands by; when the leader ends, the other goes on, and sees an edit of the routes."""
    first = frontdesk("watch", "--every", "1h", settings=settings)
    first.wait_for("watch.leading")
    second = frontdesk("watch", "--every", "1h", settings=settings)
    second.wait_for("watch.standing_by")
    assert first.stop() == 0

    second.wait_for("registrar.reconciled")
    Path(settings["FRONTDESK_ROUTES"]).write_text("routes: [{action: NoSuchThing, handler: log}]")
    second.wait_for("routes.refused")
    Path(settings["FRONTDESK_ROUTES"]).write_text(ROUTES + "  - {name: teams, action: TeamCreated, handler: log}\n")

    wait_until(lambda: len(_ours(nexudus)) == PAIRS + 2, "hooks for the new route")
    assert second.stop() == 0


def test_what_is_no_longer_routed_stays_for_seven_days(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk, valkey: Valkey
) -> None:
    """By the stamp that the first watch to see it left in Redis; its events meanwhile are kept and can be replayed."""
    port = settings["FRONTDESK_PORT"] = str(free_port())
    settings["FRONTDESK_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    assert run("watch", "--once", settings=settings).status == 0
    routes = Path(settings["FRONTDESK_ROUTES"])
    routes.write_text(ROUTES.replace('"Booking*"', "[BookingCreate, BookingUpdate]"))
    _receiver(settings, frontdesk)
    active = {}
    for days, minutes in ((0, 0), (6, 1_439), (7, 0)):
        with valkey.client() as client:
            for hook in client.hkeys(keys.REGISTRAR_UNROUTED):
                stamp = int(client.time()[0]) * 1_000 - days * 86_400_000 - minutes * 60_000
                client.hset(keys.REGISTRAR_UNROUTED, hook, stamp)
        ran = run("watch", "--once", settings=settings)
        assert ran.status == 0, ran.err
        active[days] = sum(hook["Active"] for hook in _ours(nexudus))
        if days == 6:
            assert nexudus.fire(1001, "BookingDelete") == 1
            wait_until(lambda: nexudus.state()["deliveries"]["delivered"] == 1, "a delivery")

    assert active == {0: PAIRS, 6: PAIRS, 7: PAIRS - 2}
    assert [hook["Action"] for hook in _ours(nexudus) if not hook["Active"]] == [8, 8]
    (kept,) = [orjson.loads(line) for line in run("events", "--json", settings=settings).out.splitlines()]
    assert (kept["action"], kept["status"]) == ("BookingDelete", "unrouted")
    routes.write_text(ROUTES)
    replayed = orjson.loads(run("replay", "--status", "unrouted", "--yes", "--json", settings=settings).out)
    assert (replayed["events"], replayed["deliveries"]) == (1, 1)


def test_hooks_that_gather_errors_are_told_of(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """In the log of the watch, before Nexudus disables them; a URL in Nexudus's words does not show its token."""
    run("watch", "--once", settings=settings)
    (hook, *_) = _ours(nexudus)
    nexudus.edit(hook["Id"], ErrorCount=4, LastError=f"POST {hook['URL']}: 502")

    ran = run("watch", "--once", settings=settings)

    told = [orjson.loads(line) for line in (ran.out + ran.err).splitlines() if "registration.failing" in line]
    assert [(one["hook_id"], one["error_count"], one["level"]) for one in told] == [(hook["Id"], 4, "warning")]
    assert told[0]["last_error"] == "POST https://hooks.example/hooks/... 502"
    assert hook["URL"].rpartition("/")[2] not in ran.out + ran.err


def test_watch_once_is_for_cron(nexudus: SimulatedNexudus, settings: dict[str, str]) -> None:
    """One look, exit status 0 when all is well."""
    ran = run("watch", "--once", settings=settings)

    assert ran.status == 0, ran.err
    _assert_converged(nexudus, settings)


def test_hooks_move_hosts_only_when_it_is_said(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """The old host's hooks are shown, left alone, and then moved."""
    run("apply", "--yes", settings=settings)
    moved = settings | {"FRONTDESK_PUBLIC_URL": "https://new.example"}

    beside = _plan(moved, status=2)
    move = ("--move-from", "https://hooks.example")
    moving = _plan(moved, *move, status=2)
    applied = run("apply", "--yes", *move, settings=moved)

    assert (beside["elsewhere"], beside["elsewhere_at"]) == (PAIRS, ["https://hooks.example"])
    assert {change["op"] for change in beside["changes"]} == {"create"}
    assert {change["op"] for change in moving["changes"]} == {"update"}
    assert applied.status == 0
    _assert_converged(nexudus, moved)
    assert len(_ours(nexudus)) == PAIRS
