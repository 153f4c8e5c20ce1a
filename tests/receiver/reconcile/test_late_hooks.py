"""A hook that Nexudus delivers late, after back-fill made the event of the same change, or while it does: one event."""

import random
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis

from receiver.nexudus import change_identity
from receiver.reconcile.route_selection import RouteSelection
from receiver.reconcile.rules.action_rules import RULES
from receiver.reconcile.rules.rule import Stage, Sure
from receiver.storage.accounting.audit import Audit
from receiver.storage.accounting.damaged_events import IncompleteEvents
from receiver.storage.model import spool_row
from receiver.storage.model.entries import Entry, Receipt
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient
from tests.conftest import StartFrontdesk
from tests.receiver.reconcile.outage import HOUR, Outage, table
from tests.support.entity_api import iso
from tests.support.events import DAY_MS
from tests.support.processes import Process
from tests.support.stack import Stack

AUTO = "{name: auto, action: TeamUpdated, handler: log}"
CAREFUL = "{name: careful, action: TeamUpdated, handler: log, backfill: %s}"


def _ticks(at_ms: int) -> str:
    return iso(at_ms).replace("Z", ".1234567Z")


def _team(outage: Outage, number: int = 1, **fields: Any) -> dict[str, Any]:
    """A team as a hook brings it: with fields and ticks that the API does not have."""
    created, updated = outage.begin - 90 * HOUR, _ticks(outage.middle)
    return {"Id": number, "IsNew": False, "MinutesToStart": 3, "CreatedOn": iso(created), "UpdatedOn": updated} | fields


def _put_team(outage: Outage, number: int = 1) -> None:
    outage.api.put("Team", number, outage.begin - 90 * HOUR, outage.middle)


def _all(outage: Outage) -> list[tuple[int, str, int, str]]:
    found = [stored.envelope for stored in EventReader(outage.store).newest(EventFilter())]
    return sorted((one.business_id, one.action, one.record()["Id"], one.origin) for one in found)


def _assert_accepted(outage: Outage, *entries: Entry) -> None:
    assert outage.keep(*entries) == [Receipt(entry.envelope.id, "accepted") for entry in entries]


def _assert_counted(outage: Outage, *, kept: int, duplicates: int) -> None:
    report = Audit(outage.store).run(full=True)
    assert (report.unaccounted, report.offenders) == (0, ())
    assert (report.events["accepted"], report.duplicates) == (kept, duplicates)


@pytest.mark.parametrize(
    "action", ["TeamCreated", "TeamUpdated", "TeamDeleted", "CoworkerInvoicePaid", "BookingDelete"]
)
def test_a_hook_that_comes_after_its_event_was_made_is_a_duplicate(outage: Outage, action: str) -> None:
    """Whatever tells the change: that there is only one, UpdatedOn, or another time; it is counted as any duplicate."""
    at, old = outage.middle, outage.begin - 90 * HOUR
    outage.api.put("Resource", 3, old)
    match action:
        case "TeamCreated":
            outage.api.put("Team", 7, at)
        case "TeamUpdated":
            outage.api.put("Team", 7, old, at)
        case "TeamDeleted":
            outage.api.audit("Team", 7, at)
        case "CoworkerInvoicePaid":
            outage.api.put("CoworkerInvoice", 7, old, Paid=True, PaidOn=iso(at))
            outage.api.answers["AuditTrailEntry"] = 403
        case "BookingDelete":
            outage.api.put("CancelledBooking", 70, old, ResourceId=3, OriginalBookingId="7", CancelledOn=iso(at))
    outage.gaps(action)
    outage.fill()
    (made,) = outage.events()
    record = {"Id": 7, "CreatedOn": _ticks(old), "UpdatedOn": _ticks(at), "PaidOn": _ticks(at), "Name": "as a hook"}

    late = outage.brought(action, record)
    again = outage.brought(action, record | {"MinutesToStart": 4})

    assert outage.keep(late, again) == [Receipt(made.envelope.id, "duplicate")] * 2
    assert [one[3] for one in _all(outage)] == ["backfill"]
    _assert_counted(outage, kept=1, duplicates=2)


