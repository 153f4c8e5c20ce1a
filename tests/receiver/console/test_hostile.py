"""Records, actions, errors, routes and everything else from outside, as hostile as can be: no page runs any of it."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from receiver.nexudus import hook_urls
from receiver.storage.redis import connection, keys, rq_keys
from receiver.storage.shared.audit_log import AuditLog
from tests.receiver.console.house import ADMIN, House, built
from tests.support.events import entry, keep_all
from tests.support.processes import wait_until

SCRIPT = "<script>document.title='owned'</script>"
HOSTILE = [
    SCRIPT,
    '"><img src=x onerror="document.title=\'owned\'">',
    "'><svg onload=document.title='owned'>",
    "</pre></script><script>document.title='owned'</script>",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "javascript:document.title='owned'",
    "\u202egnp.exe\u2028\x07\x1b[31m\x00",
    "]]><!--<a href=//evil.example>",
]
RECORD = {f"Field{number}{text}": text for number, text in enumerate(HOSTILE)} | {
    "Id": SCRIPT,
    "Nested": [{SCRIPT: HOSTILE}],
    "FullName": HOSTILE[1],
}
ROUTES = f"""
routes:
  - name: everything
    action: "*"
    handler: seen:fail
    retry: []
  - name: filtered
    action: "*"
    where: {json.dumps(f'data.Id == "{SCRIPT}" && data.Nope == 1')}
    handler: seen:fail
    with: {{{json.dumps(SCRIPT)}: {json.dumps(SCRIPT)}}}
    enabled: false
