"""From failure to fix in a real browser. At night: 4,000 dead deliveries, one group, one alert, what changed, try one,
replay the group, zero, closed. At noon: events on a laptop, one edited and sent again, the story of its record.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from standardwebhooks import Webhook

from receiver.nexudus import samples
from receiver.storage.redis import connection, keys
from tests.receiver.console.browsing import signed_in
from tests.receiver.console.house import ADMIN, VIEWER, House, built
from tests.receiver.observation.mailbox import Mailbox
from tests.support.processes import run, wait_until
from tests.workers.handlers.targets import Received, Target, a_target

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
DEAD = 4_000
LONG_S = 400.0
"""How long 4,000 deliveries may take on a busy machine."""

ROUTES = """
routes:
  - name: crm
    action: CoworkerInvoicePaid
    handler: forward
    with: {{url: "{url}", allow_private: true, timeout: 60}}
    timeout: 90s
    retry: []
  - name: probe
    action: VisitorRegistered
    handler: forward
    with: {{url: "{url}?probe", allow_private: true, expect: [2xx, 422]}}
  - name: everything
    action: Booking*
    handler: seen:note
  - name: broken
    action: TeamCreated
    handler: seen:fail
    retry: [100ms]
"""
SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"


class Night:
    """A house whose CRM works at /v1 only, and the mailbox of whoever is on call."""

    def __init__(self, house: House, crm: Target, mailbox: Mailbox) -> None:
        self.house = house
        self.crm = crm
        self.mailbox = mailbox

    def send_to(self, path: str) -> None:
        """Edit routes.yaml, and wait until the console and the workers have it, and have noted that it changed."""
        table, noted = self._table(), wait_until(self._noted, "the workers to note their routes")
        (self.house.folder / "routes.yaml").write_text(ROUTES.format(url=self.crm.url(path=path)))
        wait_until(lambda: self._table() != table, "the console to reload")
        wait_until(lambda: self._noted() != noted, "the workers to note the change")
        wait_until(lambda: self._probed().path == f"{path}?probe", "the workers to reload")

    def _table(self) -> str:
        table: str = self.house.facts("/routes")["hash"]
        return table

    def _noted(self) -> bytes | None:
        with connection.connect(self.house.settings["FRONTDESK_REDIS_URL"]) as client:
            noted: bytes | None = client.hget(keys.ROUTE_VERSIONS, "crm")
            return noted

    def _probed(self) -> Received:
        """Let the workers send one more event that no failure comes of; return the request."""
        before = len(self.crm.received)
        self.house.post("VisitorRegistered", number=before)
        wait_until(lambda: len(self.crm.received) > before, "a probe")
        return self.crm.received[-1]

    def post(self, numbers: range) -> None:
        """Post paid invoices, a hundred in a request."""
        for start in range(numbers.start, numbers.stop, 100):
            some = range(start, min(start + 100, numbers.stop))
            records = [samples.record("CoworkerInvoicePaid", now=self.house.now, number=number) for number in some]
            answer = self.house.posted("CoworkerInvoicePaid", json.dumps(records).encode())
            assert [one["status"] for one in answer.json()["events"]] == ["accepted"] * len(some)

    def group(self, token: str = ADMIN) -> Any:
        """The one group of the route; None while there is none."""
        found = [one for one in _groups(self.house, token) if one["route"] == "crm"]
        assert len(found) < 2, found
        return found[0] if found else None


def _judge(received: Received) -> tuple[int, bytes]:
    """What the CRM answers: its /v2 wants a field that nobody sends, and says of whom."""
    if received.path.startswith("/v1"):
        return 200, b"ok"
    record = json.loads(received.body)["data"]
    said = f"invoice {record['Id']} of {record.get('CoworkerFullName')} has no field 'tenant_{record['Id']}'"
    return 422, said.encode()


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """A receiver, workers and a console."""
    with a_target() as crm, Mailbox() as mailbox:
        crm.judge = _judge
        routes = ROUTES.format(url=crm.url(path="/v1"))
        with built(tmp_path_factory.mktemp("night"), routes=routes) as house:
            house.settings["FRONTDESK_ALERT_URLS"] = mailbox.url
            house.serve()
            house.start("work", "--threads", "4")
            house.console()
            yield Night(house, crm, mailbox)


@pytest.fixture(scope="module")
def house(night: Night) -> House:
    """The house of the night."""
    return night.house


def _groups(house: House, token: str = ADMIN) -> Any:
    return house.facts("/failures", token)["groups"]


def _broken(house: House, token: str = ADMIN) -> Any:
    return next((one for one in _groups(house, token) if one["route"] == "broken" and one["count"]), None)


@pytest.mark.needs("chromium")
@pytest.mark.timeout(1_200)  # 8,000 deliveries, on a busy machine
def test_a_night(night: Night, context: BrowserContext) -> None:
    """4,000 failures are one group and one alert; one is tried before all others; at zero the group is closed."""
    night.send_to("/v2")
    night.post(range(1, DEAD + 1))
    house, page = night.house, signed_in(context, night.house)
    wait_until(lambda: house.facts("/dead")["total"] == DEAD, "all to be dead", timeout_s=LONG_S)
    wait_until(lambda: night.group()["count"] == DEAD, "one group of all")
    wait_until(lambda: night.mailbox.posts, "the alert")

    page.goto(f"{house.url}/")
    wrong = page.get_by_role("listitem").filter(has_text="4,000 events with a dead delivery.")
    wrong.get_by_role("link", name="Show the failures").click()
    expect(page.get_by_role("heading", name="Failures")).to_be_visible()
    table = page.get_by_role("region", name="Groups of failures")
    expect(table.locator("tbody tr")).to_have_count(1)
    expect(table).to_contain_text("NotDelivered: … answered 422")
    table.get_by_role("link", name="crm").click()
    expect(page.get_by_text("has no field 'tenant_").first).to_be_visible()
    expect(page.get_by_text("workers got another with")).to_be_visible()
    page.get_by_label("Reason to acknowledge it").fill(HOSTILE)
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status").first).to_have_text("The group is acknowledged: its alert ends.")
    expect(page.get_by_text(HOSTILE)).to_be_visible()

    page.get_by_role("button", name="Try one").click()
    expect(page.get_by_role("region", name="Tried one")).to_contain_text("The delivery failed again.")
    night.send_to("/v1")
    page.get_by_role("button", name="Try one").click()
    expect(page.get_by_role("region", name="Tried one")).to_contain_text("The delivery succeeded")
    page.get_by_role("button", name="Replay all 3\u202f999 dead deliveries").click()
    expect(page.locator(".badge.closed")).to_be_visible(timeout=LONG_S * 1_000)
    expect(page.get_by_role("button", name="Try one")).to_have_count(0)

    group = night.group()
    assert (group["status"], group["count"]) == ("closed", 0)
    assert house.facts("/dead")["total"] == 0
    wait_until(
        lambda: sum(one.path == "/v1" for one in night.crm.received) == DEAD, "the CRM to have all", timeout_s=LONG_S
    )
    wait_until(lambda: len(night.mailbox.posts) > 1, "the alert to be over")
    assert night.mailbox.titles == [
        f"Frontdesk: {over}Route crm fails: NotDelivered 422" for over in ("", "resolved: ")
    ]
    assert page.title() != "owned"
    _assert_it_opens_anew(night, group["id"])


def _assert_it_opens_anew(night: Night, group_id: str) -> None:
    """The same failure is the same group, and what was said about it is over."""
    night.send_to("/v2")
    night.post(range(DEAD + 1, DEAD + 2))
    again = wait_until(lambda: one if (one := night.group())["count"] else None, "the group to come back")
    assert (again["id"], again["status"], again["reason"]) == (group_id, "open", None)


@pytest.mark.needs("chromium")
def test_a_noon(house: House, context: BrowserContext, tmp_path: Path) -> None:
    """A laptop gets copies; one is edited there and one in the browser, refused with the reason, then sent; replayed;
    and the story of the booking tells all of it."""
    entity = 4_711
    with a_target() as laptop:
        listening = house.start("listen", "--to", laptop.url(), "--console", house.url, "--secret", SECRET)
        listening.wait_for("Copies of events go to")
        first = _posted_until_copied(house, laptop, entity)
        record = _copies(laptop)[first]["data"]
        (tmp_path / "edited.json").write_text(json.dumps(record | {"Notes": "from the laptop"}))
        ran = run("replay", first, "--with", str(tmp_path / "edited.json"), "--yes", settings=house.settings)
        assert ran.status == 0, ran
        page = signed_in(context, house)
        made = _edit_in_browser(page, house, first)
        copy = wait_until(lambda: _copies(laptop).get(made), "a copy of the edited event")
        assert (copy["origin"], copy["data"]["Notes"]) == ("edited", "edited")

    told = house.wait_for_status(made, "succeeded")
    assert (told["origin"], told["edited_from"]) == ("edited", first)
    assert house.facts(f"/events/{first}")["deliveries"][0]["origin"] is None
    page.reload()
    page.get_by_role("button", name="Replay for everything").click()
    expect(page.get_by_role("status").first).to_have_text("Replayed: one new delivery.")

    page.get_by_role("link", name=f"Booking:{entity}").click()
    story = page.get_by_role("region", name=f"Events of Booking:{entity}")
    expect(story.get_by_text("first known event")).to_be_visible()
    expect(story.get_by_text("edited", exact=True)).to_have_count(2)
    expect(story).not_to_contain_text("from the laptop")
    page.get_by_role("button", name="Show texts").click()
    expect(story).to_contain_text('Notes: "from the laptop" → "edited"')
    expect(story).to_contain_text("onerror=")
    assert page.title() != "owned"


def _posted_until_copied(house: House, laptop: Target, entity: int) -> str:
    """Post a booking until the laptop, which listens from some moment on, has a copy; return its event's id."""
    posted: list[str] = []

    def copied() -> str | None:
        if not posted or len(posted) < 20:
            record = {"Id": entity, "Online": True, "Notes": HOSTILE, "Price": float(len(posted))}
            posted.append(house.post("BookingCreate", json.dumps([record]).encode()))
        return next((one for one in posted if one in _copies(laptop)), None)

    return wait_until(copied, "a copy on the laptop")


