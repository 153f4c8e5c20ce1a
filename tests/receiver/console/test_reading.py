"""What makes pages easier to read: the reader's own time, tables sorted by their address, keys, remedies."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.receiver.console.browsing import a_context, signed_in
from tests.receiver.console.house import ADMIN, House, built

ACTIONS = ("VisitorRegistered", "BookingCreate", "CoworkerCheckin")


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A receiver and a console; no worker runs, so three events wait."""
    with built(tmp_path_factory.mktemp("waiting")) as house:
        house.serve()
        house.console()
        for number, action in enumerate(ACTIONS):
            house.post(action, number=number)
        yield house


@pytest.mark.needs("chromium")
def test_times_are_shown_in_the_readers_zone_with_utc_beside(waiting: House, browser: Browser) -> None:
    """Japan is nine hours ahead; without scripts, times are in UTC and say so."""
    event = waiting.facts("/events")["events"][0]
    at = datetime.fromisoformat(event["received_at"])
    there = at + timedelta(hours=9)
    with a_context(browser, timezone_id="Asia/Tokyo") as context:
        page = signed_in(context, waiting)
        page.goto(f"{waiting.url}/events")
        cell = page.locator(f"#e-{event['id']} .when")
        expect(cell).to_have_text(f"{there:%H:%M:%S}{there:%Y-%m-%d}{at:%H:%M:%S} UTC")
        expect(page.get_by_role("columnheader", name="Received")).to_have_text("Received (Asia/Tokyo)")
        page.goto(f"{waiting.url}/events/{event['id']}")
        expect(page.locator(".timeline time").first).to_contain_text(f"{there:%Y-%m-%d %H:%M:%S}")
        expect(page.locator(".timeline time").first).to_contain_text(f"({at:%Y-%m-%d %H:%M:%S}")
    with a_context(browser, timezone_id="Asia/Tokyo", java_script_enabled=False) as context:
        page = signed_in(context, waiting)
        page.goto(f"{waiting.url}/events")
        expect(page.locator(f"#e-{event['id']} .when")).to_have_text(f"{at:%H:%M:%S}{at:%Y-%m-%d}")
        expect(page.get_by_role("columnheader", name="Received")).to_have_text("Received (UTC)")


@pytest.mark.needs("chromium")
def test_a_sorted_and_filtered_table_is_shared_by_its_address(waiting: House, context: BrowserContext) -> None:
    """The heading sorts; again, the other way round; a filter keeps the order; programs get the same order."""
    page = signed_in(context, waiting)
    page.goto(f"{waiting.url}/events?business=1001")
    page.get_by_role("link", name="Action", exact=True).click()
    expect(page).to_have_url(f"{waiting.url}/events?business=1001&sort=action")
    expect(page.locator("td.what a")).to_have_text(sorted(ACTIONS))
    page.get_by_role("link", name="Action", exact=True).click()
    expect(page.get_by_role("columnheader", name="Action")).to_have_attribute("aria-sort", "descending")
    expect(page.locator("td.what a")).to_have_text(sorted(ACTIONS, reverse=True))
    expect(page.locator("#live")).to_have_count(0)
    page.get_by_label("Route").select_option("everything")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("td.what a")).to_have_text(sorted(ACTIONS, reverse=True))

    told = [event["action"] for event in waiting.facts("/events?sort=-action")["events"]]
    assert told == sorted(ACTIONS, reverse=True)
    for path in ("/events", "/routes", "/acts", "/workers", "/failures", "/coverage", "/hooks", "/overview", "/dead"):
        answer = waiting.ask("GET", f"/api{path}?sort=%3Cscript%3E", token=ADMIN)
        assert answer.status == 400, path
        assert "is not one of" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/routes?sort=name", "/workers?sort=ready", "/acts?sort=-at", "/?sort=name"])
def test_every_table_is_sorted_on_its_page(waiting: House, path: str) -> None:
    """One heading says so."""
    page = waiting.ask("GET", path, cookie=waiting.sign_in()).text
    assert page.count("aria-sort=") == 1


@pytest.mark.needs("chromium")
def test_keys_lead_to_the_filter_and_through_the_rows(waiting: House, context: BrowserContext) -> None:
    """They do nothing to somebody who writes, and can be switched off for good."""
    page = signed_in(context, waiting)
    page.goto(f"{waiting.url}/events")
    links = page.locator("td.what a")
    page.keyboard.press("/")
    expect(page.get_by_label("Action")).to_be_focused()
    page.keyboard.type("j/?")
    expect(page.get_by_label("Action")).to_have_value("j/?")
    page.get_by_label("Action").fill("")
    page.locator("h1").click()
    for key, row in (("j", 0), ("j", 1), ("j", 2), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        expect(links.nth(row)).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_text("next and previous row of a table")).to_be_visible()
    page.get_by_label("Use these keys in this browser").uncheck()
    page.keyboard.press("Escape")
    expect(page.get_by_text("next and previous row of a table")).to_be_hidden()

    page.reload()
    page.keyboard.press("?")
    page.keyboard.press("j")
    page.get_by_role("button", name="Keyboard").click()
    expect(page.get_by_label("Use these keys in this browser")).not_to_be_checked()
    page.get_by_label("Use these keys in this browser").check()
    page.keyboard.press("Escape")


def test_the_overview_leads_with_what_is_wrong_and_its_remedy(waiting: House) -> None:
    """A command where no page helps."""
    first: Any = waiting.facts("/overview")["trouble"][0]
    page = waiting.ask("GET", "/", cookie=waiting.sign_in()).text

    assert first["text"] == "No worker is running, and 4 deliveries can run."
    assert (first["command"], first["remedy"]) == ("frontdesk work", None)
    assert '<code class="remedy">frontdesk work</code>' in page
    assert page.index("frontdesk work") < page.index("Received, last")