"""
HANDLER = f"""
def fail(event):
    raise RuntimeError({HOSTILE[1] + HOSTILE[0]!r})
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house into which only hostile things ever came."""
    with built(tmp_path_factory.mktemp("hostile")) as house:
        (house.folder / "routes.yaml").write_text(ROUTES)
        (house.folder / "seen.py").write_text(HANDLER)
        house.serve()
        house.start("work")
        house.console()
        yield house


def _post(house: House) -> list[str]:
    event = house.post("BookingCreate", json.dumps([RECORD]).encode())
    body = f'[{{"Id": {SCRIPT}'.encode()
    unreadable, forged = house.post("CoworkerCreate", body), house.post_forged("TeamCreated", body)
    house.wait_for_status(event, "dead")
    return [event, unreadable, forged, *_put(house)]


def _put(house: House) -> list[str]:
    """Put into the store what no door of ours lets in: every name in it is hostile. Return the ids of events."""
    one = entry(json.dumps(RECORD).encode(), routes=HOSTILE[:4], queue=SCRIPT, action=HOSTILE[1], entity=SCRIPT)
    aside = entry(b"[", action=SCRIPT, quarantine=HOSTILE[1])
    damaged, torn = entry(), entry(b"[", quarantine="torn")
    with connection.connect(house.settings["FRONTDESK_REDIS_URL"]) as client:
        keep_all(client, one, aside, damaged, torn)
        for each in (damaged, torn):
            client.set(keys.envelope(each.envelope.id), f"\x01{SCRIPT}")
        AuditLog(client).record(SCRIPT, who=HOSTILE[1], event_id=HOSTILE[2], x=HOSTILE[3])
        client.zadd(keys.WORKERS, {SCRIPT: 4 * 10**12})
        client.hset(
            rq_keys.worker(SCRIPT), mapping={"birth": SCRIPT, "queues": SCRIPT, "pid": SCRIPT, "hostname": SCRIPT}
        )
        client.hset(keys.RECEIVED, f"1/{SCRIPT}", 1)
    return [each.envelope.id for each in (one, damaged, torn)]


def _pages(events: list[str]) -> list[str]:
    pages = [
        "/",
        "/events",
        "/routes",
        "/hooks",
        "/coverage",
        "/dead",
        "/quarantine",
        "/quarantine/release",
        "/workers",
        "/acts",
    ]
    hostile = [
        f"/events?{name}=%3Cscript%3Edocument.title%3D'owned'%3C/script%3E" for name in ("action", "route", "text")
    ]
    return pages + [f"/events/{event}" for event in events] + hostile + ["/replay?status=dead&text=%3Cscript%3E"]


@pytest.mark.needs("chromium")
def test_no_page_runs_what_came_from_outside(hostile: House, browser: Browser) -> None:
    """Every page, the unmasked record, the rows that come live: nothing loads, runs, or is complained of."""
    context = browser.new_context()
    page = context.new_page()
    said, asked = _watch(page)
    page.goto(f"{hostile.url}/sign-in")
    page.fill("#token", ADMIN)
    page.click("text=Sign in >> nth=-1")
    page.goto(f"{hostile.url}/events")
    page.wait_for_selector(".live.on")
    events = _post(hostile)
    page.wait_for_selector(f"#e-{events[0]} .badge.dead:visible")
    page.wait_for_selector(f"#e-{events[-1]}")

    for path in _pages(events):
        page.goto(f"{hostile.url}{path}")
        _assert_harmless(page)
    page.goto(f"{hostile.url}/events/{events[0]}")
    page.click("text=Show texts")
    assert "onerror=" in page.inner_text("pre.record")
    _assert_harmless(page)
    page.goto(f"{hostile.url}/routes")
    page.fill("#f-action", SCRIPT)
    page.fill("#f-business", "1001")
    page.fill("#f-record", json.dumps(RECORD))
    page.click("text=Explain")
    assert page.inner_text("#answer")
    _assert_harmless(page)

    assert said == []
    assert {url.split("/")[2] for url in asked} == {hostile.url.split("/")[2]}
    context.close()


def _watch(page: Page) -> tuple[list[str], list[str]]:
    """Note what the browser complains of (a policy that had to stop something, too), and what it asks for."""
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    return said, asked


def _assert_harmless(page: Page) -> None:
    assert page.title() != "owned"
    strange = page.evaluate(
        """() => [...document.querySelectorAll("script, img, iframe, object, base, [onerror], [onload], [style]")]
            .filter((one) => !(one.tagName === "SCRIPT" && one.getAttribute("src")?.startsWith("/console/static/")))
            .map((one) => one.outerHTML)"""
    )
    assert strange == []
    links = page.evaluate("() => [...document.links].map((one) => one.href)")
    assert all(re.match(r"http://127\.0\.0\.1:\d+/console/", link) for link in links), links


def test_what_the_eye_must_not_see_is_spelt_out(hostile: House) -> None:
    """Control characters and those that turn text round are shown as what they are."""
    event = hostile.post("BookingCreate", json.dumps([{"Id": 5, "FullName": HOSTILE[6]}]).encode())
    answer = hostile.ask("POST", f"/events/{event}/reveal", token=ADMIN)

    assert answer.status == 200
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069\u2028]", answer.text)
    assert "\\u202egnp.exe" in answer.text


def test_of_what_cannot_be_read_nothing_is_made_up(hostile: House) -> None:
    """Its id tells when it came; the rest is the reason, and what became of its deliveries."""
    one = entry(b'{"Id":77}')
    with connection.connect(hostile.settings["FRONTDESK_REDIS_URL"]) as client:
        keep_all(client, one)
        client.set(keys.envelope(one.envelope.id), "damaged")

    facts = hostile.facts(f"/events/{one.envelope.id}")

    assert "does not know" in facts["reason"]
    assert (facts["timeline"][0]["what"], facts["timeline"][0]["said"]) == ("received", "by its ID")
    assert {step["what"] for step in facts["timeline"][1:]}.isdisjoint({"verified", "kept", "routed", "unrouted"})
    assert (facts["explained"], facts["replayable"]) == ([], [])


def test_no_secret_is_on_any_page(hostile: House) -> None:
    """Neither a hook's token nor a key, a shared secret, a token, or a value of an option."""
    events = [event["id"] for event in hostile.facts("/events")["events"][:5]]
    token = hook_urls.token(hostile.settings["FRONTDESK_URL_KEYS"], 1001, "BookingCreate")
    secrets = [token, "a-key-of-the-house", "s3cr3t", ADMIN]
    for path in _pages(events):
        text = hostile.ask("GET", path, token=ADMIN).text
        assert not [secret for secret in secrets if secret in text], path
        assert "retry: []" not in text


def test_the_console_logs_no_payload(hostile: House) -> None:
    """One line for each act and each refusal, none with what records or searches say."""
    hostile.ask("GET", "/events?text=somebody%40example.com", token=ADMIN)
    hostile.ask("GET", "/events?text=somebody%40example.com&status=x", token=ADMIN)

    path = hostile.folder / "console.log"
    log = wait_until(lambda: text if "console.answered" in (text := path.read_text()) else None, "the lines")
    assert not [text for text in ("somebody", "onerror", "Traceback", ADMIN) if text in log]
