"""Every page and every act, walked by a real browser against running processes, at phone and desktop width."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Route, expect

from receiver.storage.redis import connection
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.gap_ledger import CoverageChange, GapLedger, GapState, GapWhy, PairHealth, opened
from tests.conftest import find_program
from tests.receiver.console.browsing import WIDTHS, signed_in
from tests.receiver.console.house import ADMIN, CHANGED_SECRET, VIEWER, House
from tests.support.events import entry, keep_all
from tests.support.processes import run, wait_until

pytestmark = pytest.mark.needs("chromium")

SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
SHOTS = Path(__file__).parents[3] / "build" / "screenshots"
COUNT_TEXTS_READ = """
window.textsRead = 0;
const text = Response.prototype.text;
Response.prototype.text = async function () {
  const read = await text.call(this);
  setTimeout(() => { window.textsRead += 1; }, 0);  // after whoever waits for it has gone on
  return read;
};
"""


def look_as_the_registrar(house: House) -> None:
    """Leave in the store what a look at the hooks of two locations leaves: one gap is open, one was healed."""
    now_ms = time.time_ns() // 1_000_000
    routed = ("BookingCreate", "BookingUpdate", "TeamCreated", "TariffDelete", "CoworkerCreate")
    pairs = {(place, action): PairHealth(now_ms, now_ms) for place in (1001, 1002) for action in routed}
    open_gap = opened((1001, "TeamCreated"), now_ms - 3_600_000, GapWhy.DISABLED)
    healed = replace(
        opened((1002, "BookingUpdate"), now_ms - 7_200_000, GapWhy.MISSING),
        to_ms=now_ms - 3_600_000,
        state=GapState.HEALED,
        found=12,
        made=9,
        known=3,
    )
    with connection.connect(house.settings["FRONTDESK_REDIS_URL"]) as client:
        GapLedger(client).apply(CoverageChange(now_ms, False, pairs, (), [open_gap, healed]))
        BusinessNames(client).remember({1001: "London Bridge", 1002: "Madrid Centro"})


@pytest.fixture(scope="module")
def lived_in(house: House) -> dict[str, str]:
    """Events of every kind; their ids by what they are."""
    look_as_the_registrar(house)
    for number, action in enumerate(("CoworkerCheckin", "VisitorRegistered", "CoworkerInvoicePaid", "BookingUpdate")):
        for more in range(6):
            house.post(action, number=100 * number + more, business_id=1001 + more % 2)
    found = {
        "well": house.post("BookingCreate", number=1),
        "dead": house.post("TeamCreated", number=1),
        "forged": house.post_forged("CoworkerUpdate"),
        "unreadable": house.post("CoworkerCreate", b'[{"Id": 1, "FullName": "Ad'),
    }
    for number in range(2, 5):
        house.post("TeamCreated", number=number)
    house.wait_for_status(found["dead"], "dead")
    house.wait_for_status(found["well"], "succeeded")
    found["group"] = wait_until(lambda: house.facts("/failures")["groups"], "a group of failures")[0]["id"]
    for word in ("pause", "resume"):
        assert run(word, "announce-paid", settings=house.settings, cwd=house.folder).status == 0
    found["entity"] = house.facts(f"/events/{found['well']}")["entity"]
    return found


def _paths(events: dict[str, str]) -> dict[str, str]:
    return {
        "overview": "/",
        "overview-day": "/?span=day",
        "overview-week": "/?span=week",
        "events": "/events",
        "events-filtered": "/events?action=BookingUpdate&status=succeeded&since=1h",
        "event": f"/events/{events['well']}",
        "event-dead": f"/events/{events['dead']}",
        "event-quarantined": f"/events/{events['forged']}",
        "event-unreadable": f"/events/{events['unreadable']}",
        "routes": "/routes",
        "playground": "/playground?route=everything",
        "hooks": "/hooks",
        "failures": "/failures",
        "failure": f"/failures/{events['group']}",
        "entity": f"/entities/{events['entity']}",
        "coverage": "/coverage",
        "dead": "/dead",
        "quarantine": "/quarantine",
        "release": "/quarantine/release",
        "workers": "/workers",
        "acts": "/acts",
        "replay": "/replay?status=dead",
    }


@pytest.mark.timeout(900)
@pytest.mark.parametrize("width", list(WIDTHS))
def test_every_page_fits_and_is_kept_as_a_picture(
    house: House, lived_in: dict[str, str], context: BrowserContext, width: str
) -> None:
    """Nothing has to be scrolled sideways, and the pictures, by day and by night, are there to be looked at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    size = WIDTHS[width]
    page = context.new_page()
    page.set_viewport_size({"width": size[0], "height": size[1]})

    def keep(name: str) -> None:
        for scheme in SCHEMES:  # one load of the page for both
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=SHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], name
        for link in page.get_by_role("navigation", name="Pages").get_by_role("link").all():
            box = link.bounding_box()
            assert box is not None
            assert 0 <= box["x"] <= box["x"] + box["width"] <= size[0], (name, link.text_content())

    page.goto(f"{house.url}/")
    keep("sign-in")
    page.get_by_label("Token").fill(ADMIN)
    page.get_by_role("button", name="Sign in").click()
    for name, path in _paths(lived_in).items():
        answer = page.goto(f"{house.url}{path}")
        assert answer is not None
        assert answer.status == 200
        keep(name)