@pytest.mark.parametrize(
    ("business_id", "action", "fields"),
    [
        pytest.param(1001, "TeamUpdated", {"Id": 2}, id="another record"),
        pytest.param(1001, "TeamUpdated", {"later_s": 1}, id="another second"),
        pytest.param(1001, "TeamUpdated", {"UpdatedOn": None}, id="no time"),
        pytest.param(1002, "TeamUpdated", {}, id="another location"),
        pytest.param(1001, "TeamCreated", {}, id="another action"),
        pytest.param(1001, "CoworkerUpdate", {}, id="another kind"),
    ],
)
def test_another_change_is_another_event(outage: Outage, business_id: int, action: str, fields: dict[str, Any]) -> None:
    """One that is taken for another is lost."""
    _put_team(outage)
    outage.gaps("TeamUpdated", "TeamCreated", "CoworkerUpdate", businesses=(1001, 1002))
    outage.fill()
    assert len(outage.events()) == 1
    later_s = fields.pop("later_s", 0)
    record = _team(outage, UpdatedOn=_ticks(outage.middle + later_s * 1_000)) | fields

    _assert_accepted(outage, outage.brought(action, record, business_id))
    _assert_counted(outage, kept=2, duplicates=0)


def test_where_back_fill_never_was_hooks_are_compared_by_their_bytes(outage: Outage) -> None:
    """Two events of one second are two, as ever, and nothing is remembered."""
    entries = [outage.brought("TeamUpdated", _team(outage, Name=name)) for name in ("one", "other")]

    _assert_accepted(outage, *entries)

    assert list(outage.store.scan_iter("fd:made*")) == []


def test_hooks_of_one_second_stay_two_events_while_back_fill_is_at_work(outage: Outage) -> None:
    """Only what back-fill makes is compared by its change."""
    _put_team(outage)
    outage.gaps("TeamUpdated")
    brought = [outage.brought("TeamUpdated", _team(outage, Name=name)) for name in ("one", "other")]
    outage.api.before_record = lambda _kind, _number: _assert_accepted(outage, *brought)

    outage.fill()

    assert [one[3] for one in _all(outage)] == ["webhook"] * 2


def test_a_hook_that_comes_while_its_record_is_fetched_is_the_only_event(outage: Outage) -> None:
    """Back-fill has read what is kept, and finds in the step that keeps its event that a hook was faster."""
    for number in (1, 2):
        _put_team(outage, number)
    outage.gaps("TeamUpdated")
    brought = outage.brought("TeamUpdated", _team(outage))

    def come(params: dict[str, str]) -> None:
        if "id" in params:
            outage.keep(brought)

    outage.api.before_search = come
    outage.fill()

    assert _all(outage) == [(1001, "TeamUpdated", 1, "webhook"), (1001, "TeamUpdated", 2, "backfill")]
    assert (outage.one().state, outage.one().found, outage.one().made, outage.one().known) == ("healed", 2, 1, 1)
    _assert_counted(outage, kept=2, duplicates=1)


def test_hooks_and_back_fill_at_once_keep_one_event_of_each_change(outage: Outage) -> None:
    """Two hundred changes, brought in any order by two receivers while they are made."""
    number, order = 200, random.Random(18)
    for one in range(1, number + 1):
        _put_team(outage, one)
    outage.gaps("TeamUpdated")
    began, brought = threading.Event(), [outage.brought("TeamUpdated", _team(outage, one + 1)) for one in range(number)]
    order.shuffle(brought)

    def bring(some: list[Any]) -> None:
        began.wait(30)
        for entry in some:
            outage.keep(entry)

    receivers = [threading.Thread(target=bring, args=(brought[half::2],)) for half in (0, 1)]
    for thread in receivers:
        thread.start()
    outage.api.before_search = lambda params: began.set() if "id" in params else None
    outage.fill()
    for thread in receivers:
        thread.join()

    assert [(one[1], one[2]) for one in _all(outage)] == [("TeamUpdated", one + 1) for one in range(number)]
    _assert_counted(outage, kept=number, duplicates=number)


