"""The console's doors, over HTTP: who gets in, who may act, what holds for every answer."""

import http.client
import re
from contextlib import ExitStack
from typing import Any

import pytest

from receiver.console.asgi import OPERATIONS, PAGES
from receiver.console.framework.page import Page
from receiver.console.selection.live import MOST
from receiver.nexudus import samples
from tests.receiver.console.house import ADMIN, VIEWER, House, built
from tests.support.processes import Valkey, run, wait_until

EVENT = "0" * 20


def _filled(path: str, *, event: str = EVENT, group: str = "0" * 12) -> str:
    return path.replace("{event}", event).replace("{group}", group).replace("{entity}", "Booking:1")


PATHS = [_filled(page.path) for page in PAGES]
POSTS = [_filled(act.path) for act in OPERATIONS]


@pytest.mark.parametrize("path", PATHS)
def test_nobody_sees_a_page_without_signing_in(house: House, path: str) -> None:
    """People are led to the door and back; programs are told."""
    page, api = house.ask("GET", path), house.ask("GET", f"/api{'/overview' if path == '/' else path}")

    assert page.status == 303
    assert page.headers["location"].startswith("/console/sign-in?next=%2Fconsole")
    assert (api.status, api.json()["error"]) == (401, "sign in, or show a token as Authorization: Bearer")


@pytest.mark.parametrize("path", POSTS)
def test_nobody_acts_without_a_token_or_a_form_of_ours(house: House, path: str) -> None:
    """A session alone is not enough: another site could make a browser send it."""
    cookie = house.sign_in()
    proof = house.proof(cookie)

    for answer in (
        house.ask("POST", path),
        house.ask("POST", f"/api{path}", token="wrong"),
        house.ask("POST", path, headers={"X-Frontdesk-Proof": proof}),
    ):
        assert answer.status == 401
    for answer in (
        house.ask("POST", path, cookie=cookie),
        house.ask("POST", path, cookie=cookie, form={"proof": "0" * 64}),
        house.ask("POST", path, cookie=cookie, form={"proof": proof}, headers={"Sec-Fetch-Site": "cross-site"}),
        house.ask("POST", path, cookie=house.sign_in(), form={"proof": proof}),
    ):
        assert answer.status == 403, answer


@pytest.mark.parametrize("act", [act for act in OPERATIONS if not act.for_viewers], ids=lambda act: act.path)
def test_a_viewer_looks_and_does_not_act(house: House, act: Page) -> None:
    """Not with a token, not with a session and the right proof; and unmasking is an act."""
    path = _filled(act.path)
    cookie = house.sign_in(VIEWER)
    proof = house.proof(cookie)

    refused = [
        house.ask("POST", f"/api{path}", token=VIEWER),
        house.ask("POST", path, cookie=cookie, form={"proof": proof}),
    ]

    assert [answer.status for answer in refused] == [403, 403]
    assert "victor may look but not change anything" in refused[0].json()["error"]


def test_a_viewer_is_shown_no_button_that_would_be_refused(house: House) -> None:
    """Of all pages only the form that explains routes, and signing out, is theirs."""
    cookie = house.sign_in(VIEWER)
    event, group = house.post("BookingCreate", number=7_001), _group(house)

    for path in (
        "/",
        "/events",
        f"/events/{event}",
        "/failures",
        f"/failures/{group}",
        "/entities/Booking:1",
        "/routes",
        "/playground",
        "/hooks",
        "/coverage",
        "/dead",
        "/quarantine",
        "/workers",
    ):
        page = house.ask("GET", path, cookie=cookie)
        posts = set(re.findall(r'method="post" action="([^"]+)"', page.text))
        assert page.status == 200
        assert posts <= {"/console/sign-out", "/console/routes/explain"}


def _group(house: House) -> str:
    """Let a delivery fail; return the id of its group."""
    house.wait_for_status(house.post("TeamCreated", number=9_001), "dead")
    found: str = wait_until(lambda: house.facts("/failures")["groups"], "a group of failures")[0]["id"]
    return found