def _copies(laptop: Target) -> dict[str, Any]:
    """What the laptop got, by the event's id; each is signed."""
    told = [Webhook(SECRET).verify(one.body.decode(), dict(one.headers)) for one in list(laptop.received)]
    return {one["id"]: one for one in told}


def _edit_in_browser(page: Page, house: House, event: str) -> str:
    """Edit an event on its page: first to what does not fit. Returns the id of the new event, which the page shows."""
    page.goto(f"{house.url}/events/{event}")
    page.get_by_role("button", name="Show texts").click()
    page.get_by_label("Edited record").fill('{"Id": 4711, "Online": "perhaps"}')
    page.get_by_role("button", name="Send as a new event").click()
    expect(page.get_by_role("alert")).to_contain_text("the edited record does not fit BookingCreate: Online: ")
    expect(page.get_by_label("Edited record")).to_have_value('{"Id": 4711, "Online": "perhaps"}')
    page.get_by_label("Edited record").fill('{"Id": 4711,\n "Online": true, "Notes": "edited"}')
    page.get_by_role("button", name="Send as a new event").click()
    expect(page.get_by_role("status").first).to_have_text("The edited record is a new event: one new delivery.")
    expect(page.get_by_text("Edited from")).to_be_visible()
    return page.url.rpartition("/")[2]


