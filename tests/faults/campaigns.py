"""Which faults are struck on which stand: the campaigns of the short form and of the long one."""

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.faults import blows, disk, failover
from tests.faults.adversary import expiring, forging, poison, rolling
from tests.faults.blows import Blow
from tests.faults.campaign import Plan
from tests.faults.frontdesk import Frontdesk, HighlyAvailable
from tests.faults.skew import Skew
from tests.faults.stand import Fsync, Stand

CALM = Blow("no fault", blows.calm)

RECEIVER = (
    Blow("receiver: kill -9", blows.kill_receiver),
    Blow("receiver: SIGTERM", blows.stop_receiver),
    Blow("receiver: stopped for 2 s", blows.freeze_receiver),
)
RECEIVERS = (
    Blow("one of two receivers: kill -9", blows.kill_one_of_several_receivers),
    Blow("supervisor of two receivers: kill -9", blows.kill_supervisor),
    Blow("two receivers: SIGTERM", blows.stop_receiver),
)
WORKER = (
    Blow("worker process: kill -9", blows.kill_worker_process, crashes=True),
    Blow("worker process: kill -9 when busiest", blows.kill_busy_worker_process, crashes=True),
    Blow("worker process: stopped for 2 s", blows.freeze_worker_process),
    Blow("worker: SIGTERM", blows.stop_worker),
    Blow("worker: SIGTERM twice", blows.stop_worker_at_once),
    Blow("worker parent: kill -9", blows.kill_worker_parent, crashes=True),
)
FLEET = Blow("worker, all of it: kill -9", blows.kill_fleet, crashes=True)
WORKER_SLOWLY = (
    Blow("workers: stopped for 5 s while retries come due", blows.freeze_fleet),
    Blow("worker process: stopped for good", blows.freeze_worker_process_for_long, crashes=True),
    Blow("worker parent: stopped for 20 s", blows.freeze_worker_parent, crashes=True),
)
STORE = (
    Blow("store: kill -9", blows.kill_store, outage=True),
    Blow("store: SIGTERM", blows.stop_store, outage=True),
    Blow("store: stopped for 2 s", blows.freeze_store, outage=True),
)
SPOOL = (
    Blow("receiver: kill -9 while the store is away", partial(blows.without_store, strike=blows.kill_receiver)),
    Blow("receiver: SIGTERM while the store is away", partial(blows.without_store, strike=blows.stop_receiver)),
)
ORPHANS = Blow("two receivers: kill -9 with events in their spools", blows.orphan_spools)
DISKS = (
    Blow("disk of the store: full for 2 s", blows.fill_disk_of_store, outage=True),
    Blow("disk of the spool: full for 2 s", blows.fill_disk_of_spool),
    Blow(
        "store away, disk of the spool full", partial(blows.without_store, strike=blows.fill_disk_of_spool), full=True
    ),
    Blow("disk of the spool: full until it is drained", blows.fill_disk_of_spool_until_it_is_drained, full=True),
)
CLOCKS = (
    Blow("receiver: its clock jumps hours ahead", partial(blows.set_clocks, serve=blows.HOURS_S)),
    Blow("receiver: its clock jumps to hours behind", partial(blows.set_clocks, serve=-blows.HOURS_S)),
    Blow("worker: its clock jumps hours ahead", partial(blows.set_clocks, work=blows.HOURS_S)),
    Blow("worker: its clock jumps to a year behind", partial(blows.set_clocks, work=-blows.YEAR_S)),
    Blow(
        "store away, receiver: its clock jumps a year ahead",
        partial(blows.without_store, strike=partial(blows.set_clocks, serve=blows.YEAR_S)),
    ),
    Blow("receiver and worker: started with wrong clocks", blows.start_with_wrong_clocks),
)
FAILOVER = (
    Blow("primary: kill -9, back as a replica", failover.kill_primary, forgets=True, outage=True),
    Blow("primary: stopped, back as a stale one", failover.freeze_primary, forgets=True, outage=True),
    Blow("primary: kill -9, back as a stale one", failover.kill_primary_that_returns, forgets=True, outage=True),
    Blow("replica: kill -9", failover.kill_replica, outage=True),
)
RECEIVER_TO_STORE = blows.disturbances("receiver_to_store", "receiver-store", outage=True)
WORKER_TO_STORE = blows.disturbances("worker_to_store", "worker-store")
NEXUDUS_TO_RECEIVER = blows.disturbances("nexudus_to_receiver", "nexudus-receiver")


