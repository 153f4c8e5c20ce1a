"""What the events of routes with `at` are planned as, from requests to what the store is told."""

import json
from typing import Any

import redis

from receiver.core.ids import IdGenerator
from receiver.ingest.delivery_plan import DeliveryPlan
from receiver.ingest.hook_plan import HookPlan
from receiver.nexudus import actions, payload
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.operations.replay import Replay
from receiver.routing import file
from receiver.routing.table import RoutingTable
from receiver.storage.accounting.audit import Audit
from receiver.storage.model.entries import PlannedDelivery
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis import rq_keys
from tests.support.events import DAY_MS, keep_all

REMIND = """\
routes:
  - {name: plain, action: "CoworkerCreate", handler: log}
  - name: remind
    action: "Booking*"
    where: data.Tentative == false
    at: timestamp(data.FromTime) - duration("1h")
    cancelled_by: BookingDelete
    per: data.CoworkerId
    limit: 5/m
    handler: log
"""
FROM = {"FromTime": "2031-03-02T11:15:00Z"}
RECORD = FROM | {"Id": 5, "Tentative": False, "UpdatedOn": "2031-03-02T09:15:44.55Z", "CoworkerId": 7}
DUE_MS, UPDATED_S = 1_930_212_900_000, 1_930_209_344


def parse(text: str) -> RoutingTable:
    return file.parse(text, file="routes.yaml", known_actions=actions.NAMES)


TABLE = parse(REMIND)


def planned(action: str, *, metrics: IngestMetrics | None = None, **fields: Any) -> tuple[PlannedDelivery, ...]:
    """Return the deliveries of an event of one booking."""
    return DeliveryPlan(TABLE, 1001, action).wanted(RECORD | fields, metrics)


def parts(action: str, **fields: Any) -> list[str]:
    """Return the terms of the one delivery of an event."""
    (one,) = planned(action, **fields)
    assert (one.route, one.queue) == ("remind", "default")
    return one.terms.split("|")[1:]


def test_each_event_says_when_it_starts_or_what_it_ends() -> None:
    """And when its record was changed last, which tells the older one."""
    sign, lane, per, due, updated, ending, why = parts("BookingUpdate")
    assert (sign, due, updated, ending, why) == ("@", str(DUE_MS), str(UPDATED_S), "", "")
    assert lane
    assert per
    assert parts("BookingDelete") == ["@", lane, per, "0", str(UPDATED_S), "c", "BookingDelete"]
    assert parts("BookingUpdate", Tentative=True) == ["@", lane, per, "0", str(UPDATED_S), "w", "BookingUpdate"]
    assert parts("BookingUpdate", FromTime="9999-12-31T23:59:59Z")[5:] == [
        "n",
        "the year 9999 is more than ten years ahead",
    ]
    assert parts("BookingUpdate", Id=None)[1] == ""
    assert parts("BookingUpdate", UpdatedOn=None)[4] == "0"
    assert parts("BookingUpdate", Id=6)[1] != lane


def test_what_cannot_be_worked_out_is_counted() -> None:
    """By its route; a filter that fails is counted as ever, and calls off what waits."""
    metrics = IngestMetrics(actions.NAMES)
    planned("BookingUpdate", metrics=metrics, FromTime=None)
    planned("BookingUpdate", metrics=metrics, Id="x")
    (unfit,) = DeliveryPlan(TABLE, 1001, "BookingUpdate").wanted({"Id": 5}, metrics)
    assert "|w|" in unfit.terms
    assert b'frontdesk_routing_key_failed_total{route="remind"} 2.0' in metrics.exposition()
    assert b'frontdesk_routing_where_failed_total{route="remind"} 1.0' in metrics.exposition()


def test_hooks_of_other_routes_work_nothing_out() -> None:
    """Their deliveries are ready, as without such a route."""
    plan = DeliveryPlan(TABLE, 1001, "CoworkerCreate")
    assert plan.wanted({}, None) is plan.wanted({"Id": 1}, None)
    assert plan.wanted({}, None) == (PlannedDelivery("plain", "default", 30_000),)


def keep(client: redis.Redis, action: str, table: RoutingTable = TABLE, **fields: Any) -> str:
    """Keep an event as a receiver does."""
    (one,) = payload.split(json.dumps(RECORD | fields).encode())
    plan = HookPlan(1001, action, table, dedup_window_ms=DAY_MS)
    now = client.time()[0]
    entry = plan.received(_mint(now), now * 1_000, one, verified_by=None, trace="", failures=None)
    keep_all(client, entry)
    return entry.envelope.id


_mint = IdGenerator()


def test_a_replayed_delete_calls_off_by_the_table_of_today(client: redis.Redis) -> None:
    """Also one that came before the route named it; one that `where` does not match calls nothing off again."""
    before = parse(REMIND.replace("    cancelled_by: BookingDelete\n", "").replace('"Booking*"', "BookingCreate"))
    first, gone = keep(client, "BookingCreate", before), keep(client, "BookingDelete", before)
    reader = EventReader(client)
    assert str(reader.get(gone).status) == "unrouted"

    done = Replay(client, TABLE).run(reader.get(gone))

    assert done.deliveries == (f"{gone}-1",)
    assert reader.get(first).deliveries[0].error == f"called off by BookingDelete: {gone}"
    assert str(reader.get(gone).status) == "discarded"
    misfit = keep(client, "BookingUpdate", Tentative=True)
    assert Replay(client, TABLE).run(reader.get(misfit)).reason == "no route of today's table wants it"
    report = Audit(client).run(full=True)
    assert (report.unaccounted, report.events["routed"], report.events["unrouted"]) == (0, 2, 1)
    assert client.zcard(rq_keys.scheduled("default")) == 0
