"""What the commands say of a route with `at`: when its deliveries start, and what is probably not meant."""

import json
from pathlib import Path

from receiver.storage.model.entries import timed_terms
from receiver.storage.redis import connection
from tests.support.events import entry, keep_all
from tests.support.processes import run

ROUTES = """\
routes:
  - name: remind
    action: [BookingCreate, BookingUpdate]
    where: data.Tentative == false
    at: timestamp(data.FromTime) - duration("1h")
    cancelled_by: [BookingDelete, CoworkerInvoicePaid, "*Delete"]
    handler: log
  - {name: never, action: CoworkerCreate, at: timestamp(data.FromTime), handler: log}
"""
RECORD = {"Id": 5, "FromTime": "2031-03-02T11:15:00Z", "Tentative": False}


def test_they_say_when_it_starts_and_what_is_not_meant(tmp_path: Path) -> None:
    """`routes`, `routes explain`, `try` and `check`."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "one.json").write_text(json.dumps(RECORD))

    def say(*arguments: str) -> str:
        ran = run(*arguments, settings={}, cwd=tmp_path)
        assert ran.status == 0, ran
        return ran.out + ran.err

    listed = json.loads(say("routes", "--json").splitlines()[0])
    assert (listed["at"], listed["cancelled_by"][:1]) == (
        'timestamp(data.FromTime) - duration("1h")',
        ["BookingDelete"],
    )
    told = json.loads(say("routes", "explain", "BookingUpdate", "one.json", "--business", "1", "--json"))["routes"][0]
    assert (told["matched"], told["starts_at"], told["calls_off"]) == (True, "2031-03-02T10:15:00.000Z", False)
    gone = json.loads(say("routes", "explain", "BookingDelete", "one.json", "--business", "1", "--json"))["routes"][0]
    assert (gone["matched"], gone["starts_at"], gone["calls_off"]) == (False, None, True)
    assert "starts at 2031-03-02T10:15:00.000Z" in " ".join(
        say("routes", "explain", "BookingCreate", "one.json").split()
    )
    assert "note: for a worker, its delivery starts at 2031-03-02T10:15:00.000Z" in say("try", "remind", "one.json")
    warned = json.loads(say("check", "--json"))["warnings"]
    other, missing = [line.partition(" route ")[2] for line in warned if ": route " in line]
    assert other == (
        "'remind': cancelled_by: CoworkerInvoicePaid is about CoworkerInvoice, and the route's events are about "
        "Booking: it never calls one off"
    )
    assert missing == "'never': at: on the sample of CoworkerCreate: there is no 'FromTime' in it"


def test_what_waits_is_listed_with_its_time(tmp_path: Path, redis_url: str) -> None:
    """`events` as a table and as objects, and `show`."""
    with connection.connect(redis_url) as client:
        one = entry(routes=["remind"], terms=timed_terms("key", "", 1_930_212_900_000, 0))
        keep_all(client, one)
    settings = {"FRONTDESK_REDIS_URL": redis_url}
    table = run("events", "--status", "in_flight", settings=settings, cwd=tmp_path)
    rows = run("events", "--status", "in_flight", "--json", settings=settings, cwd=tmp_path)
    shown = run("show", one.envelope.id, "--json", settings=settings, cwd=tmp_path)

    assert "remind: its time at 2031-03-02T10:15:00" in " ".join(table.out.split())
    for ran in (rows, shown):
        (delivery,) = json.loads(ran.out)["deliveries"]
        assert (delivery["waits_for"], delivery["next_attempt_at"]) == ("its time", "2031-03-02T10:15:00.000Z")
