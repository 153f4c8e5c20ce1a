"""`try` runs one handler here and now and says how that ended."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from receiver.storage.redis import connection, keys
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.shared.business_names import BusinessNames
from tests.support import events, processes
from tests.support.processes import Ran
from tests.workers.handlers.targets import a_target

HANDLERS = """
import asyncio, time
from workers import Discard, Retry

def writes(event, *, file: str = "", word: str = "seen"):
    with open(file, "w") as stream:
        stream.write(f"{word} {event.action} {event.action_code} {event.business_id} {event.data['Id']} {event.key}")

def fails(event):
    raise ValueError("no such room\\x1b[31m")

def discards(event):
    raise Discard("not ours")

def waits(event):
    raise Retry("busy", after=90)

def hangs(event):
    time.sleep(600)

async def sleeps(event):
    await asyncio.sleep(600)

async def exits(event):
    raise SystemExit(3)

async def exits_in_a_task(event):
    async def task():
        raise SystemExit(4)
    await asyncio.gather(task())
"""

ROUTES = """
businesses: [1001, 1002]
routes:
  - {name: writes, action: [BookingUpdate, BookingCreate], business: 1002, where: data.Tentative == true,
     handler: "handlers_of_a_trial:writes", with: {file: written, word: env/WORD}}
  - {name: fails, action: "Coworker*", handler: "handlers_of_a_trial:fails", retry: [10s]}
  - {name: discards, action: "*", handler: "handlers_of_a_trial:discards"}
  - {name: waits, action: "*", handler: "handlers_of_a_trial:waits"}
  - {name: hangs, action: "*", handler: "handlers_of_a_trial:hangs", timeout: 300ms, retry: []}
  - {name: sleeps, action: "*", handler: "handlers_of_a_trial:sleeps", timeout: 300ms}
  - {name: exits, action: "*", handler: "handlers_of_a_trial:exits", enabled: false}
  - {name: exits-in-a-task, action: "*", handler: "handlers_of_a_trial:exits_in_a_task"}
  - {name: no-module, action: "*", handler: "nowhere_at_all:f"}
  - {name: to-target, action: BookingCreate, handler: forward, with: {url: env/TARGET, allow_private: true}}
"""

Try = Callable[..., Ran]


@pytest.fixture
def trial(tmp_path: Path) -> Try:
    """Run `frontdesk try` in a folder with routes.yaml and its handlers."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "handlers_of_a_trial.py").write_text(HANDLERS)

    def run(*arguments: str, **settings: str) -> Ran:
        environ = {"FRONTDESK_DATA_DIR": str(tmp_path / "var"), "WORD": "booked"} | settings
        return processes.run("try", *arguments, settings=environ, cwd=tmp_path)

    return run


def the_object(ran: Ran) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(ran.out.splitlines()[-1])
    return value


def test_a_file_is_handled_as_an_event_of_the_route(trial: Try, tmp_path: Path) -> None:
    """As Nexudus sends it, an array of one; action and business are the first that the route names."""
    (tmp_path / "booking.json").write_text('[{"Id": 77, "Tentative": true}]')

    ran = trial("writes", "booking.json")

    assert (ran.status, ran.err) == (0, "")
    first, second = ran.out.splitlines()
    assert first.startswith("BookingUpdate at business 1002, event ")
    assert first.endswith(" (simulated) -> route writes, handler handlers_of_a_trial:writes")
    assert second.startswith("succeeded in ")
    *words, key = (tmp_path / "written").read_text().split()
    assert words == ["booked", "BookingUpdate", "7", "1002", "77"]
    assert key.endswith("-writes")


def test_business_and_action_can_be_chosen_and_it_is_said_when_the_route_would_not_get_it(
    trial: Try, tmp_path: Path
) -> None:
    """The handler runs all the same: it is the handler that is tried, not the filter."""
    (tmp_path / "booking.json").write_text('{"Id": 77, "Tentative": false}')

    ran = trial("writes", "booking.json", "--business", "1001", "--action", "BookingDelete")

    assert ran.status == 0
    assert (
        "note: the route does not match this event: it wants BookingUpdate, BookingCreate, not BookingDelete" in ran.out
    )
    assert (tmp_path / "written").read_text().startswith("booked BookingDelete 8 1001 77 ")


