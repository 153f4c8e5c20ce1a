"""Failures are counted exactly, in a bounded number of groups; a group opens, is closed, and opens anew."""

import random
import re
import string
from pathlib import Path

import orjson
import pytest
import redis

from receiver.core.errors import UsageError
from receiver.failures import failure_ledger
from receiver.failures.failure_groups import MOST_GROUPS, OTHER
from receiver.failures.failure_ledger import FailureLedger
from receiver.failures.failure_records import FailureGroup
from receiver.nexudus.actions import CODES
from receiver.operations.erasure import CoworkerSubject, Erasure
from receiver.operations.group_replay import GroupReplay
from receiver.operations.replay import Replay
from receiver.routing import file
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis import keys
from tests.receiver.failures.failing import fail_all, keep_failing
from tests.support.events import entry, keep_all

ROUTES = "routes: [{name: announce, action: '*', handler: log}, {name: charge, action: '*', handler: log}]"


def _open(client: redis.Redis) -> list[FailureGroup]:
    return [one for one in FailureLedger(client).refresh().groups if not one.closed_ms]


def _replay(client: redis.Redis, ledger: FailureLedger, group_id: str, most: int | None = None) -> int:
    """Replay a group; return how many deliveries that made."""
    table = file.parse(ROUTES, file="routes.yaml", known_actions=CODES)
    tool = GroupReplay(ledger.members(group_id), lambda route: Replay(client, table, route=route, only_dead=True))
    return sum(len(tool.run(one).deliveries) for one in EventReader(client).many(tool.event_ids[:most]))


def test_one_cause_is_one_group(client: redis.Redis) -> None:
    """By route and pattern; with what fails for good, what is tried again, and the latest as a sample."""
    now_ms = FailureLedger(client).refresh().at_ms
    keep_failing(client, [f"ValueError: no member {number}" for number in range(7)], ended_ms=now_ms - 60_000)
    last = keep_failing(client, ["ValueError: no member 'x'"], ended_ms=now_ms)
    keep_failing(client, ["ValueError: no member 9"] * 2, verdict="retry", ended_ms=now_ms)
    keep_failing(client, ["ValueError: no member 9"] * 3, route="charge")

    first, second = _open(client)

    assert (first.route, first.error, first.count, first.dead, first.retrying) == (
        "announce",
        "ValueError: no member …",
        10,
        8,
        2,
    )
    assert (first.first_ms, first.last_ms, sum(first.trend)) == (now_ms - 60_000, now_ms, 10)
    assert first.sample >= last[0]
    assert (second.route, second.count) == ("charge", 3)


def test_an_attempt_that_failed_in_the_same_way_tells_since_when(client: redis.Redis) -> None:
    """A delivery is dead hours after it began to fail."""
    now_ms = FailureLedger(client).refresh().at_ms
    (event_id,) = keep_failing(client, ["ValueError: 1"], verdict="retry", ended_ms=now_ms - 7_200_000)
    client.rpush(
        keys.attempts(f"{event_id}-1"),
        orjson.dumps({"number": 2, "outcome": "failed", "ended_ms": now_ms, "error": "ValueError: 2"}),
    )

    (group,) = _open(client)

    assert (group.first_ms, group.last_ms) == (now_ms - 7_200_000, now_ms)


def test_what_succeeded_or_was_discarded_does_not_fail(client: redis.Redis) -> None:
    """Nor what waits for its first attempt."""
    keep_failing(client, [None, None], verdict="discarded")
    keep_failing(client, [None], verdict="succeeded")
    keep_failing(client, [], route="charge")

    assert _open(client) == []


def test_a_later_look_reads_what_has_changed_and_finds_the_same_as_a_first_one(client: redis.Redis) -> None:
    """Through each way that a delivery leaves the failures: replayed, erased, expired; with one that dies later."""
    ledger = FailureLedger(client)
    ids = keep_failing(client, ["ValueError: 1"] * 6, record=b'{"Id":1,"CoworkerId":5}')
    keep_failing(client, ["KeyError: 1"] * 2)
    ledger.refresh()
    group = next(one for one in ledger.summary().groups if one.error.startswith("Value"))

    assert _replay(client, ledger, group.id, 2) == 2
    client.zrem(keys.standing("dead"), ids[3])
    client.delete(keys.envelope(ids[3]), keys.state(ids[3]))
    Erasure(client).erase(Erasure(client).find(CoworkerSubject(5)))
    keep_failing(client, ["TypeError: late"])
    later, afresh = ledger.refresh(), FailureLedger(client).refresh()

    assert [(one.error, one.count) for one in later.groups if not one.closed_ms] == [
        (one.error, one.count) for one in afresh.groups if not one.closed_ms
    ]
    assert {one.error: one.count for one in afresh.groups if not one.closed_ms} == {
        "KeyError: …": 2,
        "TypeError: late": 1,
    }