def test_a_phone_shows_why_too(house: House, lived_in: dict[str, str], browser: Browser) -> None:
    """What is dead or set aside is told with its reason where there is no room for columns."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = signed_in(context, house)
    page.goto(f"{house.url}/dead")
    expect(page.locator(f"#e-{lived_in['dead']}").get_by_text("the lights are out").first).to_be_visible()
    page.goto(f"{house.url}/quarantine")
    expect(page.locator(f"#e-{lived_in['forged']}").get_by_text("does not match").first).to_be_visible()
    expect(page.get_by_role("link", name="Quarantine", exact=True)).to_be_in_viewport()
    context.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from the npm registry."""
    npm = find_program("npm")
    folder = tmp_path_factory.mktemp("axe")
    if npm:
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), "axe-core@4"]
        ended = subprocess.run(command, capture_output=True, timeout=100, check=False)
        if ended.returncode == 0:
            return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()
    sentence = "NOT TESTED: accessibility, because axe-core cannot be had by npm on this machine"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{sentence}, and under CI=true it must be")
    pytest.skip(sentence)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("width", list(WIDTHS))
def test_axe_finds_nothing(house: House, lived_in: dict[str, str], browser: Browser, axe: str, width: str) -> None:
    """No finding of any weight, on any page, by its rules for WCAG 2.2 AA and good practice.

    By night a page differs from itself by day in its colours alone, so only the rules about colours look twice.
    """
    size = WIDTHS[width]
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    context.add_init_script(axe)
    page = context.new_page()
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        for scheme in SCHEMES:
            rules = {"runOnly": COLOUR_RULES} if scheme == "dark" else {}
            page.emulate_media(color_scheme=scheme)
            answer = page.evaluate("(rules) => axe.run(document, rules)", rules)
            assert answer["passes"], "axe looked at nothing"
            for one in answer["violations"]:
                node = one["nodes"][0]
                said = f"{one['id']} ({one['impact']}): {node['html'][:160]} {node['failureSummary']}"
                found.setdefault(f"{name}-{scheme}", []).append(said)

    page.goto(f"{house.url}/sign-in")
    look("sign-in")
    page.get_by_label("Token").fill(ADMIN)
    page.get_by_role("button", name="Sign in").click()
    for name, path in _paths(lived_in).items():
        page.goto(f"{house.url}{path}")
        look(name)
    page.evaluate("document.getElementById('keys').showPopover()")  # its button is not there on a phone
    look("keys")
    page.goto(f"{house.url}/events/nothing")
    look("failed")
    context.close()
    assert found == {}


