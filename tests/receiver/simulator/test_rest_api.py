"""The simulated API does what the pages of the real one say, down to its oddities."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import StartFrontdesk
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import run

HOOKS = "/api/sys/webhooks"
RECORD = {"BusinessId": 1001, "Name": "n", "Action": 6, "URL": "https://a.example/", "Description": "d", "Active": True}
PASSWORD = {"grant_type": "password", "username": "demo@example.com", "password": "demo"}


@pytest.fixture
def http(nexudus: SimulatedNexudus) -> Iterator[httpx2.Client]:
    """A plain HTTP client that is signed in."""
    with httpx2.Client(base_url=nexudus.url) as client:
        token = client.post("/api/token", data=PASSWORD).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def _fill(http: httpx2.Client, count: int) -> None:
    for number in range(count):
        http.post(HOOKS, json=RECORD | {"Action": 2 + number % 89, "BusinessId": 1001 + number % 3})


def test_the_token_endpoint_takes_forms_only(http: httpx2.Client) -> None:
    """A JSON body is `unsupported_grant_type`; a wrong password 401 `invalid_grant`."""
    good = http.post("/api/token", data=PASSWORD)
    as_json = http.post("/api/token", json=PASSWORD)
    wrong = http.post("/api/token", data=PASSWORD | {"password": "x"})

    assert {"access_token", "token_type", "expires_in", "refresh_token"} == good.json().keys()
    assert (as_json.status_code, as_json.json()) == (400, {"error": "unsupported_grant_type"})
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_grant")


def test_a_refresh_ends_earlier_refresh_tokens_of_its_client_id(http: httpx2.Client) -> None:
    """Those of another client id survive."""

    def ask(client_id: str, **form: str) -> httpx2.Response:
        return http.post("/api/token", data=form, headers={"client_id": client_id})

    first = ask("a", **PASSWORD).json()["refresh_token"]
    other = ask("b", **PASSWORD).json()["refresh_token"]

    assert ask("a", grant_type="refresh_token", refresh_token=first).status_code == 200
    assert ask("a", grant_type="refresh_token", refresh_token=first).status_code == 401
    assert ask("b", grant_type="refresh_token", refresh_token=other).status_code == 200


def test_nothing_without_a_token(nexudus: SimulatedNexudus) -> None:
    """401 everywhere."""
    with httpx2.Client(base_url=nexudus.url, headers={"Authorization": "Bearer wrong"}) as client:
        answers = [client.get(HOOKS), client.get(f"{HOOKS}/1"), client.post(HOOKS, json=RECORD)]
        answers += [client.put(HOOKS, json=RECORD), client.delete(f"{HOOKS}/1"), client.get("/api/sys/businesses")]
        answers += [client.get("/api/utils/enums", params={"name": "eWebhookAction"})]

    assert {answer.status_code for answer in answers} == {401}


@pytest.mark.parametrize(("password", "status"), [("demo", 200), ("wrong", 401)])
def test_basic_authentication_works_too(nexudus: SimulatedNexudus, password: str, status: int) -> None:
    """As the documentation's own examples have it."""
    with httpx2.Client(base_url=nexudus.url, auth=("demo@example.com", password)) as client:
        assert client.get(HOOKS).status_code == status


def test_a_role_can_be_taken_away(nexudus: SimulatedNexudus, http: httpx2.Client) -> None:
    """401 for what needs it, while it runs; the rest goes on."""
    nexudus.turn(missing_roles=["WebHook-Edit"])

    assert (http.put(HOOKS, json=RECORD).status_code, http.get(HOOKS).status_code) == (401, 200)


def test_the_search_pages_by_25_and_rows_are_partial(http: httpx2.Client) -> None:
    """The envelope of the documentation; `Description` only in the whole record."""
    _fill(http, 60)

    page = http.get(HOOKS, params={"page": 3}).json()

    records = page.pop("Records")
    assert page == {
        "CurrentPage": 3,
        "CurrentPageSize": 25,
        "CurrentOrderField": "Id",
        "CurrentSortDirection": 0,
        "FirstItem": 51,
        "LastItem": 60,
        "TotalItems": 60,
        "TotalPages": 3,
        "HasNextPage": False,
        "HasPreviousPage": True,
    }
    assert len(records) == 10
    assert all("Description" not in record for record in records)
    assert http.get(f"{HOOKS}/{records[0]['Id']}").json()["Description"] == "d"


def test_filters_it_does_not_know_are_ignored(http: httpx2.Client) -> None:
    """Like the real one: everything comes back, and looks right."""
    _fill(http, 6)

    known = http.get(HOOKS, params={"WebHook_Business": 1002, "dir": 1}).json()
    unknown = http.get(HOOKS, params={"WebHook_Colour": "red", "UpdatedSince": "2026-01-01", "dir": -1}).json()

    assert (known["TotalItems"], unknown["TotalItems"]) == (2, 6)


