"""What counts as wrong: each state for its reason, none while all is well."""

import dataclasses
from typing import Any

import pytest

from receiver.core.events import EventStatus
from receiver.failures.failure_records import FailureGroup, Said, Summary
from receiver.observation.alerts import alert_conditions, failure_alerts
from receiver.observation.alerts.alert_state import Level
from receiver.observation.status_snapshot import StatusSnapshot
from receiver.observation.store_status import QueueStatus, Silence, WorkerStatus
from receiver.storage.accounting.data_loss import Loss
from receiver.storage.accounting.maintenance import AuditResult
from receiver.storage.queue.flow_control import Gate, Pause
from receiver.storage.shared.gap_ledger import GapState
from receiver.storage.shared.registrar_state import HooksFound
from receiver.storage.spool.reports import SpoolReport

NOW = 1_790_000_000_000
MINUTE = 60_000

WORKER = WorkerStatus("ann", NOW + 10_000, 0, (), "", "1", "host", ("*",))
WELL = StatusSnapshot(
    NOW,
    queues=(QueueStatus("default", 3, 1, NOW - MINUTE), QueueStatus("retired", 0, 0, None)),
    workers=(WORKER,),
    standing={EventStatus.DEAD: 4, EventStatus.QUARANTINED: 9, EventStatus.UNROUTED: 2},
    quarantined_lately=2,
    spools=(SpoolReport("busy", "host", "/var", 5, 100, NOW - MINUTE, NOW - 1_000),),
    audit=AuditResult(NOW - MINUTE, NOW, 0, 0, ()),
    hooks=HooksFound(NOW - MINUTE, 20, {1001: {"unrouted": 2}}),
    silences={1001: Silence(NOW - 600 * MINUTE, 7.9), 1002: Silence(NOW - 60_000 * MINUTE, None)},
    counters={"where_failed:announce": 3},
    gates={"slow": Gate("slow", waiting=3, told_until_ms=NOW + MINUTE), "held": Gate("held", Pause(NOW, "ann"), 7)},
)


def _names(snapshot: StatusSnapshot, levels: dict[str, Level] | None = None) -> list[str]:
    return [one.name for one in alert_conditions.found(snapshot, levels or {}, patience_ms=5 * MINUTE)]


def test_a_location_is_told_by_number_and_name() -> None:
    """Of hooks in trouble and of a location that is silent; a number without a name stands alone."""
    troubled = dataclasses.replace(
        WELL,
        hooks=HooksFound(NOW - MINUTE, 20, {1001: {"disabled": 2}}),
        silences={1002: Silence(NOW - 600 * MINUTE, 99.0)},
        names={1001: "London"},
    )

    titles = [one.title for one in alert_conditions.found(troubled, {}, patience_ms=5 * MINUTE)]

    assert titles == ["Hooks of business 1001 London: 2 disabled", "Business 1002 is unusually silent"]


def test_nothing_is_wrong_while_all_is_well() -> None:
    """Old dead deliveries, an emptied queue of an old table and a night without events are no states."""
    assert _names(WELL, {"dead": Level(4), "filter/announce": Level(3, NOW - 31 * MINUTE)}) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"audit": AuditResult(NOW, NOW, 1, 0, ("x",))}, "unaccounted"),
        ({"audit": AuditResult(NOW - 61 * MINUTE, NOW, 0, 0, ())}, "audit"),
        ({"retention_late_ms": 11 * MINUTE}, "retention"),
        ({"quarantined_lately": 3}, "quarantine"),
        ({"spools": (SpoolReport("s", "h", "/v", 5, 1, NOW - 6 * MINUTE, NOW - 1_000),)}, "spool/s"),
        ({"spools": (SpoolReport("s", "h", "/v", 5, 1, NOW - MINUTE, NOW - MINUTE),)}, "orphan/s"),
        ({"spools": (SpoolReport("s", "h", "/v", 0, 0, 0, NOW - 1_000, "full"),)}, "spool-unusable/s"),
        ({"unfit": {"eviction": "maxmemory-policy is allkeys-lru"}}, "server/eviction"),
        ({"losses": (Loss("0123", NOW - MINUTE, NOW),)}, "lost/0123"),
        ({"queues": (QueueStatus("default", 1, 0, NOW - 6 * MINUTE),)}, "waiting/default"),
        ({"workers": ()}, "worker/default"),
        ({"workers": (dataclasses.replace(WORKER, lease_ms=NOW - 1),)}, "worker/default"),
        ({"workers": (dataclasses.replace(WORKER, queues=("doors",)),)}, "worker/default"),
        ({"queues": (QueueStatus("frontdesk-isolated", 1, 0, NOW),)}, "worker/frontdesk-isolated"),
        ({"gates": {"tell": Gate("tell", waiting=3, down_since_ms=NOW - MINUTE)}}, "target/tell"),
        ({"hooks": HooksFound(NOW, 3, {1001: {"disabled": 1}})}, "hook/1001"),
        ({"hooks": HooksFound(NOW, 3, {1002: {"failing": 1}})}, "hook/1002"),
        ({"hooks": HooksFound(NOW, 3, {1001: {"missing": 1}})}, "hook-astray/1001"),
        ({"hooks": HooksFound(NOW - 16 * MINUTE, 3, {})}, "registrar"),
        ({"gap_ms": 61 * MINUTE, "gaps": {GapState.OPEN: 2}}, "gap"),
        ({"gaps": {GapState.CONFIRM: 2}}, "gap-confirm"),
        ({"gaps": {GapState.CANNOT: 1}}, "gap-cannot"),
        ({"silences": {1001: Silence(NOW - 600 * MINUTE, 8.1)}}, "silent/1001"),
    ],
)
def test_each_state_has_its_reason(change: dict[str, object], name: str) -> None:
    """One state, under its own name."""
    assert _names(dataclasses.replace(WELL, **change)) == [name]  # type: ignore[arg-type]


