"""Every recipe, from a signed request of Nexudus to what arrived at a real mail server, HTTP server or database."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import sqlalchemy as sa

from receiver.cli.routes import recipes
from receiver.nexudus import samples
from tests.conftest import StartFrontdesk
from tests.support import postgres
from tests.support.journey import Journey
from tests.support.mail import MailServer, a_mail_server
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import run, wait_until
from tests.test_secrecy import personal_data
from tests.workers.handlers.targets import Target, a_target

ACTIONS = (
    "BookingCreate", "BookingDelete", "VisitorCheckedin", "VisitorRegistered", "CoworkerInvoiceFailedPayment",
    "CoworkerContractActivate", "CoworkerContractCancel", "CoworkerCreate", "HelDeskMessageCreated", "DeliveryCreated",
    "CoworkerInvoiceCreate", "CoworkerInvoicePaid",
)  # fmt: skip
ZOE = 1_409_384_711
"""A customer of the simulated Nexudus."""

HEAD = "defaults: {time_zone: Europe/Paris, currency: EUR}\nlocations:\n  1001: {name: Eiffel}\n"


class Targets:
    """Whatever the recipes send to."""

    def __init__(self, stack: ExitStack, folder: Path, database: str) -> None:
        self.mail: MailServer = stack.enter_context(a_mail_server())
        names = ("chat", "doors", "crm", "tickets", "badges")
        self.http: Mapping[str, Target] = {name: stack.enter_context(a_target()) for name in names}
        self.http["crm"].body = b'{"access_token": "t0k3n", "expires_in": 3600}'
        self.databases = {"bookings": f"sqlite:///{folder}/rows.db", "invoices": database}

    def environment(self) -> dict[str, str]:
        """Return what the recipes take from the environment."""
        chat = f"json://127.0.0.1:{self.http['chat'].port}"
        return {
            "TEAMS_URL": f"{chat}/teams", "DESK_URL": f"{chat}/desk", "MAIL_URL": self.mail.url(),
            "FINANCE_URL": self.mail.url("finance@example.com"), "OFFBOARDING_URL": f"{chat}/offboarding",
            "DOORS_URL": self.http["doors"].url(), "DOORS_TOKEN": "door-token", "CRM_URL": self.http["crm"].url(),
            "CRM_TOKEN_URL": self.http["crm"].url(path="/token"), "CRM_CLIENT_ID": "us", "CRM_CLIENT_SECRET": "s3cr3t",
            "TICKETS_URL": self.http["tickets"].url(), "TICKETS_USER": "api", "TICKETS_PASSWORD": "pass",
            "FRONTDESK_NEXUDUS_TOKEN": "recipes", "BADGES_URL": self.http["badges"].url(),
            "DATABASE_URL": self.databases["bookings"], "INVOICES_URL": self.databases["invoices"],
        }  # fmt: skip

    def posted(self, name: str) -> list[Any]:
        """Return what an HTTP server got as JSON."""
        return [json.loads(request.body) for request in self.http[name].received if request.path != "/token"]

    def rows(self, name: str, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table."""
        engine = sa.create_engine(self.databases[name])
        with engine.begin() as connection:
            rows = [dict(row) for row in connection.execute(sa.text(f"SELECT * FROM {table}")).mappings()]
        engine.dispose()
        return rows


@pytest.fixture
def targets(tmp_path: Path, postgres_server: str) -> Iterator[Targets]:
    with ExitStack() as stack:
        yield Targets(stack, tmp_path, postgres.new_database(postgres_server, "recipes"))


def _routes(folder: Path) -> str:
    """Return all recipes as one file, changed only in what differs on this machine."""
    text = HEAD
    for name in recipes.names():
        text = recipes.added(text, recipes.read(name), file="routes.yaml")
    own = text.replace("/var/lib/frontdesk/archive", f"{folder}/archive").replace("debounce: 5s", "debounce: 500ms")
    invoices = own.index("- name: invoices-to-a-database")
    own = own[:invoices] + own[invoices:].replace("env/DATABASE_URL", "env/INVOICES_URL", 1)
    assert own.count("    with:\n      url: env/") == 6
    for service in ("DOORS", "CRM", "TICKETS", "BADGES"):
        local = f"    with:\n      allow_private: true\n      url: env/{service}_URL"
        own = own.replace(f"    with:\n      url: env/{service}_URL", local)
    return own