@pytest.mark.parametrize("path", ["/", "/events", "/sign-in", "/enter?link=x", "/nothing", "/static/console.css"])
def test_every_answer_is_guarded(house: House, path: str) -> None:
    """Nothing inline runs, nobody frames it, nothing leaks by referrer, and only what has no secret is kept."""
    for answer in (house.ask("GET", path), house.ask("GET", path, cookie=house.sign_in())):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert (answer.headers["x-content-type-options"], answer.headers["referrer-policy"]) == (
            "nosniff",
            "no-referrer",
        )
        assert ("no-store" in answer.headers["cache-control"]) != path.startswith("/static/")


def test_pages_have_nothing_inline_and_nothing_from_elsewhere(house: House) -> None:
    """No style, no script, no handler in an attribute, no address of another host."""
    cookie = house.sign_in()
    for page in PAGES:
        if "{" not in page.path and page.path != "/replay":
            text = house.ask("GET", page.path, cookie=cookie).text
            assert not re.search(r"<style|<script(?! src=\"/console/static/)|\son\w+=|\sstyle=", text)
            assert not re.search(r'(?:src|href|action)="(?!/console/)(?!#)', text)


def test_the_cookie_is_for_this_site_alone(house: House) -> None:
    """HttpOnly and SameSite=Strict, for the console's paths; over TLS alone where a proxy speaks it."""
    plain = house.ask("POST", "/sign-in", form={"token": ADMIN})
    tls = house.ask("POST", "/sign-in", form={"token": ADMIN}, headers={"X-Forwarded-Proto": "https"})

    assert plain.headers["location"] == "/console/"
    for attribute in ("HttpOnly", "SameSite=strict", "Path=/console", "Max-Age=43200"):
        assert attribute in plain.cookies[0]
    assert ("Secure" in plain.cookies[0], "Secure" in tls.cookies[0]) == (False, True)


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/console//evil.example", "/console/\\evil", "javascript:1"]
)
def test_signing_in_leads_nowhere_else(house: House, target: str) -> None:
    """Whatever the address said."""
    answer = house.ask("POST", "/sign-in", form={"token": ADMIN, "next": target})

    assert (answer.status, answer.headers["location"]) == (303, "/console/")


def test_signing_out_is_final(house: House) -> None:
    """A copy of the cookie opens nothing any more."""
    cookie = house.sign_in()
    assert house.ask("POST", "/sign-out", cookie=cookie).status == 403

    out = house.ask("POST", "/sign-out", cookie=cookie, form={"proof": house.proof(cookie)})

    assert (out.status, out.headers["location"]) == (303, "/console/sign-in")
    assert house.ask("GET", "/events", cookie=cookie).status == 303


def test_a_link_signs_in_once(house: House) -> None:
    """`console --link` prints it; asking for its head, as some programs do to links, does not use it up."""
    printed = run("console", "--link", settings=house.settings)
    assert printed.status == 0, printed
    path = printed.out.strip().removeprefix(house.url)

    assert house.ask("HEAD", path).status == 200
    first, second = house.ask("GET", path), house.ask("GET", path)

    cookie = first.cookies[0].partition(";")[0]
    assert (first.status, first.headers["location"]) == (303, "/console/")
    assert house.ask("GET", "/workers", cookie=cookie).status == 200
    assert (second.status, second.cookies) == (403, ())
    elsewhere = run("console", "--link", settings=house.settings).out.strip().removeprefix(house.url)
    followed = house.ask("GET", elsewhere, headers={"Sec-Fetch-Site": "cross-site"})
    assert followed.status == 200
    assert 'content="0; url=/console/"' in followed.text


def test_without_a_token_there_is_no_console(house: House) -> None:
    """One sentence, status 1: an address is no proof of anything."""
    settings = {name: value for name, value in house.settings.items() if not name.endswith("_TOKEN")}

    ran = run("console", settings=settings)

    assert (ran.status, ran.out) == (1, "")
    assert ran.err == (
        "frontdesk: the console requires a token: set FRONTDESK_ADMIN_TOKEN, "
        "or FRONTDESK_VIEWER_TOKEN for read-only access\n"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/events?status=lost",
        "/events?business=one",
        "/events?business=" + "9" * 40,
        "/events?since=yesterday",
        "/events?after=../../etc",
        "/events?text=" + "x" * 400,
        "/?span=year",
        "/replay",
        "/routes?from=-1",
    ],
)
def test_a_wrong_question_gets_one_sentence(house: House, path: str) -> None:
    """As a page and as JSON, never a traceback."""
    page, api = (
        house.ask("GET", path, token=ADMIN),
        house.ask("GET", f"/api{path}".replace("/?", "/overview?"), token=ADMIN),
    )

    assert (page.status, api.status) == (400, 400)
    assert "Traceback" not in page.text
    assert len(api.json()["error"]) < 300


