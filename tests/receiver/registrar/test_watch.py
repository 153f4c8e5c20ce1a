"""The watch: what it does in which round, what it remembers in Redis, what it never does."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from structlog.testing import capture_logs

from receiver.core.errors import LockLost, NexudusError
from receiver.registrar.gap_keeper import GapKeeper
from receiver.registrar.guardrails import Guardrails
from receiver.registrar.watch import RegistrarWatch, WatchParts
from receiver.routing.table import RoutingTable
from receiver.storage.redis import connection, keys
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.gap_ledger import GapLedger, GapState, GapWhy, opened
from receiver.storage.shared.lock import Lock
from receiver.storage.shared.registrar_state import HooksFound, RegistrarState, read_found
from tests.receiver.registrar.offices import FEW, Office, routes

DAY = 86_400_000


class World:
    """What a watch lives in; tests change it between rounds."""

    def __init__(self, office: Office, client: redis.Redis) -> None:
        self.office = office
        self.table: RoutingTable | None = routes()
        self.why_unreachable: str | None = None
        self.why_behind: str | None = None
        self.probes = 0
        self.now_ms = 1_000 * DAY
        self.steady_s = 5.0
        self.leads = True
        self.lock = Lock(client, "registrar")
        self.memory = RegistrarState(client)
        self.acts = AuditLog(client)
        self.ledger = GapLedger(client)
        self.names = BusinessNames(client)

    def unreachable(self) -> str | None:
        """Probe."""
        self.probes += 1
        return self.why_unreachable

    def check_leader(self) -> None:
        """Ask whether we lead."""
        if not self.leads:
            raise LockLost("somebody else leads")

    def watch(self) -> RegistrarWatch:
        """A watch as a fresh process has it."""
        parts = WatchParts(
            self.office.webhooks,
            self.office.planner,
            self.memory,
            self.acts,
            self.lock,
            lambda: self.table,
            self.unreachable,
            lambda: self.why_behind,
            GapKeeper(self.ledger, self.memory, every_ms=60_000, steady=lambda: self.steady_s),
            self.names,
        )
        return RegistrarWatch(parts, leads=self.check_leader, guardrails=Guardrails(), now_ms=lambda: self.now_ms)

    def disable_all(self) -> None:
        """Nexudus counts to ten."""
        for hook in self.office.nexudus.hooks():
            self.office.nexudus.edit(hook["Id"], Active=False, ErrorCount=10, LastError="500")

    def inactive(self) -> int:
        """How many hooks do not fire."""
        return sum(not hook["Active"] for hook in self.office.nexudus.hooks())


@pytest.fixture
def world(office: Office, redis_url: str) -> Iterator[World]:
    """A world with an empty Redis."""
    with connection.connect(redis_url) as client:
        yield World(office, client)


def test_it_registers_what_is_routed(world: World) -> None:
    """From nothing, with one probe a round; the second round does nothing."""
    first = world.watch().reconcile()
    second = world.watch().reconcile()

    assert first is not None
    assert second is not None
    assert (len(first.done), len(second.done), world.probes) == (len(FEW), 0, 2)
    assert world.memory.counts() == {"created": len(FEW)}
    world.office.assert_converged()


def test_word_is_left_of_how_the_hooks_were_found(world: World, redis_url: str) -> None:
    """Before anything is mended: what is mended at once is told of too, and only the next round finds all well."""

    def found() -> HooksFound | None:
        with connection.connect(redis_url) as client:
            return read_found(client.get(keys.REGISTRAR_HEALTH))

    rounds = [found()]
    world.watch().reconcile()
    rounds.append(found())
    world.disable_all()
    world.watch().reconcile()
    rounds.append(found())
    hook = world.office.nexudus.hooks()[0]
    world.office.nexudus.edit(hook["Id"], ErrorCount=3, LastError="500")
    world.watch().reconcile()
    rounds.append(found())

    assert rounds == [
        None,
        HooksFound(world.now_ms, 0, {1001: {"missing": 4}}),
        HooksFound(world.now_ms, 0, {1001: {"disabled": 4}}),
        HooksFound(world.now_ms, 3, {1001: {"failing": 1}}),
    ]


def test_disabled_hooks_come_back_when_the_receiver_is_reachable(world: World) -> None:
    """Not before; one probe serves all of them; the acts are counted."""
    world.watch().reconcile()
    world.disable_all()
    world.why_unreachable = "the receiver cannot be reached"

    world.watch().reconcile()
    held = world.inactive()
    world.why_unreachable = None
    world.probes = 0
    world.watch().reconcile()

    assert (held, world.inactive()) == (len(FEW), 0)
    assert world.memory.counts()["reenabled"] == len(FEW)
    acts = [(act.who, act.what, act.detail.get("action")) for act in world.acts.newest()]
    assert {("watch", "hook.reenabled", action) for action in FEW} <= set(acts)
    assert world.probes <= 2, "one before, one when it looks again"
    world.office.assert_converged()


def test_hooks_move_to_a_new_key_when_the_receivers_have_it(world: World) -> None:
    """Until then they go on at the old one, which works."""
    world.watch().reconcile()
    world.office = Office(world.office.nexudus, ("key-2", "key-1"))
    world.why_behind = "a receiver does not sign with it yet"

    with world.office.client:
        held = world.watch().reconcile()
        world.why_behind = None
        moved = world.watch().reconcile()
        world.office.assert_converged()

    assert held is not None
    assert moved is not None
    assert (len(held.done), len(moved.done), world.inactive()) == (0, len(FEW), 0)


def test_a_hook_that_flaps_is_left_alone_for_longer_each_time(world: World) -> None:
    """Remembered in Redis: every round here is a fresh process."""
    world.watch().reconcile()
    minutes = []
    for _ in range(3):
        world.disable_all()
        waited = 0
        while world.inactive():
            world.watch().reconcile()
            world.now_ms += 5 * 60_000
            waited += 5
        minutes.append(waited - 5)

    assert minutes == sorted(minutes)
    assert minutes[0] == 0
    assert (minutes[1], minutes[2]) == (5, 15), "10 and 20 minutes after the last, of which 5 had passed"
    world.now_ms += 2 * DAY
    world.watch().reconcile()
    assert world.memory.flaps() == {}


def test_a_week_of_grace_for_what_is_no_longer_routed(world: World) -> None:
    """Counted from when the watch first saw it, over restarts; routed again, the week starts afresh."""
    world.watch().reconcile()
    world.table = routes(FEW - {"BookingCreate"})
    world.watch().reconcile()
    world.now_ms += 6 * DAY
    world.watch().reconcile()
    within = world.inactive()
    world.table = routes()
    world.watch().reconcile()
    world.table = routes(FEW - {"BookingCreate"})
    world.now_ms += 6 * DAY
    world.watch().reconcile()
    afresh = world.inactive()
    world.now_ms += 7 * DAY
    world.watch().reconcile()

    assert (within, afresh, world.inactive()) == (0, 0, 1)
    assert world.memory.counts()["deactivated"] == 1


def test_the_week_has_seven_days(world: World) -> None:
    """A millisecond less is not enough."""
    world.watch().reconcile()
    world.table = routes(FEW - {"BookingCreate"})
    world.watch().reconcile()

    world.now_ms += 7 * DAY - 1
    world.watch().reconcile()
    before = world.inactive()
    world.now_ms += 1
    world.watch().reconcile()

    assert (before, world.inactive()) == (0, 1)


def test_it_never_moves_hosts(world: World) -> None:
    """Hooks of another deployment with our keys stay where they are."""
    laptop = Office(world.office.nexudus, public_url="https://laptop.example")
    laptop.apply()

    world.watch().reconcile()

    urls = [hook["URL"] for hook in world.office.nexudus.hooks()]
    assert sum("laptop" in url for url in urls) == len(FEW) == len(urls) / 2
    laptop.client.close()


def test_without_valid_routes_nothing_is_done(world: World) -> None:
    """There is nothing to go by before a first valid file."""
    world.table = None

    assert world.watch().reconcile() is None

    assert world.office.nexudus.hooks() == []


def test_an_apply_goes_first(world: World, redis_url: str) -> None:
    """While somebody applies by hand, the watch does not write."""
    with connection.connect(redis_url) as other, Lock(other, "registrar") as lock:
        assert lock.take() is None

        assert world.watch().reconcile() is None

    assert world.office.nexudus.hooks() == []
    assert world.watch().reconcile() is not None


def test_who_leads_no_more_writes_no_more(world: World) -> None:
    """Asked before each write."""
    world.leads = False

    with pytest.raises(LockLost, match="somebody else leads"):
        world.watch().reconcile()

    assert world.office.nexudus.hooks() == []


def test_a_nexudus_that_lies_is_asked_less_and_less_often(world: World) -> None:
    """One try, then 10 minutes, 20, ...; when it tells the truth again, all is well."""
    watch = world.watch()
    world.office.nexudus.turn(lost_write_rate=1)
    before = world.office.nexudus.state()["writes"]

    for _ in range(15):
        watch.reconcile()
        world.now_ms += 60_000
    tries = world.office.nexudus.state()["writes"] - before
    world.office.nexudus.turn(lost_write_rate=0)
    world.now_ms += DAY
    watch.reconcile()

    assert tries <= 2 * len(FEW) + 1, "and one request for a token"
    world.office.assert_converged()


def test_each_look_is_in_the_gap_ledger(world: World) -> None:
    """A disabled hook is a gap from the last good look until the next, over restarts; its name is remembered, too."""
    world.watch().reconcile()
    world.now_ms += 60_000
    world.watch().reconcile()
    healthy_ms = world.now_ms
    world.now_ms += 60_000
    hook = next(hook for hook in world.office.nexudus.hooks() if hook["Action"] == 6)
    world.office.nexudus.edit(hook["Id"], Active=False, ErrorCount=10)
    world.watch().reconcile()
    before = world.ledger.gaps()
    world.now_ms += 60_000
    world.watch().reconcile()
    (gap,) = world.ledger.gaps()

    assert [(one.pair, one.why, one.state, one.to_ms) for one in before] == [
        ((1001, "BookingCreate"), "disabled", "open", None)
    ]
    assert (gap.id, gap.state, gap.from_ms, gap.to_ms) == (before[0].id, "healing", healthy_ms, world.now_ms)
    assert world.names.all()[1001]


def test_a_nexudus_that_does_not_answer_opens_a_gap_of_each_hook(world: World) -> None:
    """Once, however often it is asked in vain; the error goes on to whoever asks again."""
    world.watch().reconcile()
    world.now_ms += 60_000
    world.watch().reconcile()
    world.office.nexudus.turn(error_rate=1.0)

    for _ in range(2):
        with pytest.raises(NexudusError):
            world.watch().reconcile()

    assert [(gap.why, gap.state) for gap in world.ledger.gaps()] == [("unknown", "open")] * len(FEW)


def test_what_is_done_long_ago_is_forgotten(world: World) -> None:
    """After 31 days; what is still open is kept, and so is what this version cannot read left out."""
    gaps = [replace(opened((1001, "BookingCreate"), DAY * day, GapWhy.MISSING), done_ms=DAY * day) for day in (1, 60)]
    world.ledger.write([replace(gaps[0], state=GapState.HEALED, to_ms=DAY), replace(gaps[1], state=GapState.CANNOT)])
    world.ledger.write([opened((1001, "BookingUpdate"), DAY, GapWhy.MISSING)])

    world.ledger.tidy(DAY * 60)

    assert [(gap.action, gap.state) for gap in world.ledger.gaps()] == [
        ("BookingUpdate", "open"),
        ("BookingCreate", "cannot"),
    ]


@pytest.mark.parametrize(
    ("jump_s", "gaps", "sentence"),
    [
        (
            3_600,
            len(FEW),
            "went ahead, or it slept; a gap is opened for every webhook, and back-fill looks at all of it",
        ),
        (-3_600, 0, "went back; gaps begin 15 minutes before the earlier of both times"),
        (30, 0, ""),
    ],
)
def test_a_clock_that_jumps_is_told_of_once(world: World, jump_s: int, gaps: int, sentence: str) -> None:
    """Between two rounds a minute passes; what the clock says beyond that is a jump. No gap is lost by it."""
    watch = world.watch()
    for _ in range(2):
        watch.reconcile()
        world.now_ms += 60_000
        world.steady_s += 60
    world.now_ms += jump_s * 1_000

    with capture_logs() as logs:
        for _ in range(2):
            watch.reconcile()
            world.now_ms += 60_000
            world.steady_s += 60

    told = [(one["ahead_s"], one["reason"]) for one in logs if one["event"] == "clock.jumped"]
    assert told == ([(jump_s, f"the clock of this machine {sentence}")] if sentence else [])
    found = world.ledger.gaps()
    assert [(gap.why, gap.state) for gap in found] == [(GapWhy.UNKNOWN, GapState.HEALING)] * gaps
    world.disable_all()
    watch.reconcile()
    bad = [gap for gap in world.ledger.gaps() if gap.why is GapWhy.DISABLED]
    assert len(bad) == len(FEW)
    assert all(gap.from_ms <= world.now_ms - 60_000 for gap in bad)


def test_a_registrar_that_starts_with_a_clock_that_is_behind_says_so(world: World) -> None:
    """It was set back while nobody looked."""
    world.watch().reconcile()
    world.watch().reconcile()
    world.now_ms -= 7_200_000

    with capture_logs() as logs:
        world.watch().reconcile()

    assert [one["ahead_s"] for one in logs if one["event"] == "clock.jumped"] == [-7_200]