def test_every_recipe_does_what_it_says(
    tmp_path: Path, redis_url: str, frontdesk: StartFrontdesk, targets: Targets
) -> None:
    """In real processes; and nothing of what was sent is in a log."""
    stack = Journey(tmp_path, redis_url, frontdesk)
    (tmp_path / "routes.yaml").write_text(_routes(tmp_path))
    stack.settings |= targets.environment() | {"FRONTDESK_LOG_LEVEL": "debug"}
    checked = run("check", "--create-tables", settings=stack.settings, cwd=tmp_path)
    assert (checked.status, [line for line in checked.err.splitlines() if "made the table" not in line]) == (0, []), (
        checked
    )
    receiver, worker = stack.serve(), stack.start("work")

    for action in ACTIONS:
        assert stack.post(action) == 202
    events = stack.ended(len(ACTIONS))

    assert {event["status"] for event in events} == {"succeeded"}, events
    routes = {delivery["route"] for event in events for delivery in event["deliveries"]}
    assert routes == {*recipes.names()}
    _see_what_arrived(targets)
    assert len((next((tmp_path / "archive").iterdir())).read_text().splitlines()) == len(ACTIONS)
    assert (receiver.stop(), worker.stop()) == (0, 0)
    logs = receiver.output + worker.output
    assert [value for value in personal_data() | {"s3cr3t", "t0k3n", "door-token"} if value in logs] == []


def _see_what_arrived(targets: Targets) -> None:
    chat = {request.path: json.loads(request.body) for request in targets.http["chat"].received}
    assert chat["/teams"]["title"].startswith("Salle Eiffel")
    assert "**José Álvarez** books Salle Eiffel" in chat["/teams"]["message"]
    assert "for 131.25 EUR" in chat["/teams"]["message"]
    assert "is cancelled" in chat["/desk"]["message"]
    assert "Plan: Flex 10" in chat["/offboarding"]["message"]
    mails = {message["subject"]: message["to"] for message in targets.mail.messages}
    assert mails == {
        "Søren Kierulf has arrived": "jose.alvarez@example.com",
        "Parcel, 2 kg 📦 is here for you": "jose.alvarez@example.com",
        "Payment failed: FE-2026-00417": "finance@example.com",
    }
    assert [door["open"] for door in targets.posted("doors")] == [True, False]
    assert targets.http["doors"].received[0].headers["authorization"] == "Bearer door-token"
    (contact,) = targets.posted("crm")
    assert (contact["email"], contact["tags"]) == ("jose.alvarez@example.com", ["coworking", "location-1001"])
    assert targets.http["crm"].received[-1].headers["authorization"] == "Bearer t0k3n"
    (ticket,) = targets.posted("tickets")
    assert (ticket["subject"], ticket["group"]) == ("🥶 The heating is off – again", "Façade & chauffage")
    (badge,) = targets.http["badges"].received
    assert parse_qs(badge.body.decode())["line1"] == ["Søren Kierulf"]
    assert sorted(row["what"] for row in targets.rows("bookings", "booking_changes")) == [
        "BookingCreate",
        "BookingDelete",
    ]
    (invoice,) = targets.rows("invoices", "invoices")
    assert (invoice["number"], float(invoice["total"])) == ("FE-2026-00417", 236.25)


def _body(action: str, number: int, **fields: object) -> bytes:
    """Return the sample of a number with other fields."""
    return json.dumps([samples.record(action, now=datetime.now(UTC), number=number) | fields]).encode()


