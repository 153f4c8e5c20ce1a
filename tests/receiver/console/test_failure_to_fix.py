"""From failure to fix in a real browser: one group, what changed, try one, replay the group, zero, closed. And the
story of one record, edited and sent again.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.receiver.console.house import ADMIN, VIEWER, House, built
from tests.support.processes import wait_until

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A receiver, a worker and a console."""
    with built(tmp_path_factory.mktemp("night")) as house:
        house.serve()
        house.start("work", "--threads", "4")
        house.console()
        yield house


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that complains of nothing."""
    made = browser.new_context(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    made.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    made.on("weberror", lambda error: complaints.append(str(error.error)))
    yield made
    made.close()
    assert complaints == []


def _signed_in(context: BrowserContext, house: House) -> Page:
    page = context.new_page()
    page.goto(f"{house.url}/")
    page.get_by_label("Token").fill(ADMIN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    return page


def _groups(house: House, token: str = ADMIN) -> Any:
    return house.facts("/failures", token)["groups"]


@pytest.mark.needs("chromium")
def test_a_night(night: House, context: BrowserContext) -> None:
    """Everything that failed is one group; one is tried before all others; at zero the group is closed."""
    night.act("/routes/broken/pause")
    night.act("/routes/broken/resume")
    events = [night.post("TeamCreated", number=number) for number in range(12)]
    for event in events:
        night.wait_for_status(event, "dead")
    page = _signed_in(context, night)

    page.get_by_role("link", name="12 events with a dead delivery.").click()
    expect(page.get_by_role("heading", name="Failures")).to_be_visible()
    page.get_by_role("region", name="Groups of failures").get_by_role("link", name="broken").click()
    expect(page.get_by_text("RuntimeError: the lights are out").first).to_be_visible()
    expect(page.get_by_text("alice: resume")).to_be_visible()
    page.get_by_label("Reason").first.fill(HOSTILE)
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status").first).to_have_text("The group is acknowledged: its alert ends.")
    expect(page.get_by_text(HOSTILE)).to_be_visible()

    (night.folder / "mended").touch()
    page.get_by_role("button", name="Replay one").click()
    expect(page.get_by_text("1 of 1 events")).to_be_visible()
    wait_until(lambda: _groups(night)[0]["count"] == 11, "one to be gone")
    page.reload()
    page.get_by_role("button", name="Replay all 11 dead deliveries").click()

    expect(page.locator(".badge.closed")).to_be_visible()
    (group,) = _groups(night)
    assert (group["status"], group["count"]) == ("closed", 0)
    for event in events:
        night.wait_for_status(event, "succeeded")

    (night.folder / "mended").unlink()
    night.wait_for_status(night.post("TeamCreated", number=99), "dead")
    again = wait_until(lambda: next((one for one in _groups(night) if one["count"]), None), "the group to come back")
    assert (again["id"], again["status"], again["reason"]) == (group["id"], "open", None)
    assert page.title() != "owned"


@pytest.mark.needs("chromium")
def test_a_noon(night: House, context: BrowserContext) -> None:
    """The story of a booking: what changed; one of its events edited, refused with the reason, then sent."""
    entity = 4_711
    first = night.post("BookingCreate", json.dumps([{"Id": entity, "Online": True, "Notes": HOSTILE}]).encode())
    night.post("BookingUpdate", json.dumps([{"Id": entity, "Online": False, "Notes": "quiet"}]).encode())
    page = _signed_in(context, night)
    page.goto(f"{night.url}/events/{first}")
    page.get_by_role("button", name="Show texts").click()
    page.get_by_label("Edited record").fill('{"Id": 4711, "Online": "perhaps"}')
    page.get_by_role("button", name="Send as a new event").click()
    expect(page.get_by_role("alert")).to_contain_text("the edited record does not fit BookingCreate: Online: ")
    expect(page.get_by_label("Edited record")).to_have_value('{"Id": 4711, "Online": "perhaps"}')
    page.get_by_label("Edited record").fill('{"Id": 4711,\n "Online": true, "Notes": "edited"}')
    page.get_by_role("button", name="Send as a new event").click()

    expect(page.get_by_role("status").first).to_have_text("The edited record is a new event: one new delivery.")
    expect(page.get_by_text("Edited from")).to_be_visible()
    made = page.url.rpartition("/")[2]
    told = night.wait_for_status(made, "succeeded")
    assert (told["origin"], told["edited_from"]) == ("edited", first)
    assert night.facts(f"/events/{first}")["deliveries"][0]["origin"] is None

    page.get_by_role("link", name=f"Booking:{entity}").click()
    story = page.get_by_role("region", name=f"Events of Booking:{entity}")
    expect(story.get_by_role("row")).to_have_count(4)
    expect(story).to_contain_text("Online: false → true")
    expect(story).not_to_contain_text("quiet")
    page.get_by_role("button", name="Show texts").click()
    expect(story).to_contain_text('Notes: "quiet" → "edited"')
    expect(story).to_contain_text("onerror=")
    assert page.title() != "owned"


def test_a_viewer_sees_the_groups_and_no_text(night: House) -> None:
    """The name of a group is for everybody; the sample's message is not."""
    night.wait_for_status(night.post("TeamCreated", number=500), "dead")
    group = wait_until(lambda: next((one for one in _groups(night, VIEWER) if one["count"]), None), "a group")

    shown, known = (night.facts(f"/failures/{group['id']}", token) for token in (VIEWER, ADMIN))

    assert (shown["error"], shown["excerpt"]) == ("RuntimeError: the lights are out", "RuntimeError: <18 characters>")
    assert known["excerpt"] == "RuntimeError: the lights are out"
    story = night.facts("/entities/Booking:4711", VIEWER)
    assert "quiet" not in str(story)


def test_wrong_questions_get_one_sentence(night: House) -> None:
    """In every field; a group that is not there is not found."""
    night.wait_for_status(night.post("TeamCreated", number=501), "dead")
    group = wait_until(lambda: next((one for one in _groups(night) if one["count"]), None), "a group")["id"]
    for method, path, form, status in (
        ("GET", "/api/failures/nonsense", None, 404),
        ("GET", "/api/failures?sort=colour", None, 400),
        ("GET", "/api/entities/nonsense", None, 400),
        ("GET", "/api/entities/Booking:12345", None, 200),
        ("POST", f"/api/failures/{group}/acknowledge", {"reason": "  "}, 400),
        ("POST", f"/api/failures/{group}/snooze", {"reason": "x", "for": "31d"}, 400),
        ("POST", f"/api/failures/{group}/snooze", {"reason": "x", "for": "soon"}, 400),
        ("POST", f"/api/failures/{group}/replay", {"most": "many"}, 400),
        ("POST", f"/api/failures/{'0' * 12}/replay", {}, 404),
    ):
        answer = night.ask(method, path, token=ADMIN, form=form)
        assert answer.status == status, (path, answer)
        assert status == 200 or answer.json()["error"]
