"""The playground: a route is tried before it is saved, in a real browser and by the API, with nothing sent; then sent
once. What it may not say, and what it may not cost.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from receiver.cli.playground.playground_process import Playground
from receiver.cli.playground.playground_rules import read_route
from receiver.console.pages.playground import as_item, source_of
from receiver.core.errors import RequestRefused, RoutesError, UsageError
from receiver.nexudus.actions import CODES
from receiver.routing import file
from tests.receiver.console.house import ADMIN, VIEWER, House, built
from tests.support.nexudus import SimulatedNexudus
from tests.workers.handlers.targets import Target, a_target

ZOE = 1_409_384_711
SAVED = """\
defaults: {time_zone: Europe/Paris, currency: EUR}
locations:
  1001: {name: Eiffel}
routes:
  # to the CRM
  - name: to-the-crm
    action: BookingCreate
    handler: forward
    with:
      url: env/CRM_URL
      secret: c2VjcmV0c2VjcmV0c2VjcmV0
      allow_private: true
  - {name: quiet, action: TeamCreated, handler: log}
"""
ROUTE = """\
name: try-me
action: BookingCreate
enrich:
  member: {kind: Coworker, id: data.CoworkerId}
where: member != null && data.Online == %s
handler: forward
with:
  url: env/CRM_URL
  allow_private: true
  body: {place: "{{ business.name }}", who: "{{ member.FullName }}", id: "{{ data.Id }}"}