@dataclass(frozen=True, slots=True)
class Campaign:
    """One stand and the faults struck on it, in this order. *stand* makes it in a folder; it may raise disk.NoDisk."""

    name: str
    blows: Sequence[Blow]
    stand: Callable[[Path], AbstractContextManager[Frontdesk]]
    plan: Plan

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def _named(blows_of_a_link: Sequence[Blow], *endings: str) -> list[Blow]:
    found = [blow for blow in blows_of_a_link if blow.name.endswith(endings)]
    assert len(found) == len(endings), endings
    return found


# -- disks ------------------------------------------------------------------------------------------------------------


@contextmanager
def on_small_disks(folder: Path, *, fsync: Fsync) -> Iterator[Frontdesk]:
    """A stand whose store and whose spool have a disk each, which blows can fill."""
    with (
        disk.mounted(folder / "store-disk", megabytes=24) as store,
        disk.mounted(folder / "spool-disk", megabytes=8) as spool,
        Frontdesk(folder, fsync=fsync, store_folder=store.folder, data_dir=spool.folder) as stand,
    ):
        stand.disks = {"store": store, "spool": spool}
        yield stand


@contextmanager
def on_wrong_clocks(folder: Path) -> Iterator[Frontdesk]:
    """A stand on which blows can set the clocks of the receiver and of the workers."""
    folder.mkdir(parents=True, exist_ok=True)
    stand = Frontdesk(folder)
    stand.clocks = {command: Skew(folder, command) for command in ("serve", "work")}
    with stand:
        yield stand


# -- several at once --------------------------------------------------------------------------------------------------


def storm(seed: int, rounds: int) -> list[Blow]:
    """Faults by chance, up to three at a time: of a receiver or its network, of workers or theirs, of the store."""
    chance = random.Random(seed)
    reach = (*RECEIVER, *RECEIVER_TO_STORE, *NEXUDUS_TO_RECEIVER)
    run = (*WORKER, FLEET, *WORKER_TO_STORE)
    return [
        _together(number, [chance.choice(reach), chance.choice(run), chance.choice((CALM, *STORE))])
        for number in range(1, rounds + 1)
    ]


def _together(number: int, several: Sequence[Blow]) -> Blow:
    def strike(stand: Stand) -> None:
        with ThreadPoolExecutor(len(several)) as threads:
            for ended in [threads.submit(blow.strike, stand) for blow in several]:
                ended.result()

    name = " + ".join(blow.name for blow in several if blow is not CALM)
    return Blow(f"storm {number}: {name}", strike, crashes=any(blow.crashes for blow in several))


# -- forms ------------------------------------------------------------------------------------------------------------

_BRIEF = Plan(rate=60.0, before_s=0.2, after_s=0.8)
_LONG = Plan(rate=150.0, before_s=0.5, after_s=2.5, settles_within_s=180.0)
_LONG_BUT_SLOW = replace(_LONG, rate=40.0)
_LONG_WITH_OUTAGES = replace(_LONG, after_s=8.0)
"""What an outage of 18 s has left is run before the next one begins: two of them are longer than `late` allows."""