def test_put_clears_what_is_not_sent(http: httpx2.Client) -> None:
    """The optional fields; failures are not ours to write."""
    number = http.post(HOOKS, json=RECORD | {"ErrorCount": 7}).json()["Value"]["Id"]
    required = {name: RECORD[name] for name in ("BusinessId", "Name", "Action", "URL")}

    answer = http.put(HOOKS, json={"Id": number, "ErrorCount": 7, **required}).json()

    assert (answer["WasSuccessful"], answer["Message"]) == (True, "WebHook was successfully updated.")
    record = http.get(f"{HOOKS}/{number}").json()
    assert (record["Description"], record["Active"], record["ErrorCount"]) == (None, False, 0)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"Name": ""}, "Name"),
        ({"URL": None}, "URL"),
        ({"BusinessId": 4711}, "BusinessId"),
        ({"Action": 91}, "Action"),
        ({"Action": 0}, "Action"),
        ({"URL": 7}, "URL"),
    ],
)
def test_validation_errors_name_the_property(http: httpx2.Client, change: dict[str, Any], name: str) -> None:
    """400 with the envelope of the documentation."""
    answer = http.post(HOOKS, json=RECORD | change)

    value = answer.json()
    assert (answer.status_code, value["WasSuccessful"], value["Value"]) == (400, False, None)
    assert value["Message"] == f"{name}: {value['Errors'][0]['Message']}"
    assert value["Errors"][0]["PropertyName"] == name


def test_an_unknown_id_is_500_with_html(http: httpx2.Client) -> None:
    """Not 404."""
    answers = [http.get(f"{HOOKS}/1"), http.delete(f"{HOOKS}/1"), http.put(HOOKS, json=RECORD | {"Id": 1})]

    assert {(answer.status_code, answer.headers["content-type"]) for answer in answers} == {
        (500, "text/html; charset=utf-8")
    }


def test_throttling_is_409_with_retry_after_and_an_empty_body(http: httpx2.Client, nexudus: SimulatedNexudus) -> None:
    """By the limits of a minute, calls and writes apart."""
    nexudus.turn(writes_per_minute=1)
    http.post("/api/token", data=PASSWORD)

    answer = http.post(HOOKS, json=RECORD)

    assert (answer.status_code, answer.headers["retry-after"], answer.content) == (409, "1", b"")
    assert http.get(HOOKS).status_code == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b'{"Id": true}'])
def test_junk_is_refused_not_crashed_on(http: httpx2.Client, body: bytes) -> None:
    """A tool that people point other tools at."""
    for method in ("POST", "PUT"):
        assert http.request(method, HOOKS, content=body).status_code in (400, 500)
    assert http.post("/simulator/faults", content=body).status_code in (200, 400)
    assert http.post("/simulator/fire", content=body).status_code == 400


def test_a_wrong_knob_is_named(http: httpx2.Client) -> None:
    """And nothing is turned."""
    answer = http.post("/simulator/faults", json={"slow_ms": 50, "error_rate": 2})

    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (400, "error_rate")
    assert http.get("/simulator/faults").json()["slow_ms"] == 0


def test_hooks_survive_in_a_file(frontdesk: StartFrontdesk, tmp_path: Path) -> None:
    """--state keeps them over a restart; a file that is something else is one sentence."""
    file = tmp_path / "state.json"
    started = SimulatedNexudus(frontdesk("simulate", "--port", "0", "--rate", "0", "--state", str(file)))
    with httpx2.Client(base_url=started.url) as client:
        token = client.post("/api/token", data=PASSWORD).json()["access_token"]
        client.post(HOOKS, json=RECORD, headers={"Authorization": f"Bearer {token}"})
    before = started.hooks()
    started.close()
    started.process.signal(signal.SIGHUP)  # a closed terminal ends it in order too
    assert started.process.wait() == 0

    again = SimulatedNexudus(frontdesk("simulate", "--port", "0", "--rate", "0", "--state", str(file)))
    after = again.hooks()
    again.close()

    assert (len(before), after) == (1, before)
    file.write_text("[]")
    again.process.kill()
    refused = run("simulate", "--port", "0", "--state", str(file))
    assert (refused.status, refused.err.count("\n")) == (1, 1)
    assert "delete it to start afresh" in refused.err


def test_a_wrong_option_is_one_sentence() -> None:
    """Which, and why."""
    ran = run("simulate", "--knob", "error_rate=2")

    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("frontdesk: --knob error_rate: ")


def test_a_list_is_given_with_commas(frontdesk: StartFrontdesk) -> None:
    """As an option; by HTTP it is a list."""
    knob = "ignored_filters=from_Booking_UpdatedOn,Booking_Online"
    started = SimulatedNexudus(frontdesk("simulate", "--port", "0", "--knob", knob))

    assert started.turn()["ignored_filters"] == ["from_Booking_UpdatedOn", "Booking_Online"]
    started.close()


def test_its_locations_are_those_of_the_routes(frontdesk: StartFrontdesk, tmp_path: Path) -> None:
    """So that whatever a user's routing file names can be tried; without one, three."""
    file = tmp_path / "routes.yaml"
    file.write_text("businesses: [77, 88]\nroutes: [{action: TeamCreated, handler: log}]\n")
    named, bare = (
        SimulatedNexudus(frontdesk("simulate", "--port", "0", settings={"FRONTDESK_ROUTES": str(path)}))
        for path in (file, tmp_path / "none")
    )

    locations = [[one["Id"] for one in simulated.state()["businesses"]] for simulated in (named, bare)]

    named.close()
    bare.close()
    assert locations == [[77, 88], [1001, 1002, 1003]]