def test_what_is_not_there_is_not_found(house: House) -> None:
    """An id that is none, an id of nothing, a page of nothing, a way out of the folder of static files."""
    for path in ("/events/x", f"/events/{EVENT}", "/nothing", "/static/../app.py", "/static/%2e%2e/app.py"):
        assert house.ask("GET", path, token=ADMIN).status == 404, path
    assert house.ask("POST", f"/events/{EVENT}/replay", token=ADMIN).status == 404
    assert house.ask("DELETE", "/events", token=ADMIN).status == 405


def test_a_form_has_bounds(house: House) -> None:
    """Of size and of fields; bodies that are no form are refused in a sentence."""
    huge = house.ask("POST", "/api/routes/explain", token=VIEWER, body=b"x" * (3 * 1_048_576))
    many = house.ask("POST", "/api/routes/explain", token=VIEWER, body=b"a=1&" * 100)
    torn = house.ask(
        "POST", "/api/routes/explain", token=VIEWER, body=b"{", headers={"Content-Type": "application/json"}
    )

    assert (huge.status, many.status, torn.status) == (413, 400, 400)


def test_the_store_may_go_away(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Pages say so while it is gone, and are back when it is."""
    folder = tmp_path_factory.mktemp("gone")
    with ExitStack() as stack:
        store = Valkey(folder / "valkey")
        stack.callback(store.end)
        house = House(folder, store.url, stack)
        console = house.console()
        assert house.ask("GET", "/events", token=ADMIN).status == 200

        store.kill()
        gone = house.ask("GET", "/events", token=ADMIN)

        assert gone.status == 503
        assert "The store is unavailable" in gone.text
        store.start_again()
        wait_until(lambda: house.ask("GET", "/events", token=ADMIN).status == 200, "the events to be back")
        assert console.stop() == 0
        assert "Traceback" not in console.output


def test_guessing_is_slowed_down(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Through the form and through the API alike; in the form the right token has to wait, too, a program's never."""
    with built(tmp_path_factory.mktemp("guessed")) as house:
        console = house.console()
        statuses = [house.ask("POST", "/sign-in", form={"token": f"guess-{number}"}).status for number in range(6)]
        statuses += [house.ask("GET", "/api/events", token=f"guess-{number}").status for number in range(4)]
        late = house.ask("POST", "/sign-in", form={"token": ADMIN})
        program = house.ask("GET", "/api/events", token=ADMIN)
        api = house.ask("GET", "/api/events", token="guess-again")

        assert statuses == [403] * 6 + [401] * 4
        assert (late.status, program.status, api.status) == (429, 200, 429)
        assert 0 < int(late.headers["retry-after"]) <= 30
        assert "guess-" not in console.output
        assert ADMIN not in console.output


def test_personal_data_is_masked_until_asked_for_and_who_asked_is_kept(house: House) -> None:
    """Texts of a record are in no page and no answer before; the act names who, and the log no text."""
    record = samples.record("CoworkerCreate", now=samples.WRITTEN, number=4_711)
    name = str(record["FullName"])
    event = house.post("CoworkerCreate", number=4_711)

    for path in (f"/events/{event}", f"/api/events/{event}", "/events", "/api/events"):
        assert name not in house.ask("GET", path, token=ADMIN).text
    shown = house.act(f"/events/{event}/reveal")

    assert shown["data"]["FullName"] == name
    assert name not in house.ask("GET", f"/events/{event}", token=ADMIN).text
    newest = house.facts("/acts")["acts"][0]
    assert (newest["who"], newest["what"], newest["detail"]["event_id"]) == ("alice", "unmask", event)
    file = house.folder / "console.log"
    log = wait_until(lambda: text if '"event":"act.recorded"' in (text := file.read_text()) else None, "the line")
    assert name not in log


def test_a_viewer_learns_nothing_of_what_records_hold(house: House) -> None:
    """Not from values of any type, errors of handlers, filters that failed, nor by asking which records hold a text."""
    event = house.post("TeamCreated", b'{"Id":5,"Pin":47114711,"CustomFields":{"ada@example.com":1}}')
    house.wait_for_status(event, "dead")
    bodyless = house.post("CoworkerInvoicePaid", b'{"Id":6}')
    paths = [f"/events/{event}", "/events", "/dead"]

    for path in [*paths, *(f"/api{path}" for path in paths)]:
        seen = house.ask("GET", path, token=VIEWER).text
        assert not [text for text in ("the lights are out", "47114711", "ada@example.com") if text in seen], path
        assert "RuntimeError: " in seen
        assert "47114711" not in house.ask("GET", path, token=ADMIN).text
        assert "the lights are out" in house.ask("GET", path, token=ADMIN).text
    assert {(one["why_not"], one["failed"]) for one in house.facts(f"/events/{bodyless}", VIEWER)["explained"]} == {
        (None, False)
    }
    asking = ["/events?text=4711", "/dead?text=4711", "/quarantine?text=4711", "/replay?status=dead&text=4711"]
    for path in [*asking, *(f"/api{path}" for path in asking), "/events/live?text=4711"]:
        assert house.ask("GET", path, token=VIEWER).status == 403, path


def test_a_viewer_is_not_shown_what_a_reason_quotes(house: House) -> None:
    """Why a request was set aside may quote a header, which is whatever anybody sent."""
    event = house.post("BookingCreate", b"[]", encoding="ada@example.com")

    for path in (f"/events/{event}", f"/api/events/{event}", "/quarantine", "/api/quarantine", "/api/events"):
        assert "ada@example.com" in house.ask("GET", path, token=ADMIN).text.replace("&#64;", "@"), path
        seen = house.ask("GET", path, token=VIEWER).text
        assert "the body is compressed" in seen, path
        assert "ada@example" not in seen, path


def test_a_search_by_text_is_recorded(house: House) -> None:
    """As an act of whoever searched, and without the text."""
    house.facts("/events?text=a-name-of-somebody")

    newest = house.facts("/acts")["acts"][0]
    assert (newest["who"], newest["what"], newest["detail"]) == ("alice", "search", {"by_text": True})


def test_open_streams_do_not_hold_the_console_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    """They end when it is asked to stop; before, they carry what comes, to so many and no more."""
    with built(tmp_path_factory.mktemp("streams")) as house:
        console = house.console()
        house.serve()
        with ExitStack() as stack:
            streams = [_stream(house, stack) for _ in range(MOST)]
            assert house.ask("GET", "/events/live", token=ADMIN).status == 503
            event = house.post("BookingCreate")
            for stream in (streams[0], streams[-1]):
                wait_until(lambda stream=stream: event.encode() in stream.readline(), "the event to come")  # type: ignore[misc]

            assert console.stop() == 0


def _stream(house: House, stack: ExitStack) -> Any:
    client = http.client.HTTPConnection("127.0.0.1", int(house.settings["FRONTDESK_CONSOLE_PORT"]), timeout=30)
    stack.callback(client.close)
    client.request("GET", "/console/events/live", headers={"Authorization": f"Bearer {ADMIN}"})
    answer = client.getresponse()
    assert (answer.status, answer.getheader("content-type")) == (200, "text/event-stream; charset=utf-8")
    return answer


def test_every_page_tells_programs_the_same(house: House) -> None:
    """One object each, below /api."""
    event, group = house.post("BookingCreate", number=8_001), _group(house)
    for page in PAGES:
        path = "/overview" if page.path == "/" else _filled(page.path, event=event, group=group)
        answer = house.ask("GET", f"/api{path}{'?status=dead' if path == '/replay' else ''}", token=VIEWER)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json"), path
        assert isinstance(answer.json(), dict)
    shown = house.facts(f"/events/{event}")
    assert {"id", "action", "status", "deliveries", "data", "verified_by", "attempts", "explained", "timeline"} <= set(
        shown
    )
    assert [one["route"] for one in shown["explained"] if one["matched"]] == ["everything", "announce-paid"]
    assert any("it wants CoworkerInvoice*" in str(one["why_not"]) for one in shown["explained"])