@pytest.mark.parametrize("policy", ["confirm", "never"])
def test_routes_that_back_fill_left_out_get_the_hook_that_comes_late(outage: Outage, policy: str) -> None:
    """And the one that has the event already does not get it again."""
    outage.table = table(AUTO, CAREFUL % policy)
    _put_team(outage)
    outage.gaps("TeamUpdated")
    outage.fill()
    assert [one.route for one in outage.events()[0].deliveries] == ["auto"]

    _assert_accepted(outage, outage.brought("TeamUpdated", _team(outage)))
    (late,) = outage.events("webhook")
    assert [one.route for one in late.deliveries] == ["careful"]
    _assert_counted(outage, kept=2, duplicates=0)


def test_a_first_load_of_one_route_takes_nothing_from_the_others(outage: Outage) -> None:
    """The route has its event, the others get the hook's."""
    outage.table = table("{name: warehouse, action: TeamUpdated, handler: log}", AUTO)
    _put_team(outage)
    gaps = outage.gaps("TeamUpdated")
    outage.fill(gaps, selection=RouteSelection(outage.table, is_asked=True, routes=frozenset({"warehouse"})))

    outage.keep(outage.brought("TeamUpdated", _team(outage)))

    (late,) = outage.events("webhook")
    assert [one.route for one in late.deliveries] == ["auto"]


def test_a_route_is_loaded_although_the_change_was_made_before(outage: Outage) -> None:
    """What a person asks for is made, whoever has claimed the change; its first event is over."""
    outage.table = table("{name: warehouse, action: TeamUpdated, handler: log}", AUTO)
    _put_team(outage)
    gaps = outage.gaps("TeamUpdated")
    outage.fill(gaps)
    (first,) = outage.events()
    outage.store.delete(keys.envelope(first.envelope.id), keys.state(first.envelope.id))
    outage.store.lrem(keys.index(first.envelope.hour, action="TeamUpdated"), 0, first.envelope.id)

    outage.fill(gaps, selection=RouteSelection(outage.table, is_asked=True, routes=frozenset({"warehouse"})))

    (made,) = [one for one in outage.events() if one.envelope.id != first.envelope.id]
    assert [one.route for one in made.deliveries] == ["warehouse"]


def test_two_occurrences_of_one_record_are_both_made(outage: Outage) -> None:
    """Both have the record of today, so its UpdatedOn does not tell them apart."""
    outage.api.put("CoworkerContract", 5, outage.begin - 90 * HOUR, outage.middle, UniqueId="c-5", IssuedById=1001)
    for number in (1, 2):
        at = outage.middle - number * HOUR
        outage.api.put("CoworkerPricePlanHistory", number, at, NewContractUniqueId="c-5")
    outage.gaps("CoworkerContractUpgradeDowngrade")

    outage.fill()

    assert outage.made() == [(1001, "CoworkerContractUpgradeDowngrade", 5)] * 2


def test_an_event_that_waited_in_a_spool_is_recognised_too(outage: Outage) -> None:
    """It was answered under its own id, which leads to the event that was made."""
    _put_team(outage)
    outage.gaps("TeamUpdated")
    spooled = spool_row.row_of(outage.brought("TeamUpdated", _team(outage)))
    outage.fill()
    (made,) = outage.events()
    row = spool_row.read((spooled.id.encode(), *spooled.columns()[1:]))
    assert row is not None

    for _ in range(2):
        assert outage.keep(row.entry(), alias_ms=DAY_MS) == [Receipt(made.envelope.id, "duplicate")]

    assert outage.store.get(keys.alias(spooled.id)) == made.envelope.id.encode()
    _assert_counted(outage, kept=1, duplicates=1)