def test_a_receiver_that_is_gone_says_nothing_of_its_spool() -> None:
    """What it could not do is over; only events that it left are told of."""
    gone = SpoolReport("s", "h", "/v", 0, 0, 0, NOW - MINUTE, "full")

    assert _names(dataclasses.replace(WELL, spools=(gone,))) == []


def test_a_stock_worker_serves_a_queue_too() -> None:
    """`rq worker default` is no reason for an alarm."""
    assert _names(dataclasses.replace(WELL, workers=(), stock=(("default",),))) == []


def test_what_grew_lately_is_a_state() -> None:
    """Filters that fail: until nothing was added for half an hour."""
    grown = {"dead": Level(5, NOW - 29 * MINUTE), "filter/announce": Level(4, NOW - 29 * MINUTE)}

    assert _names(WELL, grown) == ["filter/announce"]
    assert alert_conditions.heights(WELL) == {"dead": 4, "filter/announce": 3}


def _group(number: int, **changes: Any) -> FailureGroup:
    return dataclasses.replace(
        FailureGroup(f"g{number:02}", "announce", "ValueError: jane", "ValueError", 7, 5, NOW, NOW, "x", (), NOW),
        **changes,
    )


def test_each_group_of_failures_is_one_state_however_many_fail() -> None:
    """It tells how many, since when and what to do, and nothing that the error says."""
    (told,) = failure_alerts.conditions(Summary(NOW, (_group(1),)), NOW)

    assert (told.name, told.title) == ("dead/g01", "Route announce fails: ValueError")
    assert told.text.startswith("5 deliveries dead, 2 are tried again, since 2026-")
    assert "`frontdesk replay --group g01`" in told.text
    assert "jane" not in told.title + told.text


@pytest.mark.parametrize(
    "changes",
    [
        {"dead": 0},
        {"closed_ms": NOW},
        {"quiet_ms": NOW},
        {"said": Said("acknowledged", "ada", "known", NOW)},
        {"said": Said("snoozed", "ada", "later", NOW, NOW + 1)},
    ],
    ids=str,
)
def test_a_group_that_nobody_has_to_look_at_is_no_state(changes: dict[str, Any]) -> None:
    """Tried again by itself, closed, as old as the first look, known, snoozed."""
    assert list(failure_alerts.conditions(Summary(NOW, (_group(1, **changes),)), NOW)) == []


def test_a_snooze_that_is_over_is_a_state_again() -> None:
    """Nobody has to be asked."""
    over = _group(1, said=Said("snoozed", "ada", "later", NOW - 2, NOW))

    assert len(list(failure_alerts.conditions(Summary(NOW, (over,)), NOW))) == 1


def test_very_many_groups_are_told_of_in_one_state_more() -> None:
    """Those that opened first one by one, so that a new one takes nobody's place."""
    groups = tuple(_group(number, opened_ms=NOW - number) for number in range(30))

    names = [one.name for one in failure_alerts.conditions(Summary(NOW, groups), NOW)]

    assert names == [f"dead/g{number:02}" for number in range(29, 9, -1)] + ["dead/more"]


def test_a_number_that_falls_has_not_grown() -> None:
    """A replay takes events from the dead; the next one to die counts again."""
    level = Level(4)
    for height, now in ((2, 1), (2, 2), (3, 3), (3, 4)):
        level.see(height, now)

    assert level == Level(3, grew_ms=3)