def test_events_come_live_and_can_be_paused(house: House, lived_in: dict[str, str], context: BrowserContext) -> None:
    """A new event is there within moments, and its status follows it; while paused nothing moves."""
    page = signed_in(context, house)
    page.get_by_role("link", name="Events", exact=True).click()
    page.wait_for_selector(".live.on")

    event = house.post("CoworkerDelete", number=9_001)

    row = page.locator(f"#e-{event}")
    expect(row).to_contain_text("CoworkerDelete")
    expect(row).to_contain_text("succeeded")
    page.get_by_role("button", name="Pause").click()
    paused = house.post("CoworkerDelete", number=9_002)
    house.wait_for_status(paused, "succeeded")
    assert page.locator(f"#e-{paused}").count() == 0
    page.get_by_role("button", name="Resume", exact=True).click()
    page.wait_for_selector(".live.on")
    later = house.post("CoworkerDelete", number=9_003)
    expect(page.locator(f"#e-{later}")).to_be_visible()


def test_events_are_filtered_and_paged(house: House, lived_in: dict[str, str], context: BrowserContext) -> None:
    """By the form, and page by page without gap or repetition."""
    for number in range(120):
        house.post("ProductUpdate", number=20_000 + number, business_id=1002)
    page = signed_in(context, house)
    page.goto(f"{house.url}/events")
    page.get_by_label("Action").fill("ProductUpdate")
    page.get_by_label("Business").fill("1002")
    with page.expect_navigation():
        page.get_by_role("button", name="Filter").click()

    seen: list[str] = []
    while True:
        seen += page.eval_on_selector_all("#rows tr", "rows => rows.map((row) => row.id)")
        older = page.get_by_role("link", name="Older")
        if older.count() == 0:
            break
        with page.expect_navigation():
            older.click()

    assert len(seen) == len(set(seen)) == 120
    assert seen == sorted(seen, reverse=True)
    page.get_by_role("link", name="Newest").click()
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Text in the record").fill(str(house.facts(f"/events/{lived_in['well']}")["data"]["Id"]))
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(f"#e-{lived_in['well']}")).to_be_visible()


def test_a_long_search_goes_on_until_its_end(house: House, browser: Browser) -> None:
    """By itself where scripts run, by a link where they do not, and for programs; what is found last is found once."""
    needle = _fill_with_hay(house)
    path = "/events?text=the-needle"
    pages = list(_pages(house, path))
    assert len(pages) > 2
    assert [event["id"] for page in pages for event in page["events"]] == [needle]
    assert all(page["is_cut"] and page["looked_at"] and page["looked_back_to"] for page in pages[:-1])

    plain = browser.new_context(java_script_enabled=False)
    page = signed_in(plain, house)
    page.goto(f"{house.url}{path}")
    expect(page.locator("#empty")).to_contain_text("No match in the newest")
    expect(page.get_by_text("older events have not been searched yet")).to_be_visible()
    while not page.locator(f"#e-{needle}").count():
        page.get_by_role("link", name="Search further").click()
    plain.close()

    lively = browser.new_context()
    page = signed_in(lively, house)
    page.goto(f"{house.url}{path}")
    expect(page.locator(f"#e-{needle}")).to_be_visible()
    expect(page.get_by_role("link", name="Search further")).to_have_count(0)
    expect(page.locator("#empty")).to_have_count(0)
    page.goto(f"{house.url}/events?text=no-needle-at-all")
    expect(page.locator("#empty")).to_have_text("No more matching events.")
    assert house.facts("/replay?text=hay+hay")["is_cut"]
    page.goto(f"{house.url}/replay?text=hay+hay")
    expect(page.get_by_role("heading", name=re.compile("^400 events, "))).to_be_visible()
    expect(page.get_by_role("link", name="Continue counting")).to_have_count(0)
    expect(page.get_by_role("button", name="Replay 400 events")).to_be_visible()
    lively.close()


