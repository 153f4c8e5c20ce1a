"""Clocks that are wrong, and clocks that jump: nothing is stranded, doubled or told as something else for it."""

import asyncio
import time
from pathlib import Path

import pytest
import redis

from receiver.core import ids
from receiver.ingest.ingest import Ingest, IngestResult
from receiver.ingest.request_evaluation import Policy, Request
from receiver.nexudus import actions
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.storage.accounting.audit import Audit
from receiver.storage.accounting.retention import Retention
from receiver.storage.keep.keep_or_spool import KeepOrSpool
from receiver.storage.keep.store import Store
from receiver.storage.model.entries import Receipt
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis import connection, keys
from receiver.storage.redis.clock import StoreClock
from tests.conftest import StartValkey
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import DAY_MS, entry, keep_all
from tests.support.processes import DEADLINE_S

YEAR_S = 365 * 86_400
SKEWS = [
    pytest.param(-time.time() + 600, id="1970"),
    pytest.param(-3 * YEAR_S, id="years-behind"),
    pytest.param(-7_200, id="hours-behind"),
    pytest.param(7_200, id="hours-ahead"),
    pytest.param(3 * YEAR_S, id="years-ahead"),
]


class Hands:
    """The hands of two clocks, to be set."""

    def __init__(self) -> None:
        self.local = 1_790_000_000.0
        self.steady = 50.0
        self.clock = StoreClock(local=lambda: self.local, steady=lambda: self.steady)

    def pass_(self, seconds: float) -> None:
        """Let time pass on both."""
        self.local += seconds
        self.steady += seconds


def test_until_the_store_is_heard_this_machine_is_believed() -> None:
    """There is nobody else to ask."""
    hands = Hands()

    hands.local += 3_600

    assert hands.clock() == hands.local


def test_the_store_is_believed_and_nobody_else() -> None:
    """Not this machine, however wrong, nor however it jumps; the store, when it jumps, is followed."""
    hands = Hands()

    ahead = hands.clock.adjust(1_000_000.0, hands.clock.steady_now())
    hands.pass_(10)
    hands.local -= YEAR_S

    assert ahead == 1_790_000_000.0 - 1_000_000.0
    assert hands.clock() == pytest.approx(1_000_010.0)
    hands.clock.adjust(2_000_000.0, hands.clock.steady_now())
    assert hands.clock() == pytest.approx(2_000_000.0)


def test_what_may_be_the_way_of_the_answer_is_no_news() -> None:
    """An answer that took 200 ms may be 100 ms off either way: the clock does not shiver with the network."""
    hands = Hands()
    hands.clock.adjust(1_000_000.0, hands.clock.steady_now())

    asked = hands.clock.steady_now()
    hands.pass_(0.2)
    hands.clock.adjust(1_000_000.19, asked)

    assert hands.clock() == pytest.approx(1_000_000.2)


