"""Who may use what: tokens and nothing else, roles, wrong requests, and how a refusal looks."""

import pytest

from receiver.console.api.endpoint import Endpoint
from receiver.console.api.endpoints import ENDPOINTS
from receiver.console.api.problems import Problem, problem
from receiver.console.framework.page import LARGEST_FORM
from tests.receiver.console.api.conftest import GAP, PERSON, Api
from tests.receiver.console.house import VIEWER
from tests.support.http import Answer

KEYS = set(Problem.model_fields)


def _path(api: Api, endpoint: Endpoint) -> str:
    return endpoint.path.format(event=api.well, group=api.group, route="never", entity="Booking:7")


def _refused(answer: Answer, status: int) -> dict[str, str]:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, str] = answer.json()
    assert set(found) == KEYS
    assert all(found.values())
    return found


@pytest.fixture(scope="module")
def cookie(api: Api) -> str:
    """What the browser of somebody who is signed in to the console sends."""
    return api.house.sign_in()


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_nobody_gets_in_without_a_token_by_no_endpoint(api: Api, cookie: str, endpoint: Endpoint) -> None:
    """Neither without anything nor as the browser of somebody who is signed in to the console."""
    before = api.get("/acts?limit=1")["acts"]

    for headers in ({}, {"Cookie": cookie}, {"Cookie": cookie, "X-Frontdesk-Proof": api.house.proof(cookie)}):
        answer = api.call(endpoint.method, _path(api, endpoint), {}, token=None, headers=headers)
        assert _refused(answer, 401)["where"] == "authorization"
        assert answer.headers["www-authenticate"] == "Bearer"
    assert api.get("/acts?limit=1")["acts"] == before


@pytest.mark.parametrize("endpoint", [one for one in ENDPOINTS if one.method == "POST"], ids=lambda one: one.name)
def test_viewers_change_and_reveal_nothing(api: Api, endpoint: Endpoint) -> None:
    """Whatever they send; but they may have a record explained."""
    answer = api.call("POST", _path(api, endpoint), {}, token=VIEWER)

    if endpoint.for_viewers:
        assert answer.status == 400, "an empty body is refused for what it lacks"
    else:
        assert "ask for an admin token" in _refused(answer, 403)["remedy"]


def test_viewers_see_no_texts_and_admins_do_so_only_when_they_ask(api: Api) -> None:
    """Records are masked for both; messages of errors for viewers, and for admins that ask with redact."""
    assert PERSON not in str(api.view(f"/events/{api.well}"))
    assert PERSON not in str(api.get(f"/events/{api.well}"))
    assert PERSON not in str(api.get("/entities/Booking:7"))
    assert api.post(f"/events/{api.well}/reveal")["data"]["CoworkerFullName"] == PERSON
    assert "the lights are out" in str(api.get(f"/events/{api.dead}"))
    for told in (api.view(f"/events/{api.dead}"), api.get(f"/events/{api.dead}?redact=true")):
        assert "the lights are out" not in str(told)
        assert told["deliveries"][0]["route"] in ("everything", "broken")
    for told in (api.view("/events"), api.get("/events?redact=true")):
        assert "the lights are out" not in str(told)
    assert api.get(f"/failures/{api.group}")["excerpt"] == "RuntimeError: the lights are out"
    assert api.view(f"/failures/{api.group}")["excerpt"] == "RuntimeError: <18 characters>"