def _fill_with_hay(house: House) -> str:
    """Keep events that take long to look through, and before them one to find; return its id."""
    began = time.time() - 7_200
    hay = b'{"Id":%d,"Note":"' + b"hay " * 200_000 + b'"}'
    events = [entry(hay % number, at=began + 1 + number, routes=()) for number in range(400)]
    needle = entry(b'{"Id":"the-needle"}', at=began, routes=())
    with connection.connect(house.settings["FRONTDESK_REDIS_URL"]) as client:
        keep_all(client, needle)
        for start in range(0, 400, 50):
            keep_all(client, *events[start : start + 50])
    return needle.envelope.id


def _pages(house: House, path: str) -> Iterator[Any]:
    more = None
    while True:
        page = house.facts(f"{path}{f'&after={more}' if more else ''}")
        yield page
        more = page["more"]
        if not more:
            return


def test_an_event_is_unmasked_and_replayed(house: House, lived_in: dict[str, str], context: BrowserContext) -> None:
    """The texts appear, and only then; a replay for one route, and for all of them, makes new deliveries."""
    page = signed_in(context, house)
    page.goto(f"{house.url}/events/{lived_in['well']}")
    record = page.get_by_role("region", name="The record as JSON")
    expect(record).to_contain_text("characters>")

    page.get_by_role("button", name="Show texts").click()
    expect(record).not_to_contain_text("characters>")
    page.get_by_role("link", name="Mask texts").click()
    expect(record).to_contain_text("characters>")

    page.get_by_role("button", name="Replay for route everything").click()
    expect(page.get_by_role("status").first).to_have_text("Replayed: one new delivery.")
    house.wait_for_status(lived_in["well"], "succeeded")
    page.reload()
    expect(page.locator(".said")).to_have_count(0)
    page.get_by_role("button", name=re.compile("^Replay for all")).click()
    expect(page.get_by_role("status").first).to_contain_text("new deliveries")
    event = house.wait_for_status(lived_in["well"], "succeeded")
    assert sum(delivery["origin"] == "replay" for delivery in event["deliveries"]) >= 2


def test_a_pasted_record_is_explained(house: House, context: BrowserContext) -> None:
    """Which routes want it, and the first condition that keeps the others away; for viewers too."""
    page = signed_in(context, house, VIEWER)
    page.get_by_role("link", name="Routes", exact=True).click()
    page.get_by_label("Action").fill("BookingCreate")
    page.get_by_label("Business").fill("1001")
    page.get_by_role("textbox", name="Record, as JSON").fill('[{"Id": 1, "Online": false, "AvailableCredit": 5.0}]')

    page.get_by_role("button", name="Explain").click()

    expect(page.get_by_role("heading", name="1 of 4 routes match")).to_be_visible()
    row = page.locator("#answer tr", has_text="announce-paid")
    expect(row).to_contain_text("its filter is false")
    expect(page.get_by_role("textbox", name="Record, as JSON")).to_have_value(re.compile("AvailableCredit"))