def test_what_was_left_half_written_is_nobodys_first(outage: Outage) -> None:
    """What back-fill could not finish has claimed its change; the claim goes when the remains are cleared away."""
    _put_team(outage)
    outage.gaps("TeamUpdated")
    outage.fill()
    (made,) = outage.events()
    outage.store.delete(keys.envelope(made.envelope.id))
    outage.store.lrem(keys.index(made.envelope.hour), 0, made.envelope.id)

    _assert_accepted(outage, outage.brought("TeamUpdated", _team(outage)))
    calls = StoreClient(outage.store, "incomplete")
    assert IncompleteEvents(calls).clear({made.envelope.id}) == {made.envelope.id}

    claims = [one for key in calls.scan("fd:made:*") for one in calls.ask("hvals", key)]
    assert all(not claim.startswith(made.envelope.id.encode()) for claim in claims)


def test_claims_end_with_the_time_they_are_remembered(outage: Outage) -> None:
    """Nothing of it stays for ever."""
    _put_team(outage)
    outage.gaps("TeamUpdated")
    outage.fill()

    found = list(outage.store.scan_iter("fd:made*"))

    assert len(found) == 2
    assert all(0 < outage.store.pttl(key) <= 62 * DAY_MS for key in found)


def test_after_back_fill_hooks_claim_nothing(outage: Outage) -> None:
    """They cost the store a look, and no memory."""
    outage.gaps("TeamUpdated")
    outage.fill()

    outage.keep(outage.brought("TeamUpdated", _team(outage)))

    assert list(outage.store.scan_iter("fd:made:*")) == []


def test_the_rules_agree_on_what_happens_once() -> None:
    """What a rule makes once of a record, a hook brings once, and what repeats has a time."""
    for rule in RULES.values():
        if rule.sure is Sure.NO or rule.action == "CoworkerCheckin":
            continue  # its record is not documented; if it is the customer, it comes every day
        is_once = rule.stage in (Stage.CREATE, Stage.DELETE)
        assert (change_identity.field_of(rule.action) == "") is is_once, rule.action


def test_a_claim_of_a_wrong_type_costs_no_event(outage: Outage, client: redis.Redis) -> None:
    """It is set aside, and the event is kept."""
    client.set(keys.MADE, "odd")

    _assert_accepted(outage, outage.brought("TeamUpdated", _team(outage)))
    assert client.get(f"fd:aside:{keys.MADE}") == b"odd"


class _Receiver(Stack):
    def __init__(self, folder: Path, redis_url: str, frontdesk: StartFrontdesk) -> None:
        routes = "businesses: [1001]\nroutes: [{action: TeamUpdated, handler: log}]\n"
        super().__init__(folder, redis_url, routes=routes, handlers="", key="k" * 32, secret="s" * 32)
        self._frontdesk = frontdesk

    def start(self, *arguments: str) -> Process:
        return self._frontdesk(*arguments, settings=self.settings)


def test_a_receiver_answers_a_late_hook_202_and_keeps_one_event(
    outage: Outage, redis_url: str, frontdesk: StartFrontdesk, tmp_path: Path
) -> None:
    """Over HTTP, signed: one that comes before back-fill, as an event, and one that comes after it, as a duplicate."""
    receiver = _Receiver(tmp_path, redis_url, frontdesk)
    receiver.serve()
    early, late = _team(outage, number=1), _team(outage, number=2)
    _put_team(outage, 1)
    _put_team(outage, 2)
    outage.gaps("TeamUpdated")

    assert receiver.posted("TeamUpdated", orjson.dumps([early])).status == 202
    outage.fill()
    assert receiver.posted("TeamUpdated", orjson.dumps([late | {"Name": "as a hook"}])).status == 202

    assert _all(outage) == [(1001, "TeamUpdated", 1, "webhook"), (1001, "TeamUpdated", 2, "backfill")]
    _assert_counted(outage, kept=2, duplicates=1)
