"""A call that fails in the middle leaves nothing that is taken for an event, and nothing that holds up others."""

import asyncio

import pytest
import redis

from receiver.core.events import EventStatus
from receiver.operations.replay import Replay
from receiver.routing import file
from receiver.storage.accounting.audit import Audit
from receiver.storage.accounting.maintenance import Maintenance
from receiver.storage.keep.store import Store
from receiver.storage.model import keep_script
from receiver.storage.model.entries import Entry, Receipt, terms
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis import connection, keys, scripts
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import entry, half_keep, keep_all

MANY = 5_000
ORDERED = terms("Booking-1", "key", 60_000, debounced=True)


def store_all(url: str, *entries: Entry) -> list[Receipt | None]:
    """Keep entries as a receiver does: in as many calls as it takes."""

    async def run() -> list[Receipt | None]:
        store = Store(connection.connect_async(url))
        try:
            return await store.keep(entries, timeout_s=60)
        finally:
            await store.close()

    return asyncio.run(run())


def names(number: int) -> list[str]:
    """That many routes."""
    return [f"route-{one}" for one in range(number)]


def assert_in_order(client: redis.Redis) -> None:
    """An audit that believes nothing finds nothing."""
    report = Audit(client).run(full=True)
    assert (report.unaccounted, report.offenders) == (0, ())


@pytest.mark.parametrize(("number", "waits"), [(MANY, ""), (1_500, ORDERED)])
def test_thousands_of_routes_may_want_one_event(redis_url: str, client: redis.Redis, number: int, waits: str) -> None:
    """Each gets its delivery, the neighbours in the batch theirs; sent again, nothing is made twice."""
    wide = entry(b"1", routes=names(number), terms=waits)
    batch = [entry(b"0"), wide, entry(b"2", routes=())]

    for _ in range(2):
        assert [one and one.status for one in store_all(redis_url, *batch)] == ["accepted"] * 3

    assert Audit(client).run(full=True).deliveries["created"] == number + 1
    assert [one.route for one in EventReader(client).get(wide.envelope.id).deliveries] == names(number)
    assert_in_order(client)
    if not waits:
        assert client.llen("rq:queue:default") == number + 1
    assert not client.exists("fd:unmade", f"fd:p:{wide.envelope.id}")


def test_a_long_event_is_kept_by_its_first_call(client: redis.Redis) -> None:
    """The receiver may die before it has made all deliveries: the list of the others is in the store."""
    wide = entry(routes=names(MANY))
    keep_all(client, wide)
    first = len(EventReader(client).get(wide.envelope.id).deliveries)
    assert 0 < first < MANY
    assert_in_order(client)
    ended = claim_all(client)
    acknowledge(client, *ended)

    script = client.register_script(scripts.source("keep"))
    while keep_script.left(script(args=keep_script.continuation(wide.envelope.id))):
        pass

    states = [one.state for one in EventReader(client).get(wide.envelope.id).deliveries]
    assert len(states) == MANY
    assert states.count("queued") == MANY - len(ended)
    assert_in_order(client)


def test_no_call_makes_more_than_its_share() -> None:
    """A batch is cut by events, by deliveries, and by bytes."""
    wide = [entry(b"%d" % number, routes=names(400)) for number in range(10)]
    heavy = [entry(bytes(900_000)) for _ in range(6)]

    for entries in (wide, heavy, [entry() for _ in range(600)]):
        calls = list(keep_script.calls(entries))
        assert [one for call in calls for one in call] == entries
        for call in calls:
            assert len(call) <= keep_script.LARGEST_BATCH
            assert sum(map(keep_script.cost_us, call)) <= keep_script.LONGEST_CALL_US
    assert [len(call) for call in keep_script.calls(heavy)] == [3, 3]


def test_thousands_of_routes_may_be_replayed(client: redis.Redis) -> None:
    """In several calls; a second replay finds all of them in flight."""
    one = entry(routes=())
    keep_all(client, one)
    text = "routes: [" + ",".join(f"{{name: {name}, action: '*', handler: log}}" for name in names(MANY)) + "]"
    replay = Replay(client, file.parse(text, file="routes.yaml", known_actions={"BookingCreate": 6}))

    assert len(replay.run(EventReader(client).get(one.envelope.id)).deliveries) == MANY
    assert replay.run(EventReader(client).get(one.envelope.id)).deliveries == ()
    assert client.llen("rq:queue:default") == MANY
    assert_in_order(client)


