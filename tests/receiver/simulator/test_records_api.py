"""The API of records over HTTP: envelopes, rows, several at once, roles, and every knob about searches."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.support.nexudus import SimulatedNexudus

BOOKINGS = "/api/spaces/bookings"
NOON = "2026-01-01T12:00:00Z"


@pytest.fixture
def http(nexudus: SimulatedNexudus) -> Iterator[httpx2.Client]:
    """A plain HTTP client that is signed in."""
    with httpx2.Client(base_url=nexudus.url, auth=("demo@example.com", "demo"), timeout=30) as client:
        yield client


def _rows(http: httpx2.Client, path: str = BOOKINGS, **params: object) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = http.get(path, params={name: str(value) for name, value in params.items()}).json()[
        "Records"
    ]
    return rows


def test_a_window_shows_what_happened_in_it_whether_a_hook_heard_of_it_or_not(
    nexudus: SimulatedNexudus, http: httpx2.Client
) -> None:
    """Found by its time, read whole, one by one and several at once."""
    (made,) = nexudus.happen(1002, "BookingCreate", at="2026-03-01T04:00:30Z")["happened"]

    window = {"from_Booking_UpdatedOn": "2026-03-01T04:00", "to_Booking_UpdatedOn": "2026-03-01T04:01"}
    (row,) = _rows(http, **window)
    assert (row["Id"], row["UpdatedOn"], made["posts"]) == (made["Id"], made["UpdatedOn"], 0)
    whole = http.get(f"{BOOKINGS}/{row['Id']}").json()
    assert whole.keys() > row.keys()
    assert http.get(f"{BOOKINGS}/?id=[{row['Id']},1]").json() == [whole]
    assert http.get(BOOKINGS, params={"id": f"[{row['Id']}]"}).json() == [whole]


def test_what_is_written_through_the_api_happens(nexudus: SimulatedNexudus, http: httpx2.Client) -> None:
    """As at the real one, which calls the hooks for it."""
    number = http.post("/api/spaces/teams", json={"Name": "Red", "BusinessId": 1003}).json()["Value"]["Id"]
    http.put("/api/spaces/teams", json={"Id": number, "Name": "Blue", "BusinessId": 1003})
    http.delete(f"/api/spaces/teams/{number}")

    told = [(one["action"], one["business_id"], one["Id"]) for one in nexudus.happened()]
    assert told == [(action, 1003, number) for action in ("TeamCreated", "TeamUpdated", "TeamDeleted")]
    assert http.post("/api/spaces/teams", json={"Name": 5}).json()["Message"] == "Name: has a wrong type"


@pytest.mark.parametrize(("knob", "status"), [(False, 500), (True, 404)])
def test_what_vanished_is_answered_either_way(
    nexudus: SimulatedNexudus, http: httpx2.Client, knob: bool, status: int
) -> None:
    """500 with a page of HTML, or 404."""
    nexudus.turn(unknown_is_404=knob)
    (made,) = nexudus.happen(1001, "BookingCreate")["happened"]
    nexudus.vanish("spaces/bookings", made["Id"])

    assert http.get(f"{BOOKINGS}/{made['Id']}").status_code == status


def test_one_kind_can_lack_its_role(nexudus: SimulatedNexudus, http: httpx2.Client) -> None:
    """To list and to read apart."""
    nexudus.turn(missing_roles=["Booking-List", "Team-Read"])
    (team,) = nexudus.happen(1001, "TeamCreated")["happened"]

    statuses = [
        http.get(path).status_code for path in (BOOKINGS, "/api/spaces/teams", f"/api/spaces/teams/{team['Id']}")
    ]
    assert statuses == [401, 200, 401]


@pytest.mark.parametrize("name", ["from_Booking_UpdatedOn", "*"])
def test_a_filter_can_be_ignored(nexudus: SimulatedNexudus, http: httpx2.Client, name: str) -> None:
    """Everything comes back, and looks right."""
    everything = len(_rows(http))
    assert _rows(http, from_Booking_UpdatedOn="2099-01-01T00:00") == []

    nexudus.turn(ignored_filters=[name])

    assert len(_rows(http, from_booking_updatedOn="2099-01-01T00:00", size=100)) == everything > 0


def test_totals_can_be_wrong_and_pages_repeat(nexudus: SimulatedNexudus, http: httpx2.Client) -> None:
    """The rows are right."""
    rows = _rows(http)
    nexudus.turn(error_of_total=3, repeat_pages=True)

    page = http.get(BOOKINGS, params={"page": 9, "size": 2}).json()

    assert (page["TotalItems"], page["Records"], page["HasNextPage"]) == (len(rows) + 3, rows[:2], True)


@pytest.mark.parametrize(("how", "left"), [("update", 9), ("delete", 8)])
def test_rows_can_move_while_somebody_pages(
    nexudus: SimulatedNexudus, http: httpx2.Client, how: str, left: int
) -> None:
    """The next page then lacks the row that slid to the page before; and it really happened."""
    first = [row["Id"] for row in _rows(http)]
    nexudus.turn(moving_rows=how)

    pages = [[row["Id"] for row in _rows(http, page=page, size=5)] for page in (1, 2)]

    assert pages[0] == first[:5]
    assert first[5] not in pages[0] + pages[1]
    assert [(one["action"], one["Id"]) for one in nexudus.happened()] == [(f"Booking{how.capitalize()}", first[0])]
    nexudus.turn(moving_rows="")
    assert len(_rows(http)) == left


def test_searches_of_a_kind_can_fail(nexudus: SimulatedNexudus, http: httpx2.Client) -> None:
    """By the kind, for want of a filter, or by never answering a page."""
    nexudus.turn(failing_searches=["Coworker"], histories_need_invoice=True, hang_at_page=58)
    histories = "/api/billing/coworkerinvoicehistories"

    assert http.get("/api/spaces/coworkers").status_code == 500
    assert "Missing required filter" in http.get(histories).json()["Message"]
    assert http.get(histories, params={"CoworkerInvoiceHistory_CoworkerInvoice": "1"}).status_code == 200
    assert http.get(BOOKINGS, params={"page": "57"}).status_code == 200
    with pytest.raises(httpx2.ReadTimeout):
        http.get(BOOKINGS, params={"page": "58"}, timeout=0.2)


def test_a_delete_may_leave_an_entry_in_the_log(nexudus: SimulatedNexudus, http: httpx2.Client) -> None:
    """What the log holds is documented nowhere; the simulator keeps it empty unless told."""
    nexudus.happen(1001, "ProposalDeleted")
    assert _rows(http, "/api/sys/logentries") == []

    nexudus.turn(log_of_deletes=True)
    (gone,) = nexudus.happen(1001, "ProposalDeleted")["happened"]

    (entry,) = _rows(http, "/api/sys/logentries", LogEntry_EntityName="Proposal")
    assert (entry["EntityId"], entry["BusinessId"]) == (gone["Id"], 1001)


def test_records_can_have_been_there_all_along(nexudus: SimulatedNexudus, http: httpx2.Client) -> None:
    """Many of them, evenly over a time; nothing happened. A record can be changed behind everybody's back."""
    since, until = "2026-01-01T00:00:00Z", "2026-01-31T00:00:00Z"
    made = nexudus.stock("Checkin", 1002, since=since, until=until, count=31, fields={"Source": 9})

    rows = _rows(http, "/api/spaces/checkins", Checkin_Source=9, size=100, orderBy="Id")
    assert [row["Id"] for row in rows] == made
    assert [rows[0]["CreatedOn"], rows[1]["CreatedOn"], rows[-1]["CreatedOn"]] == [since, "2026-01-02T00:00:00Z", until]
    nexudus.change("spaces/checkins", made[0], UpdatedOn="1970-01-01T00:00:00Z")
    assert [row["Id"] for row in _rows(http, "/api/spaces/checkins", to_Checkin_UpdatedOn="1970-01-01T00:00")] == made[
        :1
    ]
    assert nexudus.happened() == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "fire", {"business_id": 1, "action": "BookingUpdate", "id": 5}),
        ("POST", "fire", {"business_id": 1, "action": "BookingUpdate", "at": "2026-01-01T00:00:00"}),
        ("POST", "outage", {"seconds": 0}),
        ("POST", "outage", {"how": "magic"}),
        ("POST", "records", {"kind": "Nonsense", "business_id": 1, "since": NOON, "until": NOON}),
        ("POST", "records", []),
        ("PATCH", "records/spaces/bookings/5", {"Notes": "x"}),
        ("PATCH", "records/spaces/nonsense/5", {"Notes": "x"}),
    ],
)  # fmt: skip
def test_a_wrong_order_says_what_is_wrong(http: httpx2.Client, method: str, path: str, body: object) -> None:
    """In one sentence, and nothing is done."""
    answer = http.request(method, f"/simulator/{path}", json=body)

    assert answer.status_code in (400, 404)
    assert answer.json()["error"]