def test_without_a_file_a_sample_of_the_routes_action_is_taken(trial: Try, tmp_path: Path) -> None:
    """The newcomer's way: a realistic record of the first action that the route wants."""
    ran = trial("discards", "--action", "CoworkerInvoicePaid", "--json")

    said = the_object(ran)
    assert ran.status == 0
    assert (said["action"], said["outcome"], said["error"]) == ("CoworkerInvoicePaid", "discarded", "Discard: not ours")
    assert said.keys() == {
        "route", "handler", "event_id", "action", "business_id", "origin", "why_not", "outcome", "error",
        "retry_after_ms", "uncharged", "duration_ms", "business",
    }  # fmt: skip


def test_a_kept_event_is_tried_by_its_id(trial: Try, tmp_path: Path, redis_url: str) -> None:
    """With its own action, business, origin and key; it changes nothing of the event, and is kept as an act."""
    booked = events.entry(b'{"Id": 78, "Tentative": true}', routes=("writes",), business_id=1002)
    unreadable = events.entry(b"{", quarantine="not JSON")
    with connection.connect(redis_url) as client:
        events.keep_all(client, booked, unreadable)
        BusinessNames(client).remember({1002: "Soho"})
        before = sorted(client.scan_iter())
        taken = trial("writes", booked.envelope.id, FRONTDESK_REDIS_URL=redis_url)
        dry = trial("writes", booked.envelope.id, "--dry-run", FRONTDESK_REDIS_URL=redis_url)
        dry_object = the_object(
            trial("writes", booked.envelope.id, "--dry-run", "--json", FRONTDESK_REDIS_URL=redis_url)
        )
        after = sorted(client.scan_iter())
        (act,) = AuditLog(client).newest()

    assert (taken.status, taken.err) == (0, "")
    assert taken.out.startswith(f"BookingCreate at business 1002 Soho, event {booked.envelope.id} (webhook) -> ")
    assert dry.out.startswith("BookingCreate at business 1002 Soho -> ")
    assert (dry_object["business_id"], dry_object["business"]) == (1002, "Soho")
    key = f"{booked.envelope.id}-writes"
    assert (tmp_path / "written").read_text() == f"booked BookingCreate 6 1002 78 {key}"
    assert after == sorted([*before, keys.ACTS.encode()])
    assert (act.what, act.detail) == ("try", {"route": "writes", "event_id": booked.envelope.id})
    refused = trial("writes", unreadable.envelope.id, FRONTDESK_REDIS_URL=redis_url)
    assert "holds no record for a handler: not JSON" in refused.err
    unknown = trial("writes", "0" * 20, FRONTDESK_REDIS_URL=redis_url)
    assert "is not kept: the id is wrong, or its time is over" in unknown.err


@pytest.mark.parametrize(
    ("route", "outcome", "error", "next_step"),
    [
        ("fails", "failed", "ValueError: no such room\\x1b[31m", "a worker would retry in 10s"),
        ("waits", "failed", "Retry: busy", "a worker would retry in 90s"),
        ("hangs", "timed_out", "timed out after 0.3 s, and still running", "a worker would not retry"),
        ("sleeps", "timed_out", "timed out after 0.3 s", "a worker would retry in"),
        ("exits", "failed", "SystemExit: 3", "a worker would retry in"),
        ("exits-in-a-task", "failed", "SystemExit: 4", "a worker would retry in"),
    ],
)
def test_a_handler_that_does_not_succeed_ends_the_command_with_1(
    route: str, outcome: str, error: str, next_step: str, trial: Try
) -> None:
    """Whatever it does, hanging included: what happened, and what a worker would do next."""
    ran = trial(route)

    assert (ran.status, ran.err) == (1, "")
    assert f"{outcome} in " in ran.out
    assert error in ran.out
    assert next_step in ran.out


