"""What a route enriches: read by workers before the handler runs, from a real API, once for many deliveries."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench import Bench
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import run, wait_until
from workers import Event
from workers.api import Discard
from workers.records import Coworker

ZOE = 1_409_384_711
MEMBER = {"member": {"kind": "Coworker", "id": "data.CoworkerId"}}
HANDLERS = """
from deeds import note
from workers import Event

def tell(event: Event, *, word: str = ""):
    member = event.enriched["member"]
    note(event, name=member and member.FullName, kind=type(member).__name__)

async def tell_async(event: Event):
    tell(event)

def tell_plain(event: Event):
    note(event, name=event.enriched["member"]["FullName"], kind=type(event.enriched["member"]).__name__)
"""


@pytest.fixture(autouse=True)
def telling(bench: Bench) -> None:
    (bench.folder / "telling.py").write_text(HANDLERS)


def ended(bench: Bench, event_id: str) -> tuple[str, str | None]:
    """Return how the one delivery of an event ended."""
    (delivery,) = bench.ended(event_id, timeout_s=100).deliveries
    return str(delivery.status), delivery.error


def gone_member(simulated: SimulatedNexudus) -> int:
    """Return the number of a member that was deleted at Nexudus."""
    times = {"since": "2026-05-01T08:00:00Z", "until": "2026-05-01T08:00:00Z"}
    (number,) = simulated.stock("Coworker", 1001, **times)
    simulated.vanish("spaces/coworkers", number)
    return number


def a_booking(number: int, coworker: int | None = ZOE) -> dict[str, object]:
    return {"Id": number, "CoworkerId": coworker}


def test_a_thousand_deliveries_of_one_member_cost_one_call(bench: Bench, simulated: SimulatedNexudus) -> None:
    """For sync and async handlers, in two processes; by the type of a kind, or by a path, which has none."""
    plain = {"member": {"kind": "spaces/coworkers", "id": "data.CoworkerId"}}
    bench.routes(
        {"handler": "telling:tell", "enrich": MEMBER},
        {"handler": "telling:tell_async", "enrich": MEMBER},
        {"handler": "telling:tell_plain", "enrich": plain},
    )
    routes = ("tell", "tell-async", "tell-plain")
    ids = [bench.keep_record(a_booking(number), *routes) for number in range(1, 201)]
    before = simulated.state()["calls"]

    bench.work("--processes", "2")

    assert {bench.ended(event_id, timeout_s=100).status.value for event_id in ids} == {"succeeded"}
    assert {(seen["name"], seen["kind"]) for seen in bench.seen()} == {
        ("Zoë Lindqvist", "Coworker"),
        ("Zoë Lindqvist", "dict"),
    }
    assert len(bench.seen()) == 600
    assert simulated.state()["calls"] - before - simulated.state()["grants"] == 1


def test_a_record_that_is_gone_or_not_named_is_null(bench: Bench, simulated: SimulatedNexudus) -> None:
    """A 404, or the 500 that stands for one; null for an id of null; another id than a number ends it for good."""
    gone = gone_member(simulated)
    bench.routes({"handler": "telling:tell", "enrich": MEMBER, "retry": ["1h"]})
    found = [bench.keep_record(a_booking(1, gone), "tell"), bench.keep_record(a_booking(2, None), "tell")]
    bad = bench.keep_record({"Id": 3, "CoworkerId": "the one with the hat"}, "tell")

    bench.work()

    assert [ended(bench, event_id) for event_id in found] == [("succeeded", None)] * 2
    status, error = ended(bench, bad)
    assert (status, error) == (
        "dead",
        "RecordUnfit: enrich: the id of 'member' is not the number of a record (data.CoworkerId)",
    )
    assert {seen["name"] for seen in bench.seen()} == {None}


def test_the_filter_that_names_a_record_is_the_workers(bench: Bench, simulated: SimulatedNexudus) -> None:
    """What it does not let pass is discarded as filtered, and no handler runs."""
    simulated.change("spaces/coworkers", ZOE, Active=False)
    routes = [
        ("active", "member != null && member.Active"),
        ("not-active", "member.Active == false"),
        ("broken", "member.NoSuchField == 1"),
    ]
    bench.routes(
        *[{"name": name, "handler": "telling:tell", "enrich": MEMBER, "where": where} for name, where in routes]
    )
    event_id = bench.keep_record(a_booking(1), *(name for name, _ in routes))

    bench.work()
    stored = bench.ended(event_id)

    assert {one.route: (str(one.status), one.error) for one in stored.deliveries} == {
        "active": ("discarded", "filtered"),
        "not-active": ("succeeded", None),
        "broken": ("discarded", "filtered: its filter failed: there is no 'NoSuchField' in it"),
    }
    assert len(bench.seen()) == 1


def test_a_template_and_a_row_hold_what_was_read(bench: Bench, simulated: SimulatedNexudus) -> None:
    """As Nexudus sent it: a number stays one."""
    with_ = {
        "url": f"sqlite:///{bench.folder}/rows.db",
        "table": "members",
        "columns": {"who": "{{ member.FullName }}", "number": "{{ member.Id }}", "gone": "{{ other }}"},
    }
    enrich = {**MEMBER, "other": {"kind": "Coworker", "id": str(gone_member(simulated))}}
    bench.routes({"name": "rows", "handler": "sql", "enrich": enrich, "with": with_})
    made = run("check", "--create-tables", settings=bench.settings, cwd=bench.folder)
    event_id = bench.keep_record(a_booking(1), "rows")

    bench.work()
    outcome = ended(bench, event_id)
    tried = run("try", "rows", event_id, "--dry-run", "--json", settings=bench.settings, cwd=bench.folder)

    assert made.status == 0, made.err
    assert outcome == ("succeeded", None)
    assert json.loads(tried.out)["would_send"]["row"] == {
        "event_key": f"{event_id}-rows",
        "who": "Zoë Lindqvist",
        "number": ZOE,
        "gone": None,
    }


def test_nexudus_that_throttles_or_is_away_makes_it_wait_or_fail_with_a_reason(
    bench: Bench, simulated: SimulatedNexudus
) -> None:
    """Throttling costs no attempt; a refusal does, and its error says which record and what Nexudus answered."""
    bench.routes({"handler": "telling:tell", "enrich": MEMBER, "retry": []})
    simulated.turn(throttle_rate=1.0, retry_after_s=1)
    waiting = bench.keep_record(a_booking(1), "tell")

    worker = bench.work()
    wait_until(lambda: simulated.state()["calls"] >= 4, "some throttled calls", timeout_s=60)
    in_flight = bench.archive.get(waiting)
    simulated.turn(throttle_rate=0.0)
    outcome = ended(bench, waiting)
    simulated.close()
    worker.stop()
    bench.settings["FRONTDESK_NEXUDUS_URL"] = "http://127.0.0.1:9"
    bench.work()
    status, error = ended(bench, bench.keep_record(a_booking(2, ZOE + 1), "tell"))

    assert (in_flight.status, in_flight.deliveries[0].attempts) == ("in_flight", ())
    assert outcome == ("succeeded", None)
    assert status == "dead"
    assert error is not None
    assert error.startswith("NotEnriched: enrich: 'member' cannot be read: ")
    assert "127.0.0.1:9" in error or "cannot be reached" in error, error


def test_nothing_of_a_record_is_logged_or_kept(bench: Bench, simulated: SimulatedNexudus) -> None:
    """But for the cached answer, which erase clears."""
    bench.routes({"handler": "telling:tell", "enrich": MEMBER, "where": 'member.FullName == "Nobody"'})
    bench.settings["FRONTDESK_LOG_LEVEL"] = "debug"
    event_id = bench.keep_record(a_booking(1), "tell")

    worker = bench.work("--burst")
    worker.wait(timeout_s=100)

    assert ended(bench, event_id) == ("discarded", "filtered")
    assert "Lindqvist" not in worker.output
    kept = {key for key in bench.client.scan_iter() if b"Lindqvist" in repr(_value(bench, key)).encode()}
    assert all(key.startswith(b"fd:nexudus:answer") for key in kept)


def _value(bench: Bench, key: Any) -> object:
    kind = bench.client.type(key)
    if kind == b"string":
        return bench.client.get(key)
    return bench.client.hgetall(key) if kind == b"hash" else None


def check(folder: Path, route: str, **settings: str) -> list[dict[str, Any]]:
    """Return what `frontdesk check` finds wrong with a route."""
    (folder / "routes.yaml").write_text(f"routes:\n{route}")
    found: list[dict[str, Any]] = json.loads(run("check", "--json", cwd=folder, settings=settings).out)["problems"]
    return found


def test_check_names_a_wrong_kind_and_missing_credentials_at_their_line(tmp_path: Path) -> None:
    """With what may be meant."""
    route = "  - action: BookingCreate\n    handler: log\n    enrich:\n      a: {kind: %s, id: data.CoworkerId}\n"

    (wrong,) = check(tmp_path, route % "Cowroker", FRONTDESK_NEXUDUS_TOKEN="t")
    (path,) = check(tmp_path, route % "spaces/coworker", FRONTDESK_NEXUDUS_TOKEN="t")
    (poor,) = check(tmp_path, route % "Coworker")

    assert (wrong["line"], path["line"], poor["line"]) == (5, 5, 5)
    assert "there is no kind of record 'Cowroker'; did you mean 'Coworker'?" in wrong["message"]
    assert "there is no kind of record 'spaces/coworker'; did you mean 'spaces/coworkers'?" in path["message"]
    assert "enrich: asks for nexudus, but FRONTDESK_NEXUDUS_USERNAME is not set" in poor["message"]
    assert check(tmp_path, route % "Resource", FRONTDESK_NEXUDUS_TOKEN="t") == []


def test_check_warns_of_a_field_that_the_enriched_record_lacks(tmp_path: Path) -> None:
    """With the line of the template, and of no other."""
    (tmp_path / "routes.yaml").write_text(
        "routes:\n  - action: BookingCreate\n    handler: notify\n"
        "    enrich: {member: {kind: Coworker, id: data.CoworkerId}, room: {kind: Resource, id: data.ResourceId}}\n"
        "    with:\n      to: env/CHAT\n      message: |\n        {{ member.FullName }} {{ room.Name }}\n"
        "        {{ member.FulName }}\n"
    )
    settings = {"FRONTDESK_NEXUDUS_TOKEN": "t", "CHAT": "json://chat.example/"}

    found = json.loads(run("check", "--json", cwd=tmp_path, settings=settings).out)

    (warning,) = [one for one in found["warnings"] if "enrich" in one or "member" in one]
    assert found["problems"] == []
    assert warning.endswith(
        "routes.yaml:9: route 'notify': option 'message': as far as is known, member, a Coworker, has no field "
        "'FulName'; did you mean 'FullName'?"
    )


def test_check_refuses_a_name_that_the_route_does_not_enrich(tmp_path: Path) -> None:
    """In a template."""
    route = (
        "  - action: BookingCreate\n    handler: sql\n"
        "    with: {url: 'sqlite://', table: t, columns: {who: '{{ member.FullName }}'}}\n"
    )

    (problem,) = check(tmp_path, route)

    assert "unknown name 'member'" in problem["message"]


def test_a_handler_is_tested_with_records_that_its_author_makes() -> None:
    """A dict, or records of types."""
    from tests.support.handled import an_event
    from workers.templates import Template

    event: Event = an_event(enriched={"member": Coworker(Id=7, FullName="Zoë"), "other": {"A": 1}, "none": None})
    template = Template("{{ member.FullName }} {{ other.A }} {{ none }}", ["member", "other", "none"])

    assert template.render(event) == "Zoë 1 "
    assert an_event().enriched == {}
    assert issubclass(Discard, Exception)
