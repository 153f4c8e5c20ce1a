"""What changed just before a route began to fail: an act, the table, the route's entry, its handler's version."""

from pathlib import Path

import redis

from receiver.failures import route_changes, route_versions
from receiver.failures.failure_groups import SEVERAL
from receiver.failures.failure_ledger import FailureLedger
from receiver.failures.failure_records import FailureGroup
from receiver.failures.route_versions import MOST_CHANGES, RouteVersions
from receiver.nexudus.actions import CODES
from receiver.routing import file
from receiver.routing.table import RoutingTable
from receiver.storage.redis import keys
from receiver.storage.shared.audit_log import AuditLog
from tests.receiver.failures.failing import fail_all, keep_failing
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import entry, keep_all
from workers.plugins import handler_lookup

BEFORE = "routes: [{name: announce, action: BookingCreate, handler: log}, {name: charge, action: '*', handler: log}]"
AFTER = """
routes:
  - {name: announce, action: BookingCreate, handler: log, where: data.Id > 1, timeout: 5s}
  - {name: charge, action: '*', handler: log}
"""


def _table(text: str) -> RoutingTable:
    return file.parse(text, file="routes.yaml", known_actions=CODES)


def _group(client: redis.Redis) -> FailureGroup:
    return FailureLedger(client).refresh().groups[0]


def _told(client: redis.Redis) -> list[str]:
    return [one.text for one in route_changes.before(client, _group(client))]


def test_an_act_on_the_route_is_named_and_others_are_not(client: redis.Redis) -> None:
    """Who did what; `apply` concerns every route."""
    acts = AuditLog(client)
    acts.record("resume", "ada", route="announce")
    acts.record("pause", "bob", route="charge")
    acts.record("apply", "eve", created=1)
    acts.record("unmask", "joe", event_id="x")
    keep_failing(client, ["ValueError: 1"])

    assert _told(client) == ["eve: apply", "ada: resume"]


def test_what_came_after_the_first_failure_did_not_cause_it(client: redis.Redis) -> None:
    """Nor what was a day before."""
    now_ms = FailureLedger(client).refresh().at_ms
    AuditLog(client).record("resume", "ada", route="announce")
    keep_failing(client, ["ValueError: 1"], ended_ms=now_ms - 3_600_000)

    assert _told(client) == []


def test_however_much_happened_since_the_cause_is_found(client: redis.Redis) -> None:
    """More acts than are looked at may follow the first failure."""
    now_ms = FailureLedger(client).refresh().at_ms
    client.xadd(keys.ACTS, {"who": "ada", "what": "resume", "detail": b'{"route":"announce"}'}, id=now_ms - 3_700_000)
    with client.pipeline() as many:
        for _ in range(2_100):
            many.xadd(keys.ACTS, {"who": "bob", "what": "replay", "detail": b'{"route":"announce"}'})
        many.execute()
    keep_failing(client, ["ValueError: 1"], ended_ms=now_ms - 3_600_000)

    assert _told(client) == ["ada: resume"]


def test_another_table_than_that_of_the_last_success_is_named(client: redis.Redis) -> None:
    """By their hashes."""
    for number, table in enumerate(("old", "old", "new", "new")):
        one = entry(b'{"Id":%d}' % number)
        keep_all(client, one._replace(envelope=one.envelope._replace(routes=table)))
        if table == "new":
            fail_all(client, ["E: 1"])
        else:
            acknowledge(client, *claim_all(client))

    (change,) = route_changes.before(client, _group(client))

    assert change.text.startswith("the routing table is new; at ")
    assert change.text.endswith(" it was old")


def test_an_edited_entry_and_a_new_version_are_named(client: redis.Redis) -> None:
    """When workers get them; of values nothing is stored."""
    tables, versions = {"now": _table(BEFORE)}, {"log": "1"}
    first = RouteVersions(client, lambda: tables["now"], lambda name: versions[name])
    first.turn()
    first.turn()
    tables["now"] = _table(AFTER)
    first.turn()
    RouteVersions(client, lambda: tables["now"], lambda name: "2").turn()
    keep_failing(client, ["ValueError: 1"])

    assert _told(client) == ["workers got another version of its handler", "workers got another where, timeout"]
    assert [text for _, text in route_versions.changes(client, "charge")] == [
        "workers got another version of its handler"
    ]
    stored = str(client.hgetall(keys.ROUTE_VERSIONS)) + str(client.lrange(keys.ROUTE_CHANGES, 0, -1))
    assert "data.Id" not in stored


def test_a_worker_of_an_old_version_that_goes_on_says_nothing_again(client: redis.Redis) -> None:
    """A rolling deploy is one change, however long both versions run."""
    table = _table(BEFORE)
    old, new = (RouteVersions(client, lambda: table, lambda name, one=one: one) for one in ("1", "2"))  # type: ignore[misc]
    for _ in range(3):
        old.turn()
        new.turn()

    assert len(list(route_versions.changes(client, "announce"))) == 1


def test_what_is_noted_is_bounded_and_what_cannot_be_read_is_left_out(client: redis.Redis) -> None:
    """Whatever else stands there."""
    client.rpush(
        keys.ROUTE_CHANGES, b"nonsense", b"[]", b'{"at_ms": 1}', b'{"at_ms":"x","route":"announce","parts":[]}'
    )
    client.hset(keys.ROUTE_VERSIONS, mapping={"announce": "nonsense", "charge": "[]"})
    client.rpush(keys.ROUTE_CHANGES, *[b"x"] * MOST_CHANGES)
    versions = iter("123456789")
    for _ in range(3):
        one = next(versions)
        RouteVersions(client, lambda: _table(BEFORE), lambda name, one=one: one).turn()  # type: ignore[misc]

    assert len(list(route_versions.changes(client, "announce"))) == 2
    assert client.llen(keys.ROUTE_CHANGES) == MOST_CHANGES


def test_a_group_of_many_routes_has_no_cause_of_its_own(client: redis.Redis) -> None:
    """Nothing is looked for."""
    group = FailureGroup("x", SEVERAL, "other errors", "other errors", 1, 1, 1, 1, "", (), 1)

    assert route_changes.before(client, group) == []


def test_versions_of_handlers_are_told_apart_without_importing_them(tmp_path: Path) -> None:
    """By the package, or by the file beside routes.yaml."""
    (tmp_path / "mine.py").write_text("raise SystemExit\n")
    first = handler_lookup.version("mine:run", tmp_path)
    (tmp_path / "mine.py").write_text("raise SystemExit  # again\n")

    assert len(first) == 12
    assert handler_lookup.version("mine:run", tmp_path) != first
    assert handler_lookup.version("log", tmp_path).startswith("frontdesk ")
    assert handler_lookup.version("nobody", tmp_path) == handler_lookup.version("no.where:run", tmp_path) == ""