def _time(after: timedelta) -> str:
    return (datetime.now(UTC) + after).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_reminders_move_with_their_bookings_and_are_called_off(
    tmp_path: Path, redis_url: str, frontdesk: StartFrontdesk
) -> None:
    """One waits, one is moved, one is cancelled, one comes too late; an invoice that is paid gets no mail."""
    stack = Journey(tmp_path, redis_url, frontdesk)
    both = recipes.added(HEAD, recipes.read("reminder-before-bookings"), file="routes.yaml")
    (tmp_path / "routes.yaml").write_text(recipes.added(both, recipes.read("overdue-invoices"), file="routes.yaml"))
    hour, now = timedelta(hours=1), timedelta()
    with a_mail_server() as mail, ExitStack() as end:
        nexudus = SimulatedNexudus(stack.start("simulate", "--port", "0", "--rate", "0"))
        end.callback(nexudus.close)
        nexudus.change("spaces/coworkers", ZOE, Email="zoe@example.com")
        stack.settings |= {"FRONTDESK_NEXUDUS_URL": nexudus.url}
        user = {"FRONTDESK_NEXUDUS_USERNAME": "demo@example.com", "FRONTDESK_NEXUDUS_PASSWORD": "demo"}
        stack.settings |= user | {"MAIL_URL": mail.url()}
        stack.serve()
        stack.start("work")

        def post(action: str, number: int, **fields: object) -> str:
            answer = stack.posted(action, _body(action, number, **{"CoworkerId": ZOE} | fields))
            assert answer.status == 202, answer
            return str(json.loads(answer.body)["events"][0]["id"])

        due = datetime.now(UTC) + timedelta(seconds=5)
        waits = post("BookingCreate", 1, FromTime=(due + hour).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), Notes="waits")
        early = post("BookingCreate", 2, FromTime=_time(50 * hour), UpdatedOn=_time(now))
        cancelled = post("BookingCreate", 3, FromTime=_time(50 * hour), UpdatedOn=_time(now))
        late = post("BookingCreate", 4, FromTime=_time(hour / 6))
        unpaid = post("CoworkerInvoiceCreate", 5, DueDate=_time(-80 * hour))
        paid = post("CoworkerInvoiceCreate", 6, DueDate="2031-03-16T00:00:00Z")
        waiting = {one["id"]: one["deliveries"][0] for one in stack.lines("events", "--status", "in_flight")}
        assert {waiting[one]["waits_for"] for one in (early, cancelled, paid)} == {"its time"}
        assert waiting[paid]["next_attempt_at"] == "2031-03-19T00:00:00.000Z"
        moved = post(
            "BookingUpdate", 2, FromTime=_time(hour - timedelta(seconds=5)), UpdatedOn=_time(now), Notes="moved"
        )
        gone = post("BookingDelete", 3, FromTime=_time(50 * hour), UpdatedOn=_time(now))
        receipt = post("CoworkerInvoicePaid", 6, DueDate=_time(hour), Paid=True)
        ended = {one["id"]: one["deliveries"][0] for one in stack.ended(9)}

        assert {one for one, delivery in ended.items() if delivery["status"] == "succeeded"} == {waits, moved, unpaid}
        assert ended[early]["error"] == f"replaced by a newer event: {moved}"
        assert ended[cancelled]["error"] == f"called off by BookingDelete: {gone}"
        assert ended[paid]["error"] == f"called off by CoworkerInvoicePaid: {receipt}"
        assert "too late: its time was " in ended[late]["error"]
        reminders = [one for one in mail.messages if one["to"] == "zoe@example.com"]
        told = {word for one in reminders for word in ("waits", "moved") if f"notes: {word}" in one.get_content()}
        assert (told, len(reminders)) == ({"waits", "moved"}, 2)
        assert datetime.now(UTC) > due
        (message,) = [one for one in mail.messages if one not in reminders]
        assert message["subject"] == "Invoice FE-2026-00417 is overdue"
        counted = stack.lines("audit")[0]
        assert (counted["unaccounted"], counted["events"]["routed"]) == (0, 9)


def test_a_message_survives_a_target_that_was_away(tmp_path: Path, redis_url: str, frontdesk: StartFrontdesk) -> None:
    """As any delivery: the attempt fails, is retried, and arrives once."""
    stack = Journey(tmp_path, redis_url, frontdesk)
    (tmp_path / "routes.yaml").write_text(
        HEAD + "routes:\n" + recipes.read("contracts-to-offboarding") + "  retry: [1s]\n"
    )
    with a_target() as chat:
        chat.status = 500
        stack.settings["OFFBOARDING_URL"] = f"json://127.0.0.1:{chat.port}"
        stack.serve()
        stack.start("work")
        assert stack.post("CoworkerContractCancel") == 202
        wait_until(lambda: chat.received, "the first attempt")
        chat.status = 200
        (event,) = stack.ended(1)

    assert event["status"] == "succeeded"
    assert len(chat.received) == 2
