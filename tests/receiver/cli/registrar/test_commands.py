"""plan, apply and hooks as a person meets them: what they print, ask and refuse. Real processes."""

from pathlib import Path

import orjson
import pytest

from receiver.nexudus import actions, hook_urls
from receiver.nexudus.api.webhooks import Webhooks
from tests.receiver.cli.registrar.registrations import (
    PAIRS,
    ROUTES,
    assert_converged,
    ours,
)
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import Valkey, command, run
from tests.support.terminal import Terminal


def test_tokens_in_urls_are_cut_short_for_people(settings: dict[str, str]) -> None:
    """A plan that is pasted into a ticket opens no door."""
    shown = run("plan", settings=settings)

    token = hook_urls.token("key-1", 1001, "BookingCreate")
    assert f"/hooks/1001/BookingCreate/{token[:4]}..." in shown.out
    assert token not in shown.out
    assert f"{PAIRS} to create" in shown.out


def test_a_business_without_a_secret_is_warned_of(settings: dict[str, str]) -> None:
    """One business has its own secret, the other none."""
    warned = run("plan", settings=settings | {"FRONTDESK_WEBHOOK_SECRETS": "1001=s3cr3t"})

    assert "no shared secret for business 1002" in warned.err


def test_a_plan_of_more_than_a_days_writes_says_when_it_will_be_done(settings: dict[str, str]) -> None:
    """For people and for programs."""
    few = settings | {"FRONTDESK_NEXUDUS_WRITES_PER_DAY": str(PAIRS - 1)}
    told = f"{PAIRS} changes are more than the {PAIRS - 1} writes a day that Nexudus allows: apply will be done by 20"

    (warning,) = [one for one in orjson.loads(run("plan", "--json", settings=few).out)["warnings"] if "writes" in one]

    assert warning.startswith(told)
    assert "writes a day" not in run("plan", settings=settings | {"FRONTDESK_NEXUDUS_WRITES_PER_DAY": str(PAIRS)}).err


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
    assert ours(nexudus) == []


@pytest.mark.parametrize(
    ("change", "routes", "problem"),
    [
        ({}, ROUTES, ""),
        ({"FRONTDESK_NEXUDUS_PASSWORD": "wrong"}, ROUTES, "Nexudus refused the credentials (401)"),
        ({"FRONTDESK_NEXUDUS_PASSWORD": ""}, ROUTES, "FRONTDESK_NEXUDUS_PASSWORD is not set"),
        ({}, ROUTES.replace("1002", "1009"), "businesses: 1009 is not a location that the API user sees"),
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
    assert "businesses: 4711 is not a location that the API user sees; it sees 1001 Location 1001" in ran.err


def test_without_a_terminal_apply_wants_yes(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """A cron job without --yes changes nothing."""
    ran = run("apply", settings=settings)

    assert (ran.status, ours(nexudus)) == (1, [])
    assert "repeat with --yes" in ran.err


@pytest.mark.parametrize(("answer", "status", "made"), [("n", 1, 0), ("y", 0, PAIRS)])
def test_on_a_terminal_apply_asks(
    settings: dict[str, str], nexudus: SimulatedNexudus, answer: str, status: int, made: int
) -> None:
    """It shows the plan, asks, and shows a bar while it works."""
    with Terminal(command("apply"), settings) as terminal:
        terminal.answer(f"Make these {PAIRS} changes at Nexudus? [y/N] ", answer)
        ended, seen = terminal.end()

    assert ended == status, seen
    assert len(ours(nexudus)) == made
    assert ("registering" in seen) is (made > 0)


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
            Webhooks(client).create(record | {"URL": hook_urls.url("https://hooks.example", "key-1", *pair)})
    if role == "WebHook-Create":
        nexudus.remove(ours(nexudus)[0]["Id"])
    before = ours(nexudus)
    nexudus.turn(missing_roles=[role, "Business-List"])

    ran = run("apply", "--yes", *options, settings=settings)
    after = ours(nexudus)
    nexudus.turn(missing_roles=["Business-List"] if role == "WebHook-Delete" else ["Business-List", "WebHook-Delete"])
    again = run("apply", "--yes", *options, settings=settings)

    assert ran.status == 1
    assert f"the credentials are refused, or the API user lacks something: it needs API access and the role {role}" in (
        ran.err
    )
    assert ran.err.count("\n") == 1
    assert len(after) == len(before)
    assert (again.status, again.err) == (0, "")
    assert_converged(nexudus, settings, ["TeamCreated"], [1001])


def test_hooks_tells_what_nexudus_and_the_store_know(
    settings: dict[str, str], nexudus: SimulatedNexudus, valkey: Valkey
) -> None:
    """All keys of the documentation; what is missing is listed too."""
    run("apply", "--yes", settings=settings)
    made = {(hook["BusinessId"], hook["Action"]): hook["Id"] for hook in ours(nexudus)}
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
        "business": "Location 1001",
        "action": "BookingCreate",
        "action_code": 6,
        "hook_id": made[1001, 6],
        "active": True,
        "error_count": 3,
        "last_error": "500 \x1b[31m",
        "last_trigger": "2026-03-01T10:00:00Z",
        "last_received_at": "2026-03-01T10:00:00.000Z",
        "url_key": 0,
        "state": "failing",
    }
    assert [row["state"] for row in rows[1:4]] == ["disabled", "missing", "healthy"]
    assert "\x1b[31m" not in table.out
    assert "3 need attention" in table.out