def test_forward_is_tried_for_real(trial: Try) -> None:
    """Against a real server, through the settings' environment; a target that asks to wait costs no attempt."""
    with a_target() as target:
        target.status, target.headers = 429, {"Retry-After": "60"}
        waiting = trial("to-target", TARGET=target.url())
        target.status = 200
        taken = trial("to-target", "--json", TARGET=target.url())

    assert waiting.status == 1
    assert "a worker would wait 1m, as the target asks, without counting the attempt" in waiting.out
    assert (taken.status, the_object(taken)["outcome"]) == (0, "succeeded")
    assert json.loads(target.received[-1].body)["type"] == "BookingCreate"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["wrties"], "has no route 'wrties'; did you mean"),
        (["discards", "nowhere.json"], "try: 'nowhere.json' is neither a file nor the id of an event"),
        (["discards", "."], "try: . is not a file"),
        (["discards", "broken.json"], "try: broken.json: not JSON: "),
        (["discards", "two.json"], "try: two.json holds 2 records; one is needed"),
        (["discards", "none.json"], "try: none.json holds 0 records; one is needed"),
        (["discards", "text.json"], "try: text.json: an array that holds something other than objects"),
        (["discards", "large.json"], "try: large.json is larger than FRONTDESK_MAX_BODY, 2048 bytes"),
        (["discards", "--action", "Tomorrow"], "try: there is no sample of 'Tomorrow'; give a file or an event id"),
        (["discards", "--business", "x"], "business"),
        (["discards", "--business", "0"], "business"),
        (["no-module"], "handler 'nowhere_at_all:f': there is no module 'nowhere_at_all' beside routes.yaml"),
        (["to-target"], "handler 'forward': option 'url': env/TARGET: the environment variable TARGET is not set"),
        ([], "requires an argument"),
    ],
)
def test_what_cannot_be_tried_is_one_sentence(arguments: list[str], sentence: str, trial: Try, tmp_path: Path) -> None:
    """On standard error, status 1, no traceback."""
    files = {"broken": "{", "two": '[{"Id": 1}, {"Id": 2}]', "none": "[]", "text": '["x"]', "large": " " * 3_000}
    for name, text in files.items():
        (tmp_path / f"{name}.json").write_text(text)

    ran = trial(*arguments, FRONTDESK_MAX_BODY="2048")

    assert (ran.status, ran.out) == (1, "")
    assert sentence in ran.err
    assert ran.err.count("\n") == 1
    assert ran.err.startswith("frontdesk: ")


def test_wrong_routes_are_said_with_their_lines(trial: Try, tmp_path: Path) -> None:
    """As `check` would say it."""
    (tmp_path / "routes.yaml").write_text("routes:\n  - {action: BookingCraete, handler: log}\n")

    ran = trial("log")

    assert ran.status == 1
    assert "routes.yaml:2: " in ran.err


DRY = """
routes:
  - name: tell
    action: BookingCreate
    where: data.Tentative == true
    handler: notify
    with: {to: env/CHAT, title: "{{ data.ResourceName }}", message: "{{ data.BookingNumber }}\\nfor {{ business_id }}"}
  - {name: broken, action: BookingCreate, handler: notify, with: {to: env/CHAT, message: "{{ data.Nothing }}"}}
  - {name: plain, action: BookingCreate, handler: log}
"""


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(tmp_path: Path) -> None:
    """Whether the route matches, the rendered message, or why there is none."""
    (tmp_path / "routes.yaml").write_text(DRY)
    with a_target() as chat:
        settings = {"CHAT": f"json://127.0.0.1:{chat.port}/s3cr3t"}
        told, broken, plain = (
            processes.run("try", route, "--dry-run", settings=settings, cwd=tmp_path)
            for route in ("tell", "broken", "plain")
        )
        shown = processes.run("try", "tell", "--dry-run", "--json", settings=settings, cwd=tmp_path)
    message = json.loads(shown.out)

    assert chat.received == []
    assert (told.status, broken.status, plain.status) == (0, 1, 0)
    assert "note: the route does not match this event: its filter is false" in told.out
    assert "title: Salle Eiffel – 2ème étage\nmessage:\n    48213\n    for 1\n" in told.out
    assert told.out.endswith("nothing was sent\n")
    assert "nothing can be sent: TemplateFailed: the template fails: there is no field 'Nothing'" in broken.out
    assert "does not tell what it would send; it was not run" in plain.out
    assert message["would_send"]["message"] == "48213\nfor 1"
    assert message["error"] is None
    assert "s3cr3t" not in told.out + shown.out