class TestHalfKept:
    """The state is there, the envelope is not: the call failed between."""

    def test_it_is_kept_whole_by_the_next_call(self, client: redis.Redis) -> None:
        """Its earlier jobs, lanes and schedules are cleared away first: each delivery runs once."""
        batch = [entry(b"1", terms=ORDERED), entry(b"2", routes=("a", "b")), entry(b"3", routes=())]
        half_keep(client, *batch)
        assert client.exists(*(keys.state(one.envelope.id) for one in batch)) == 3
        assert not client.exists(*(keys.envelope(one.envelope.id) for one in batch))

        assert [one and one.status for one in keep_all(client, *batch)] == ["accepted"] * 3

        assert_in_order(client)
        assert client.zcard("rq:scheduled:default") == 1
        assert len(claim_all(client)) == 2

    def test_its_fingerprint_is_free(self, client: redis.Redis) -> None:
        """The same record under another id is an event, not a duplicate of what was never kept; later the first is."""
        first, again = entry(), entry()
        half_keep(client, first)

        assert keep_all(client, again) == [Receipt(again.envelope.id, "accepted")]
        assert keep_all(client, first) == [Receipt(again.envelope.id, "duplicate")]
        assert_in_order(client)

    def test_one_that_lost_only_its_envelope_gets_it_back(self, client: redis.Redis) -> None:
        """It is listed, so all the rest was done: nothing is made or counted twice."""
        one = entry()
        keep_all(client, one)
        client.delete(keys.envelope(one.envelope.id))

        keep_all(client, one)

        assert EventReader(client).get(one.envelope.id).envelope == one.envelope
        assert client.llen("rq:queue:default") == 1
        assert_in_order(client)

    def test_a_lane_goes_on_without_it(self, client: redis.Redis) -> None:
        """It led its lane; what joined behind it runs when it is cleared away, and it joins behind."""
        lane = terms("Booking-1")
        first, second = entry(b"1", terms=lane), entry(b"2", terms=lane)
        half_keep(client, first)
        keep_all(client, second)

        keep_all(client, first)

        (claim,) = claim_all(client)
        assert claim.job.startswith(second.envelope.id)
        acknowledge(client, claim)
        (claim,) = claim_all(client)
        assert claim.job.startswith(first.envelope.id)


@pytest.mark.parametrize("odd", [[keys.RECEIVED], [f"fd:n:{bucket}" for bucket in range(4_096)]], ids=["late", "early"])
def test_nothing_is_answered_that_is_not_kept(client: redis.Redis, odd: list[str]) -> None:
    """Wherever the script fails, none of its batch counts as kept, and all are once it can go on."""
    batch = [entry(b"%d" % number) for number in range(3)]
    client.mset(dict.fromkeys(odd, "not a hash"))
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        keep_all(client, *batch)
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        keep_all(client, *batch)
    client.delete(*odd)

    assert [one and one.status for one in keep_all(client, *batch)] == ["accepted"] * 3

    assert len(claim_all(client)) == 3
    assert EventReader(client).get(batch[0].envelope.id).status == EventStatus.IN_FLIGHT
    assert_in_order(client)


class TestFoundByTheAudit:
    """What release 0.2.0 left, and what was robbed of its record, is told without `full`."""

    def left_behind(self, client: redis.Redis) -> list[str]:
        """Three events that 0.2.0 took for kept: the state is there, listed and counted nowhere."""
        keep_all(client, entry(b"whole"))
        batch = [entry(b"1", terms=ORDERED), entry(b"2", routes=("a", "b")), entry(b"3", routes=())]
        half_keep(client, *batch)
        return sorted(one.envelope.id for one in batch)

    def test_it_is_named_until_a_person_clears_it_away(self, client: redis.Redis) -> None:
        """The sweeper does not do that by itself; when it is done, nothing is left but its fingerprint for others."""
        names = self.left_behind(client)

        for repair in (False, True):
            report = Audit(client, scanned=1_000).run(repair=repair)
            assert (report.unaccounted, list(report.offenders)) == (3, names)
        report = Audit(client).run(repair=True, clear=True)
        assert (report.unaccounted, list(report.offenders), report.cleared) == (3, names, 3)

        assert_in_order(client)
        assert Audit(client, scanned=1_000).run().unaccounted == 0
        left = {key.decode() for key in client.scan_iter() if any(name in key.decode() for name in names)}
        assert left == set()
        assert [one and one.status for one in keep_all(client, entry(b"1"))] == ["accepted"]

    def test_the_search_goes_on_where_it_stopped(self, client: redis.Redis) -> None:
        """A turn looks through some of the keys; what it found is known from then on, until it is whole again."""
        keep_all(client, *(entry(b"%d" % number) for number in range(250)))
        keep_all(client, *(entry(b"%d" % number) for number in range(250, 500)))
        half = entry(b"half")
        half_keep(client, half)

        for _ in range(20):
            if Audit(client, scanned=1).run().unaccounted:
                break
        for _ in range(5):
            assert Audit(client, scanned=1).run().offenders == (half.envelope.id,)
        keep_all(client, half)

        assert Audit(client, scanned=1).run().unaccounted == 0

    def test_one_that_was_robbed_of_its_record_can_be_given_up(self, client: redis.Redis) -> None:
        """It was accepted and stays counted; its hour was sealed, and it is named all the same."""
        robbed = entry(at=1_700_000_000.0)
        keep_all(client, robbed)
        acknowledge(client, *claim_all(client))
        assert Audit(client).run().unaccounted == 0
        assert client.zcard(keys.SEALED) == 1
        client.delete(keys.envelope(robbed.envelope.id))

        assert Audit(client).run().offenders == (robbed.envelope.id,)
        assert Audit(client).run(repair=True, clear=True).offenders == (robbed.envelope.id,)
        report = Audit(client).run(write_off=True)

        assert (report.unaccounted, report.written_off) == (0, 1)
        assert_in_order(client)


def test_the_sweeper_makes_what_a_dead_receiver_did_not(client: redis.Redis) -> None:
    """A long event was kept, and the process that kept it died before it had made all deliveries."""
    wide = entry(routes=names(MANY))
    keep_all(client, wide)

    Maintenance(client).turn()

    assert len(EventReader(client).get(wide.envelope.id).deliveries) == MANY
    assert_in_order(client)