def test_an_erased_person_is_no_failure(client: redis.Redis) -> None:
    """Nothing can be done about it: its group is closed, and no other opens, of which there would be an alert."""
    ledger = FailureLedger(client)
    keep_failing(client, ["ValueError: 1"], record=b'{"Id":1,"CoworkerId":5}')
    ledger.refresh()

    Erasure(client).erase(Erasure(client).find(CoworkerSubject(5)))

    assert [(one.error, one.closed_ms is None) for one in ledger.refresh().groups] == [("ValueError: …", False)]


def test_of_an_event_that_failed_on_two_routes_one_is_replayed(client: redis.Redis) -> None:
    """The other group keeps it."""
    ledger = FailureLedger(client)
    keep_all(client, entry(b'{"Id":3}', routes=("announce", "charge")))
    fail_all(client, ["ValueError: 1", "ValueError: 1"])
    announce = next(one for one in ledger.refresh().groups if one.route == "announce")

    assert _replay(client, ledger, announce.id) == 1

    assert [(one.route, one.count) for one in ledger.refresh().groups if not one.closed_ms] == [("charge", 1)]


def test_a_group_without_failures_is_closed_and_one_that_comes_back_is_open(client: redis.Redis) -> None:
    """Whatever was said about it before."""
    ledger = FailureLedger(client)
    keep_failing(client, ["ValueError: 1"] * 3)
    (group,) = ledger.refresh().groups
    ledger.acknowledge(group.id, "ada", "the CRM is being moved")
    (known,) = ledger.refresh().groups
    assert (known.status(known.last_ms), known.said and known.said.who) == ("acknowledged", "ada")

    assert _replay(client, ledger, group.id) == 3
    (closed,) = ledger.refresh().groups
    fail_all(client, ["ValueError: 2"] * 3)
    (again,) = ledger.refresh().groups

    assert (closed.status(0), closed.count, closed.said and closed.said.reason) == (
        "closed",
        0,
        "the CRM is being moved",
    )
    assert (again.id, again.status(0), again.count, again.said) == (group.id, "open", 3, None)
    assert again.opened_ms > group.opened_ms


def test_a_snoozed_group_is_open_when_its_time_is_over(client: redis.Redis) -> None:
    """By the store's clock."""
    ledger = FailureLedger(client)
    keep_failing(client, ["ValueError: 1"])
    (group,) = ledger.refresh().groups

    snoozed = ledger.snooze(group.id, "ada", "at ten", 60_000)
    assert snoozed.said is not None
    until_ms = snoozed.said.until_ms

    assert (snoozed.status(until_ms - 1), snoozed.status(until_ms)) == ("snoozed", "open")


def test_what_cannot_be_said_is_refused_in_a_sentence(client: redis.Redis) -> None:
    """Without a reason, of no group, of a closed one."""
    ledger = FailureLedger(client)
    keep_failing(client, ["ValueError: 1"])
    (group,) = ledger.refresh().groups

    for reason, match in (("  ", "give a reason"), ("x" * 201, "at most 200")):
        with pytest.raises(UsageError, match=match):
            ledger.acknowledge(group.id, "ada", reason)
    with pytest.raises(UsageError, match="no group of failures has the id"):
        ledger.acknowledge("nonsense", "ada", "why")
    _replay(client, ledger, group.id)
    ledger.refresh()
    with pytest.raises(UsageError, match="is closed"):
        ledger.snooze(group.id, "ada", "why", 1)


def test_errors_that_differ_in_every_character_are_a_bounded_number_of_groups(client: redis.Redis) -> None:
    """The rest is one group, which counts and replays like others."""
    chance = random.Random(1)
    errors: list[str | None] = [
        " ".join("".join(chance.choices(string.ascii_lowercase, k=6)) for _ in range(8))
        for _ in range(MOST_GROUPS + 50)
    ]
    keep_failing(client, errors)
    ledger = FailureLedger(client)

    groups = ledger.refresh().groups
    other = next(one for one in groups if one.error == OTHER)

    assert len(groups) == MOST_GROUPS + 1
    assert (other.count, sum(one.count for one in groups)) == (50, MOST_GROUPS + 50)
    assert _replay(client, ledger, other.id) == 50
    assert [one for one in ledger.refresh().groups if one.error == OTHER and not one.closed_ms] == []