def test_only_admins_search_for_texts_and_get_whole_copies(api: Api) -> None:
    """A search reveals what records hold; so it is recorded, without the text."""
    assert [one["id"] for one in api.get("/events?text=Lovelace&action=BookingCreate")["events"]] == [api.well]
    assert api.get("/acts?limit=1")["acts"][0]["what"] == "search"
    assert "Lovelace" not in str(api.get("/acts"))
    _refused(api.call("GET", "/events?text=Lovelace", token=VIEWER), 403)
    _refused(api.call("GET", "/events?text=Lovelace&redact=true"), 403)
    _refused(api.call("GET", "/copies?since=1h", token=VIEWER), 403)
    assert PERSON not in str(api.view("/copies?since=1h&redact=true"))
    assert PERSON in str(api.get("/copies?since=1h&action=BookingCreate"))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "where"),
    [
        ("GET", "/events?limit=0", None, 400, "limit"),
        ("GET", "/events?limit=201", None, 400, "limit"),
        ("GET", "/events?limit=ten", None, 400, "limit"),
        ("GET", "/events?since=yesterday", None, 400, "since"),
        ("GET", "/events?acton=BookingCreate", None, 400, "acton"),
        ("GET", "/events?action=A&action=B", None, 400, "action"),
        ("GET", "/events?redact=yes", None, 400, "redact"),
        ("GET", "/events?cursor=../..", None, 400, "after"),
        ("GET", f"/events?{'&'.join(f'a{n}=1' for n in range(90))}", None, 400, "query"),
        ("GET", "/gaps?cursor=1-No-1", None, 400, "cursor"),
        ("GET", "/acts?cursor=abc", None, 400, "cursor"),
        ("GET", "/events/00000000000000000000", None, 404, "path"),
        ("GET", "/failures/nothing", None, 404, "path"),
        ("GET", "/nothing", None, 404, "path"),
        ("GET", "/replays", None, 405, "method"),
        ("DELETE", "/events", None, 405, "method"),
        ("POST", "/replays", b"{", 400, "body"),
        ("POST", "/replays", b"[]", 400, "body"),
        ("POST", "/replays", {}, 400, "replay"),
        ("POST", "/replays", {"since": "1h", "dry_run": "yes"}, 400, "dry_run"),
        ("POST", "/replays", {"sinse": "1h"}, 400, "sinse"),
        ("POST", "/failures/GROUP/snooze", {"reason": "r", "for": "90d"}, 400, "for"),
        ("POST", "/backfills", {"gaps": ["no such gap"]}, 400, "gaps"),
        ("POST", "/backfills", {"since": "1h", "routes": ["nope"]}, 400, "route"),
        ("POST", "/backfills", {"since": "1h", "gaps": [GAP]}, 400, "gap"),
    ],
)  # fmt: skip
def test_wrong_requests_are_refused_with_the_place(
    api: Api, method: str, path: str, body: object, status: int, where: str
) -> None:
    """And with a remedy."""
    answer = api.call(method, path.replace("GROUP", api.group), body)

    assert _refused(answer, status)["where"] == where


def test_only_json_of_a_bounded_size_is_read(api: Api) -> None:
    """And nothing too deep."""
    form = api.call("POST", "/replays", b"since=1h", headers={"Content-Type": "application/x-www-form-urlencoded"})
    large = api.call("POST", f"/events/{api.well}/edit", b'{"data": {"a": "' + b"x" * LARGEST_FORM + b'"}}')
    deep = api.call("POST", f"/events/{api.well}/edit", b'{"data": {"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}")

    _refused(form, 415)
    _refused(large, 413)
    _refused(deep, 400)


def test_an_edited_record_keeps_its_numbers_and_what_is_none_is_refused(api: Api) -> None:
    """A number that no double has stays as it was sent; NaN is no JSON."""
    made = api.call("POST", f"/events/{api.well}/edit", b'{"data": {"Id": 7, "Price": 12345678901234567890}}')
    wrong = api.call("POST", f"/events/{api.well}/edit", b'{"data": {"Id": NaN}}')

    assert made.status == 200, made
    told = api.post(f"/events/{made.json()['id']}/reveal")
    assert told["data"]["Price"] == 12345678901234567890
    _refused(wrong, 400)


def test_a_sentence_is_parted_into_where_what_and_remedy() -> None:
    """As all of ours are written."""
    told = problem(400, "since: 'x' is no time; write 2h")

    assert (told.where, told.remedy) == ("since", "write 2h")
    assert told.detail == "since: 'x' is no time; write 2h"
    assert problem(404, "event 'x' is not kept").where == "path"
    assert problem(503, "Redis is away").remedy