def test_hooks_are_planned_and_applied(house: House, context: BrowserContext) -> None:
    """The plan is shown before anything is done, and what a person said yes to is done and nothing else."""
    assert house.nexudus is not None
    page = signed_in(context, house)
    page.get_by_role("link", name="Hooks", exact=True).click()
    expect(page.get_by_role("heading", name="178 changes needed to match routes.yaml")).to_be_visible()
    assert house.nexudus.hooks() == []

    page.get_by_role("button", name="Apply these 178 changes").click()

    expect(page.get_by_text("178 of 178 changes")).to_be_visible(timeout=60_000)
    page.goto(f"{house.url}/hooks?look=yes")
    expect(page.get_by_role("heading", name="Nothing to change")).to_be_visible()
    assert len(house.nexudus.hooks()) == 178
    house.nexudus.fire(1002, "ProposalUpdated")
    (fired,) = wait_until(lambda: house.facts("/events?action=ProposalUpdated")["events"], "what Nexudus fired")
    page.goto(f"{house.url}/hooks?look=yes")
    rows = {(row["action"], row["business_id"]): row for row in house.facts("/hooks")["hooks"]}
    row = rows["ProposalUpdated", 1002]
    assert datetime.fromisoformat(row["last_received_at"]) == datetime.fromisoformat(fired["received_at"])
    assert (row["error_count"], bool(row["last_trigger"])) == (0, True)
    assert rows["ProposalUpdated", 1001]["last_trigger"] is None
    house.nexudus.edit(house.nexudus.hooks()[0]["Id"], Active=False)
    page.goto(f"{house.url}/hooks?look=yes")
    expect(page.locator("tbody tr").first).to_contain_text("disabled")
    answer = house.ask("POST", "/api/hooks/apply", token=ADMIN, form={"digest": "of another plan"})
    assert (answer.status, "nothing was done" in answer.json()["error"]) == (400, True)
    page.get_by_role("button", name="Apply this change").click()
    expect(page.get_by_text("1 of 1 changes")).to_be_visible(timeout=60_000)
    applied = [act for act in house.facts("/acts")["acts"] if act["what"] == "apply"]
    assert [act["who"] for act in applied] == ["alice", "alice"]


def test_what_is_in_quarantine_is_released(house: House, lived_in: dict[str, str], context: BrowserContext) -> None:
    """One at a time with the reason when it stays; all that pass after they were counted."""
    page = signed_in(context, house)
    page.goto(f"{house.url}/events/{lived_in['unreadable']}")
    page.get_by_role("button", name="Check again and release").click()
    expect(page.get_by_role("status").first).to_contain_text("It stays in quarantine: the body cannot be read")

    page.get_by_role("link", name="Quarantine", exact=True).click()
    page.get_by_role("link", name="Release requests that pass now…").click()
    expect(page.get_by_role("heading", name="0 requests would pass now")).to_be_visible()
    answer = house.act("/quarantine/release")
    assert answer["passing"] == 0
    shown = run("acts", "--json", settings=house.settings).out
    assert '"what":"release"' in shown


def test_what_was_signed_with_a_changed_secret_is_released(
    house: House, lived_in: dict[str, str], context: BrowserContext
) -> None:
    """The secret was changed at Nexudus, and here only now: one by hand, then the rest after they were counted."""
    ids = [house.post_forged("ProposalCreated", number=number, secret=CHANGED_SECRET) for number in range(1, 5)]
    page = signed_in(context, house)
    page.goto(f"{house.url}/events/{ids[0]}")
    expect(page.get_by_text("Quarantined: X-Nexudus-Hook-Signature does not match")).to_be_visible()
    page.get_by_role("button", name="Check again and release").click()
    expect(page.get_by_role("status").first).to_have_text("Released: 1 event.")
    house.wait_for_status(ids[0], "succeeded")

    page.get_by_role("link", name="Quarantine", exact=True).click()
    page.get_by_role("link", name="Release requests that pass now…").click()
    expect(page.get_by_role("heading", name="3 requests would pass now")).to_be_visible()
    page.get_by_role("button", name="Release 3 requests").click()
    for event_id in ids[1:]:
        house.wait_for_status(event_id, "succeeded")

    page.goto(f"{house.url}/quarantine/release")
    expect(page.get_by_role("heading", name="0 requests would pass now")).to_be_visible()
    released = [act for act in house.facts("/acts")["acts"] if act["what"] == "release" and act["who"] == "alice"]
    assert {act["detail"].get("requests") for act in released} >= {3}