"""


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with a_target() as one:
        yield one


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory, simulator: SimulatedNexudus, target: Target) -> Iterator[House]:
    """A receiver and a console, which knows the CRM."""
    simulator.reset()
    with built(tmp_path_factory.mktemp("garden"), simulator) as house:
        (house.folder / "routes.yaml").write_text(SAVED)
        house.settings["CRM_URL"] = target.url()
        house.serve()
        house.console()
        yield house


def booking(house: House, number: int, *, online: bool = True) -> str:
    """Keep a booking of Zoë."""
    written = f'[{{"Id": {number}, "CoworkerId": {ZOE}, "Online": {str(online).lower()}}}]'
    return house.post("BookingCreate", written.encode())


def tried(house: House, yaml: str, path: str = "/playground", **form: str) -> Any:
    """Return what a trial found."""
    return house.act(path, yaml=yaml, **form)["found"]


def test_a_kept_event_is_tried_and_nothing_is_sent(garden: House, target: Target) -> None:
    """Whether it matches and why not, what was enriched, what would be sent; the audit log knows who looked."""
    event = booking(garden, 1)
    before = len(target.received)

    matched = tried(garden, ROUTE % "true", event=event)
    unmatched = tried(garden, ROUTE % "false", event=event)

    assert (matched["why_not"], matched["error"], matched["sent"]) == (None, None, None)
    assert matched["enriched"]["member"]["FullName"] == "Zoë Lindqvist"
    assert json.loads(matched["would_send"]["body"]) == {"place": "Eiffel", "who": "Zoë Lindqvist", "id": 1}
    assert unmatched["why_not"] == "its filter is false: member != null && data.Online == false"
    assert len(target.received) == before
    assert garden.facts("/acts")["acts"][0]["what"] == "unmask"


def test_it_is_sent_once_as_an_act(garden: House, target: Target) -> None:
    """To the real target, by an admin."""
    event = booking(garden, 2)
    before = len(target.received)

    found = tried(garden, ROUTE % "true", "/playground/send", event=event)

    assert found["sent"]["outcome"] == "succeeded", found
    (request,) = target.received[before:]
    assert b"Lindqvist" in request.body
    act = garden.facts("/acts")["acts"][0]
    assert (act["who"], act["what"]) == ("alice", "try")
    assert (act["detail"]["event_id"], act["detail"]["handler"]) == (event, "forward")
    assert garden.ask("POST", "/api/playground/send", token=VIEWER, form={"yaml": ROUTE}).status == 403
    assert garden.ask("POST", "/api/playground", token=VIEWER, form={"yaml": ROUTE}).status == 403


@pytest.mark.parametrize(
    ("yaml", "path", "sentence"),
    [
        ("", "", "route: must be a mapping"),
        ("name: x\naction: BookingCreat\nhandler: log\n", "", "unknown action 'BookingCreat'; did you mean"),
        ("- {action: '*', handler: log}\n- {name: b, action: '*', handler: log}", "", "there are 2 routes"),
        ("action: '*'\nhandler: os:getcwd\n", "", "is in no saved route; the playground runs no other module"),
        (
            "action: '*'\nhandler: notify\nwith: {to: env/FRONTDESK_ADMIN_TOKEN, message: x}\n",
            "",
            "env/FRONTDESK_ADMIN_TOKEN: the playground cannot use settings of Frontdesk",
        ),
        (
            "action: '*'\nhandler: notify\nwith: {to: file//etc/passwd, message: x}\n",
            "",
            "file//etc/passwd: no saved route uses this file",
        ),
        (
            "action: '*'\nhandler: forward\nwith: {url: 'http://127.0.0.1:1/', proxy: 'http://127.0.0.1:1'}\n",
            "/send",
            "proxy: no saved route with the handler forward has this value",
        ),
        ("action: '*'\nhandler: archive\nwith: {path: /tmp}\n", "/send", "path: no saved route with the handler"),
        ("action: '*'\nhandler: sql\nwith: {url: 'sqlite:///x.db', table: t}\n", "/send", "url: no saved route"),
    ],
)
def test_what_it_may_not_say_is_one_sentence(garden: House, yaml: str, path: str, sentence: str) -> None:
    """Whoever may sign in could not name files, modules and settings before."""
    found = garden.act(f"/playground{path}", yaml=yaml, action="BookingCreate")["found"]

    assert re.search(sentence, found["problems"][0]["message"]), found


def test_lines_of_problems_are_those_of_the_editor(garden: House) -> None:
    """However the route is written: alone, as an item of a list, as a whole file."""
    for text, line in (
        ("name: x\naction: BookingCreate\nhandlr: log\nhandler: log\n", 3),
        ("# one\n- name: x\n  action: BookingCreate\n  handlr: log\n  handler: log\n", 4),
        ("routes:\n  - name: x\n    action: BookingCreate\n    handlr: log\n    handler: log\n", 4),
    ):
        (problem,) = tried(garden, text, action="BookingCreate")["problems"]
        assert (problem["line"], "unknown key 'handlr'" in problem["message"]) == (line, True)


def _bomb() -> str:
    bomb = "action: '*'\nhandler: log\nwith:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    return bomb + "".join(f"  a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]\n" for at in range(1, 9))


def test_what_is_hostile_ends(garden: House) -> None:
    """A YAML bomb, a megabyte of text, an event that is not there, a template that loops."""
    assert tried(garden, _bomb(), action="BookingCreate")["problems"]
    large = garden.ask("POST", "/api/playground", token=ADMIN, form={"yaml": "# " + "x" * 1_000_000})
    assert (large.status, large.json()["error"]) == (413, "the route is longer than 65536 characters")
    gone = tried(garden, "action: '*'\nhandler: log\n", event="0" * 20)
    assert gone["problems"][0]["line"] == 0
    loop = tried(
        garden,
        "action: '*'\nhandler: forward\nwith:\n  url: https://crm.example/\n  body: "
        '"{% for a in data %}{% for b in data %}{% for c in data %}{% for d in data %}x{% endfor %}{% endfor %}'
        '{% endfor %}{% endfor %}"\n',
        action="BookingCreate",
    )
    assert "its loops turn more than 20000 times" in loop["error"]


def test_a_trial_that_does_not_end_is_ended(garden: House, tmp_path: Path) -> None:
    """And only a few run at once."""
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(3600)\n")
    route = "action: BookingCreate\nhandler: slow:handle\n"
    (tmp_path / "routes.yaml").write_text(f"routes:\n- {route.replace(chr(10), chr(10) + '  ').strip()}\n")
    environ = {**os.environ, **garden.settings, "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml")}
    asked = {"yaml": route, "event": "", "action": "BookingCreate", "send": False}
    playground = Playground(environ, within_s=10)

    assert playground.run(asked) == {
        "problems": [{"line": 0, "message": "the trial took longer than 10 s and was ended"}]
    }
    playground._places.acquire()
    playground._places.acquire()
    with pytest.raises(RequestRefused, match="others try routes just now"):
        playground.run(asked)


def test_a_route_of_the_table_is_taken_without_its_secrets() -> None:
    """As it stands in the file, and back into a list."""
    table = file.parse(SAVED, file="routes.yaml", known_actions=CODES)

    taken = source_of(table, table.routes[0])

    assert taken == (
        "name: to-the-crm\naction: BookingCreate\nhandler: forward\nwith:\n  url: env/CRM_URL\n  secret: env/NAME\n"
        "  allow_private: true\n"
    )
    assert read_route(taken)[1].name == "to-the-crm"
    assert read_route(as_item(taken))[1].options == read_route(taken)[1].options
    assert source_of(table, table.routes[1]) == "{name: quiet, action: TeamCreated, handler: log}\n"
    with pytest.raises(UsageError, match="longer than 65536"):
        read_route("x" * 70_000)
    with pytest.raises(RoutesError):
        read_route("name: [")


@pytest.mark.needs("chromium")
def test_a_person_plays(garden: House, target: Target, browser: Browser) -> None:
    """Takes a route, edits it, tries it with a sample, corrects it, and sends it once."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{garden.url}/playground")
    page.get_by_label("Token").fill(ADMIN)
    page.get_by_role("button", name="Sign in").click()

    page.get_by_label("Start from a route").select_option("to-the-crm")
    page.get_by_role("button", name="Take it").click()
    editor = page.get_by_label("Route, as YAML")
    expect(editor).to_have_value(source_of(*_first()))
    route = "name: mine\naction: BookingCreate\nhandler: forward\nwith:\n  url: env/CRM_URL\n  allow_private: true\n"
    editor.fill(f'{route}  body: "{{{{ data.ResourceNam }}}} <b>"\n')
    page.get_by_label("Sample").select_option("BookingCreate")
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_role("heading", name="The route matches")).to_be_visible()
    expect(page.get_by_text("there is no field 'ResourceNam'; did you mean 'ResourceName'?")).to_be_visible()

    page.get_by_label("Route, as YAML").fill(f'{route}  body: "{{{{ data.ResourceName }}}} <b>"\n')
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_text("Nothing was sent.")).to_be_visible()
    expect(page.get_by_role("region", name="body")).to_contain_text("<b>")
    expect(page.get_by_role("region", name="The route as an item of routes.yaml")).to_contain_text("- name: mine")
    before = len(target.received)
    page.get_by_role("button", name="Send once to the real target").click()

    expect(page.get_by_text("Sent once to the real target")).to_be_visible()
    assert len(target.received) == before + 1
    context.close()


def _first() -> Any:
    table = file.parse(SAVED, file="routes.yaml", known_actions=CODES)
    return table, table.routes[0]