def test_one_look_counts_when_two_processes_look_at_once(client: redis.Redis) -> None:
    """Who began before another one wrote writes nothing."""
    keep_failing(client, ["ValueError: 1"])
    slow, quick = FailureLedger(client), FailureLedger(client)
    meta, before, now_ms = slow._known()
    quick.refresh()

    assert not slow._look(meta, before, now_ms)
    assert failure_ledger.read(client).groups[0].count == 1


def test_a_process_leaves_looking_to_the_one_that_looked_last(client: redis.Redis) -> None:
    """Only that one knows what has changed without reading everything."""
    keep_failing(client, ["ValueError: 1"])
    first, second = FailureLedger(client), FailureLedger(client)
    first.turn(every_ms=0)
    keep_failing(client, ["ValueError: 1"])

    second.turn(every_ms=0)

    assert failure_ledger.read(client).groups[0].count == 1


@pytest.mark.parametrize(
    "stored", [b"", b"nonsense", b"[]", b'{"id": 1}', b'{"trend": 1}', b"\xff", b'{"id":"x","route":[],"trend":[{}]}']
)
def test_what_cannot_be_read_is_left_out(client: redis.Redis, stored: bytes) -> None:
    """And written anew by the next look."""
    keep_failing(client, ["ValueError: 1"])
    client.hset(keys.FAILURES, mapping={"~": stored, "one": stored})
    client.hset(keys.FAILURE_ACTS, "one", stored)

    assert failure_ledger.read(client).groups == ()
    assert [one.count for one in FailureLedger(client).refresh().groups] == [1]


@pytest.mark.parametrize(
    "record",
    [
        b"nonsense",
        b"[1]",
        b'{"error": 5, "ended_ms": "x", "outcome": "failed"}',
        b'{"outcome":"failed","ended_ms":' + b"9" * 400 + b"}",
        b'{"number":1,"outcome":"failed","started_ms":1,"ended_ms":2,"worker":"w","error":"E: '
        + b"x" * 10_000_000
        + b'"}',
    ],
    ids=["nonsense", "list", "types", "time", "10MB"],
)
def test_whatever_stands_in_an_attempt_is_counted(client: redis.Redis, record: bytes) -> None:
    """What stock workers, other versions and broken disks write."""
    (event_id,) = keep_failing(client, ["ValueError: 1"])
    client.delete(keys.attempts(f"{event_id}-1"))
    client.rpush(keys.attempts(f"{event_id}-1"), record)

    (group,) = _open(client)

    assert (group.count, group.dead) == (1, 1)
    assert len(group.error) < 300


def test_nothing_of_a_person_is_in_what_is_kept(client: redis.Redis) -> None:
    """In no field of any group."""
    keep_failing(
        client,
        [
            "ValueError: ada lovelace of Babbage & Co owes 'Ada Lovelace' 3 at ada@example.com",
            "ada lovelace",
        ],
    )
    FailureLedger(client).refresh()

    told = b"\n".join(one for one in client.hvals(keys.FAILURES) if isinstance(one, bytes)).decode().lower()
    words = set(re.findall(r"\w+", told))  # an id may hold any three letters
    assert not words & {"ada", "lovelace", "babbage", "example"}


def test_a_group_of_a_hundred_thousand_is_found(client: redis.Redis, tmp_path: Path) -> None:
    """As exactly as one of three; the dead share their states here, to be made in a moment."""
    (event_id,) = keep_failing(client, ["NotDelivered: it answered 422"])
    number = 100_000
    script = client.register_script(
        """
        local from, to, id = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
        local state, attempts = redis.call('DUMP', 'fd:d:' .. id), redis.call('DUMP', 'fd:a:' .. id .. '-1')
        for i = from, to do
            local other = string.sub(id, 1, 12) .. string.format('%08d', i)
            redis.call('RESTORE', 'fd:d:' .. other, 0, state)
            redis.call('RESTORE', 'fd:a:' .. other .. '-1', 0, attempts)
            redis.call('ZADD', 'fd:x:dead', i, other)
        end
        """
    )
    for start in range(0, number, 2_000):
        script(args=[start, start + 1_999, event_id])
    ledger = FailureLedger(client)

    (group,) = ledger.refresh().groups
    client.zremrangebyrank(keys.standing("dead"), 0, 9_999)
    (later,) = ledger.refresh().groups

    assert (group.count, later.count) == (number + 1, number - 10_000 + 1)