def test_a_viewer_sees_the_groups_and_no_text(house: House) -> None:
    """The name of a group is for everybody; the sample's message is not."""
    house.wait_for_status(house.post("TeamCreated", number=500), "dead")
    group = wait_until(lambda: _broken(house, VIEWER), "a group")

    shown, known = (house.facts(f"/failures/{group['id']}", token) for token in (VIEWER, ADMIN))

    assert (shown["error"], shown["excerpt"]) == ("RuntimeError: the lights are out", "RuntimeError: <18 characters>")
    assert known["excerpt"] == "RuntimeError: the lights are out"
    story = house.facts("/entities/Booking:4711", VIEWER)
    assert "quiet" not in str(story)


def test_wrong_questions_get_one_sentence(house: House) -> None:
    """In every field; a group that is not there is not found."""
    house.wait_for_status(house.post("TeamCreated", number=501), "dead")
    group = wait_until(lambda: _broken(house), "a group")["id"]
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
        ("POST", f"/api/failures/{'0' * 12}/try", {}, 404),
        ("GET", f"/api/failures/{group}?tried=nonsense", None, 404),
    ):
        answer = house.ask(method, path, token=ADMIN, form=form)
        assert answer.status == status, (path, answer)
        assert status == 200 or answer.json()["error"]