SHORT = (
    Campaign("receiver", (CALM, *RECEIVER, SPOOL[0]), Frontdesk, _BRIEF),
    Campaign("two receivers", (CALM, *RECEIVERS[:2], ORPHANS), partial(Frontdesk, receivers=2), _BRIEF),
    Campaign("worker", (CALM, *WORKER), Frontdesk, _BRIEF),
    Campaign("store everysec", (CALM, *STORE), Frontdesk, _BRIEF),
    Campaign("store always", (CALM, STORE[0], STORE[2]), partial(Frontdesk, fsync="always"), _BRIEF),
    Campaign(
        "network",
        (
            CALM,
            *_named(RECEIVER_TO_STORE, "stalls for 2 s", "replies lost", "requests cut"),
            *_named(WORKER_TO_STORE, "stalls for 2 s", "replies lost", "requests cut"),
            *_named(NEXUDUS_TO_RECEIVER, "replies lost"),
        ),
        Frontdesk,
        _BRIEF,
    ),
    Campaign("full disks", (CALM, *DISKS), partial(on_small_disks, fsync="everysec"), _BRIEF),
    Campaign("clocks", (CALM, CLOCKS[0], CLOCKS[4]), on_wrong_clocks, _BRIEF),
    Campaign("failover", (CALM, FAILOVER[0]), HighlyAvailable, _BRIEF),
    Campaign("poison", (CALM, *poison.BLOWS[:2]), poison.Poisoned, _BRIEF),
    Campaign("rolling deploy", (CALM, *rolling.BLOWS[1:]), rolling.RollingDeploy, _BRIEF),
    Campaign("retention", (CALM, expiring.BLOWS[0]), expiring.Expiring, replace(_BRIEF, echo_every=0)),
    Campaign("forgeries", (CALM, forging.BLOWS[0]), forging.Besieged, _BRIEF),
)


def long(seed: int) -> tuple[Campaign, ...]:
    """Everything, under more load; *seed* decides the faults that come by chance."""
    campaigns = [
        Campaign("receiver", (CALM, *RECEIVER, *SPOOL, *RECEIVER, *SPOOL), Frontdesk, _LONG),
        Campaign("two receivers", (CALM, *RECEIVERS * 2, ORPHANS), partial(Frontdesk, receivers=2), _LONG),
        Campaign("worker", (CALM, *WORKER * 2, FLEET), Frontdesk, _LONG),
        Campaign("worker slowly", (CALM, *WORKER_SLOWLY), Frontdesk, _LONG_BUT_SLOW),
        Campaign("receiver to store", (CALM, *RECEIVER_TO_STORE), Frontdesk, _LONG),
        Campaign("worker to store", (CALM, *WORKER_TO_STORE), Frontdesk, _LONG),
        Campaign("nexudus to receiver", (CALM, *NEXUDUS_TO_RECEIVER), Frontdesk, _LONG),
        Campaign("clocks", (CALM, *CLOCKS), on_wrong_clocks, _LONG),
        Campaign("failover", (CALM, *FAILOVER), HighlyAvailable, _LONG_WITH_OUTAGES),
        Campaign(
            "failover carelessly", (CALM, *FAILOVER), partial(HighlyAvailable, least_replicas=0), _LONG_WITH_OUTAGES
        ),
    ]
    campaigns += [
        Campaign("poison", (CALM, *poison.BLOWS[:2] * 2, poison.BLOWS[2], *poison.BLOWS[:2]), poison.Poisoned, _LONG),
        Campaign("rolling deploy", (CALM, *rolling.BLOWS[:3] * 2, rolling.BLOWS[3]), rolling.RollingDeploy, _LONG),
        Campaign("retention", (CALM, *expiring.BLOWS * 2), expiring.Expiring, replace(_LONG, echo_every=0)),
        Campaign("forgeries", (CALM, forging.BLOWS[0], forging.BLOWS[1], forging.BLOWS[0]), forging.Besieged, _LONG),
    ]
    fsyncs: tuple[Fsync, ...] = ("everysec", "always")
    for fsync in fsyncs:
        campaigns += [
            Campaign(f"store {fsync}", (CALM, *STORE * 2), partial(Frontdesk, fsync=fsync), _LONG),
            Campaign(f"full disks {fsync}", (CALM, *DISKS), partial(on_small_disks, fsync=fsync), _LONG),
            Campaign(f"storm {fsync}", storm(seed, 6), partial(Frontdesk, fsync=fsync), _LONG),
        ]
    return tuple(campaigns)


COMPARED = (
    CALM,
    *RECEIVER[:2],
    WORKER[0],
    WORKER[3],
    FLEET,
    *STORE,
    *_named(WORKER_TO_STORE, "reset"),
    *_named(RECEIVER_TO_STORE, "replies lost"),
)
"""What is done to the stock stack too, at a rate that it can follow."""

COMPARED_PLAN = Plan(rate=8.0, before_s=0.5, after_s=3.5, echo_every=0, settles_within_s=180.0)
