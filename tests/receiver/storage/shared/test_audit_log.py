"""Acts are kept in order, for a year, and say nothing about the people in the events."""

import time

import redis
from structlog.testing import capture_logs

from receiver.storage.redis import keys
from receiver.storage.shared import audit_log
from receiver.storage.shared.audit_log import AuditLog, AuditLogForwarder


def test_acts_are_listed_newest_first_with_who_and_what(client: redis.Redis) -> None:
    """What is None is left out; a name of one's own counts, as for somebody at the console."""
    kept, began = AuditLog(client), int(time.time() * 1_000)
    kept.record("replay", events=3, route=None)
    kept.record("pause", who="ada", route="announce")

    newest, oldest = kept.newest()

    assert (newest.who, newest.what, newest.detail) == ("ada", "pause", {"route": "announce"})
    assert (oldest.who, oldest.what, oldest.detail) == (audit_log.operator(), "replay", {"events": 3})
    assert began <= newest.at_ms <= time.time() * 1_000
    assert "@" in oldest.who


def test_since_leaves_out_what_was_before(client: redis.Redis) -> None:
    """And every page is read."""
    kept = AuditLog(client)
    for number in range(600):
        client.xadd(keys.ACTS, {"who": "ada", "what": "replay", "detail": b"{}"}, id=f"{1_000 + number}-0")

    assert [act.at_ms for act in kept.newest()] == list(range(1_599, 999, -1))
    assert [act.at_ms for act in kept.newest(1_597)] == [1_599, 1_598, 1_597]


def test_after_a_year_an_act_is_forgotten(client: redis.Redis) -> None:
    """When the next one is recorded."""
    now = int(time.time() * 1_000)
    for age in (audit_log.KEPT_MS + 60_000, audit_log.KEPT_MS - 60_000):
        client.xadd(keys.ACTS, {"who": "ada", "what": "replay", "detail": b"{}"}, id=f"{now - age}-0")

    AuditLog(client).record("release")

    assert [act.what for act in AuditLog(client).newest()] == ["release", "replay"]


def test_a_seal_confirms_a_name_and_tells_none() -> None:
    """Two seals of one person differ."""
    one, other = audit_log.seal_of("Ada@Example.com"), audit_log.seal_of("ada@example.com")

    assert one != other
    assert audit_log.is_sealed("ada@example.com", one)
    assert audit_log.is_sealed("ADA@example.com", other)
    assert not audit_log.is_sealed("bob@example.com", one)
    assert "example" not in one.lower()


def test_an_act_is_logged_once_however_many_look(client: redis.Redis) -> None:
    """Acts that were logged where they were done are left out, and old ones, when the first one looks."""
    looking = [AuditLogForwarder(client) for _ in range(3)]
    for one in looking:
        one.write()  # nothing is there yet, and nothing is left behind
    kept = AuditLog(client)
    two_hours_ago = int(time.time() * 1_000) - 7_200_000
    client.xadd(keys.ACTS, {"who": "old", "what": "replay", "detail": b"{}"}, id=f"{two_hours_ago}-0")
    kept.record("pause", who="ada", route="announce")
    AuditLog(client, is_logged=True).record("replay", who="bob", events=3)
    with capture_logs() as lines:
        for one in looking:
            one.write()
        kept.record("resume", who="ada", route="announce")
        for one in looking:
            one.write()

    assert [(line["event"], line["who"], line["act"], line["route"]) for line in lines] == [
        ("act.recorded", "ada", "pause", "announce"),
        ("act.recorded", "ada", "resume", "announce"),
    ]
    assert [act.what for act in kept.newest()] == ["resume", "replay", "pause", "replay"]