def test_a_route_is_paused_and_resumed(house: House, lived_in: dict[str, str], context: BrowserContext) -> None:
    """Who paused it is shown, and of an event that waits, why; with the pause what waited goes on."""
    page = signed_in(context, house)
    page.get_by_role("link", name="Routes", exact=True).click()
    page.get_by_role("button", name="Pause route announce-paid").click()
    expect(page.get_by_role("status").first).to_have_text("announce-paid is paused.")
    row = page.locator("table.routes tr", has_text="announce-paid")
    expect(row).to_contain_text("paused")
    expect(row).to_contain_text("by alice")

    event = house.post("BookingUpdate", number=7_000)
    page.goto(f"{house.url}/events/{event}")
    expect(page.locator("section", has=page.get_by_role("heading", name="Deliveries"))).to_contain_text(
        "its route is paused"
    )
    page.goto(f"{house.url}/routes")
    page.get_by_role("button", name="Resume route announce-paid").click()
    expect(page.get_by_role("status").first).to_have_text("announce-paid is resumed.")

    house.wait_for_status(event, "succeeded")
    acts = [(act["who"], act["what"]) for act in house.facts("/acts")["acts"][:2]]
    assert acts == [("alice", "resume"), ("alice", "pause")]
    with pytest.raises(AssertionError, match="403"):
        house.act("/routes/announce-paid/pause", token=VIEWER)


def test_the_dead_are_replayed_after_they_were_counted(
    house: House, lived_in: dict[str, str], context: BrowserContext
) -> None:
    """The count first, then the run with its progress; what was dead succeeds once its cause is gone."""
    (house.folder / "mended").touch()
    try:
        number = house.facts("/dead")["total"]
        page = signed_in(context, house)
        page.get_by_role("link", name="Dead", exact=True).click()
        page.get_by_role("link", name="Replay all of them…").click()
        expect(page.get_by_role("heading", name=f"{number} events, {number} deliveries")).to_be_visible()

        page.get_by_role("button", name=f"Replay {number} events").click()

        expect(page.get_by_text(f"{number} of {number} events")).to_be_visible()
        house.wait_for_status(lived_in["dead"], "succeeded")
        page.goto(f"{house.url}/dead")
        expect(page.get_by_text("No dead deliveries.")).to_be_visible()
        acts = [act["what"] for act in house.facts("/acts")["acts"]]
        assert "replay" in acts
    finally:
        (house.folder / "mended").unlink()


def test_it_can_be_used_by_keyboard_alone(house: House, lived_in: dict[str, str], context: BrowserContext) -> None:
    """Sign in, skip to the content, open an event, sign out."""
    page = context.new_page()
    page.goto(f"{house.url}/")
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(ADMIN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    page.wait_for_load_state()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()  # the browser follows the link a moment after the key
    page.goto(f"{house.url}/events?after={lived_in['dead']}")
    link = page.locator(".what a").first
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What happened")).to_be_visible()
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_refresh_leaves_the_focus_where_it_is(
    house: House, lived_in: dict[str, str], context: BrowserContext
) -> None:
    """Also when the focus moves into the part while its next state is on its way."""
    context.add_init_script(COUNT_TEXTS_READ)
    page = signed_in(context, house)
    held: list[Route] = []
    page.route(f"{house.url}/", lambda route: held.append(route))
    wait_until(lambda: page.evaluate("true") and held, "the page to be loaded again")
    link = page.locator("#overview").get_by_role("link", name="Audit log")

    link.focus()
    held[0].continue_()

    wait_until(lambda: page.evaluate("window.textsRead") > 0, "the answer to be dealt with")
    expect(link).to_be_focused()


def test_it_works_without_scripts(house: House, lived_in: dict[str, str], browser: Browser) -> None:
    """All that they do is make pages livelier."""
    context = browser.new_context(java_script_enabled=False)
    page = signed_in(context, house)
    page.goto(f"{house.url}/events?status=quarantined")
    page.locator(".what a").first.click()
    expect(page.get_by_role("heading", name="What happened")).to_be_visible()
    context.close()