@pytest.mark.parametrize("skew_s", SKEWS)
def test_an_event_of_a_wrong_clock_is_kept_run_found_and_forgotten_in_time(client: redis.Redis, skew_s: float) -> None:
    """Its id leads anywhere in time, its hour is any hour; the audit is 0 at each step, and retention is not fooled."""
    wrong = [entry(b"%d" % number, at=time.time() + skew_s, entity=f"Booking:{number}") for number in range(3)]
    right = entry(b"right")
    keep_all(client, *wrong, right, entry(b"lonely", routes=(), at=time.time() + skew_s))
    _assert_audit_is_0(client)
    claims = claim_all(client)
    assert len(claims) == 4
    acknowledge(client, *claims[:2])
    acknowledge(client, claims[2], verdict="retry", delay_ms=0)
    acknowledge(client, claims[3], verdict="dead")
    _assert_audit_is_0(client)

    Retention(client, DAY_MS, 30 * DAY_MS).turn(1_000)
    acknowledge(client, *claim_all(client))
    _assert_audit_is_0(client)
    assert {one.envelope.id for one in (*wrong, right)} <= {
        stored.envelope.id for stored in EventReader(client).many([one.envelope.id for one in (*wrong, right)])
    }

    Retention(client, 0, 0).turn(1_000)
    _assert_audit_is_0(client)
    assert EventReader(client).many([one.envelope.id for one in (*wrong, right)]) == []
    assert client.exists(*(keys.index(ids.milliseconds_of(one.envelope.id) // 3_600_000) for one in wrong)) == 0


def test_two_receivers_with_wrong_clocks_agree(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """One is hours ahead, one behind: an event that comes to both is one event, even of an action whose window is
    minutes, and of two about one record the later one is the newer."""

    async def run() -> list[str]:
        ahead = await _receiver(redis_url, tmp_path / "a", 7_200)
        behind = await _receiver(redis_url, tmp_path / "b", -7_200)
        taken = []
        for one, body in ((ahead, b'[{"Id":1,"Name":"x"}]'), (behind, b'[{"Id":1,"Name":"y"}]')):
            taken += await _accept(one[1], Request(1001, "BookingUpdate", body))
            # They agree as far as the store was heard without delay; on a busy machine that is some milliseconds.
            await asyncio.sleep(2 * abs(ahead[0].clock() - behind[0].clock()) + 0.1)
        for one in (ahead, behind):
            taken += await _accept(one[1], Request(1001, "AccessControlUpdate", b'[{"Id":2}]'))
        for keeper, _ in (ahead, behind):
            await keeper.close()
        return [f"{receipt.status} {receipt.id}" for receipt in taken]

    began = time.time()
    first, second, third, fourth = asyncio.run(run())

    assert [each.partition(" ")[0] for each in (first, second, third, fourth)] == ["accepted"] * 3 + ["duplicate"]
    assert first < second < third
    assert third.partition(" ")[2] == fourth.partition(" ")[2]
    made = [ids.milliseconds_of(each.partition(" ")[2]) / 1_000 for each in (first, second, third)]
    stored = EventReader(client).get(first.partition(" ")[2])
    assert all(began - 60 < at < time.time() + 60 for at in [*made, stored.envelope.received_ms / 1_000])
    _assert_audit_is_0(client)


async def _accept(ingest: Ingest, request: Request) -> list[Receipt]:
    outcome: asyncio.Future[IngestResult] = asyncio.get_running_loop().create_future()
    ingest.accept(request, outcome.set_result)
    accepted = await outcome
    assert not isinstance(accepted, Exception)
    return accepted


def test_a_jump_while_the_store_is_away_moves_nothing(start_valkey: StartValkey, tmp_path: Path) -> None:
    """What is spooled meanwhile gets ids of the right time, each its own, in order; all of it arrives."""
    server = start_valkey()

    async def run() -> list[str]:
        hands = {"skew": 0.0}
        keeper, ingest = await _receiver(server.url, tmp_path, 0.0, hands)
        await asyncio.to_thread(server.kill)
        taken = []
        for number, skew_s in enumerate((0.0, YEAR_S, -YEAR_S, 5_000.0, -5_000.0)):
            hands["skew"] = skew_s
            taken += await _accept(ingest, Request(1001, "BookingCreate", b'[{"Id":%d}]' % number))
        await asyncio.to_thread(server.start_again)
        async with asyncio.timeout(DEADLINE_S):
            while keeper.spooled:  # noqa: ASYNC110 - what is waited for is in another process
                await asyncio.sleep(0.02)
        await keeper.close()
        assert {receipt.status for receipt in taken} == {"spooled"}
        return [receipt.id for receipt in taken]

    began = time.time()
    taken = asyncio.run(run())

    assert sorted(set(taken)) == taken
    assert all(began - 60 < ids.milliseconds_of(one) / 1_000 < time.time() + 60 for one in taken)
    with server.client() as client:
        assert [stored.envelope.id for stored in EventReader(client).many(taken)] == taken
        _assert_audit_is_0(client)


async def _receiver(
    url: str, folder: Path, skew_s: float, hands: dict[str, float] | None = None
) -> tuple[KeepOrSpool, Ingest]:
    """A receiver on a machine whose clock is off, by *skew_s* or by what *hands* say at the moment."""
    off = hands or {"skew": skew_s}
    store = Store(connection.connect_async(url))
    clock = StoreClock(local=lambda: time.time() + off["skew"])
    keeper = KeepOrSpool(store, folder, max_bytes=1 << 30, alias_ms=3_600_000, clock=clock, patience_s=1.5)
    await keeper.start()
    return keeper, Ingest(keeper, lambda: None, Policy(), IngestMetrics(actions.NAMES), keeper.clock)


def _assert_audit_is_0(client: redis.Redis) -> None:
    report = Audit(client).run(full=True)
    assert (report.unaccounted, report.offenders) == (0, ())
