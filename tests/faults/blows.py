"""The faults. Each is struck while events flow, lasts about as long as it says, and is put right again."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain

from receiver.storage.spool import count, slots
from tests.faults import deeds
from tests.faults.link import Mode, Side
from tests.faults.stand import STARTS_WITHIN_S, Stand, interrupt
from tests.support.processes import children_of, is_alive, wait_until

OUTAGE_S = 2.0
"""How long the store, or the network to it, is away."""


@dataclass(frozen=True, slots=True)
class Blow:
    """One fault. *crashes*: something that runs handlers dies in the middle, so that some of its runs are repeated.
    *forgets*: the store may forget what it was told last, so that some of what it was told of runs again.

    *outage*: the store is away from the receiver, which lives and has to answer 202 all the same, in time. *full*: its
    disk takes nothing either, and it may answer 503.
    """

    name: str
    strike: Callable[[Stand], None]
    crashes: bool = False
    forgets: bool = False
    outage: bool = False
    full: bool = False


def calm(_: Stand) -> None:
    """No fault: what the machine does on its own."""


# -- receiver ---------------------------------------------------------------------------------------------------------


def kill_receiver(stand: Stand) -> None:
    """kill -9, then another."""
    interrupt(stand.receiver, signal.SIGKILL, then=stand.start_receiver)


def stop_receiver(stand: Stand) -> None:
    """SIGTERM, then another: a deploy."""
    interrupt(stand.receiver, signal.SIGTERM, then=stand.start_receiver)


def freeze_receiver(stand: Stand) -> None:
    """SIGSTOP, two seconds, SIGCONT: of all its processes."""
    _freeze([stand.receiver.pid, *children_of(stand.receiver.pid)], OUTAGE_S)


def kill_one_of_several_receivers(stand: Stand) -> None:
    """kill -9 of one process behind the port; its supervisor starts another."""
    before = set(children_of(stand.receiver.pid))
    os.kill(min(before), signal.SIGKILL)
    wait_until(
        lambda: len(now := set(children_of(stand.receiver.pid))) == len(before) and now != before, "another receiver"
    )


def kill_supervisor(stand: Stand) -> None:
    """kill -9 of the supervisor: its receivers must go too, and leave the port to the next."""
    children = children_of(stand.receiver.pid)
    stand.orphan(children)
    stand.receiver.kill()
    wait_until(lambda: not any(map(is_alive, children)), "the end of the orphans", timeout_s=STARTS_WITHIN_S)
    stand.start_receiver()


def orphan_spools(stand: Stand) -> None:
    """kill -9 of all receivers while their spools hold events; one receiver takes their place and finds two spools."""
    stand.receiver_to_store.tell("refuse")
    time.sleep(OUTAGE_S / 2)
    processes = list(children_of(stand.receiver.pid))
    stand.orphan(processes)
    _kill([stand.receiver.pid, *processes])
    stand.receiver.wait(timeout_s=STARTS_WITHIN_S)
    stand.receivers = 1
    stand.start_receiver()
    stand.receiver_to_store.tell("pass")


def without_store(stand: Stand, strike: Callable[[Stand], None]) -> None:
    """Another blow, in the middle of an outage of the store."""
    stand.receiver_to_store.tell("refuse")
    time.sleep(OUTAGE_S / 2)
    strike(stand)
    time.sleep(OUTAGE_S / 2)
    stand.receiver_to_store.tell("pass")


# -- workers ----------------------------------------------------------------------------------------------------------


def kill_worker_process(stand: Stand) -> None:
    """kill -9 of one process that runs handlers; its parent notices."""
    _kill_workers(stand, _some_worker(stand))


def kill_busy_worker_process(stand: Stand) -> None:
    """kill -9 of one process that has just been handed all that piled up in a second."""
    stand.worker_to_store.tell("stall")
    time.sleep(OUTAGE_S / 2)
    pids = _some_worker(stand)
    begun = sum(1 for _ in deeds.notes(stand.notes))
    stand.worker_to_store.tell("pass")
    wait_until(lambda: sum(1 for _ in deeds.notes(stand.notes)) > begun, "a handler to begin")
    _kill_workers(stand, pids)


def kill_worker_parent(stand: Stand) -> None:
    """kill -9 of the parent alone, then another."""
    stand.orphan(chain(*stand.running()))
    interrupt(stand.worker, signal.SIGKILL, then=stand.start_worker)


def kill_fleet(stand: Stand) -> None:
    """kill -9 of all that runs handlers, then another."""
    processes = list(chain(*stand.running()))
    stand.orphan(processes)
    stand.worker.kill()
    _kill_workers(stand, processes)
    stand.start_worker()


def freeze_fleet(stand: Stand) -> None:
    """SIGSTOP, five seconds, SIGCONT of all that runs handlers: then many retries are due at once, and late."""
    _freeze([stand.worker.pid, *chain(*stand.running())], 5.0)


def stop_worker(stand: Stand) -> None:
    """SIGTERM, then another: a deploy."""
    interrupt(stand.worker, signal.SIGTERM, then=stand.start_worker)


def stop_worker_at_once(stand: Stand) -> None:
    """SIGTERM twice, then another: somebody in a hurry."""
    stand.killed.update(chain(*stand.running()))
    stand.worker.signal(signal.SIGTERM)
    time.sleep(0.05)
    interrupt(stand.worker, signal.SIGTERM, then=stand.start_worker)


def freeze_worker_process(stand: Stand) -> None:
    """SIGSTOP, two seconds, SIGCONT of one process that runs handlers."""
    _freeze(_some_worker(stand), OUTAGE_S)


def freeze_worker_process_for_long(stand: Stand) -> None:
    """SIGSTOP for good: its parent has to find out."""
    (pid,) = _some_worker(stand)
    stand.killed.add(pid)
    _signal(pid, signal.SIGSTOP)
    wait_until(lambda: not is_alive(pid), "the end of the frozen process", timeout_s=STARTS_WITHIN_S)


def freeze_worker_parent(stand: Stand) -> None:
    """SIGSTOP, twenty seconds, SIGCONT: longer than a lease lasts."""
    _freeze([stand.worker.pid], 20.0)


# -- store ------------------------------------------------------------------------------------------------------------


def kill_store(stand: Stand) -> None:
    """kill -9, half a second, and again from its append-only file."""
    stand.store.kill()
    time.sleep(0.5)
    stand.store.start_again()


def stop_store(stand: Stand) -> None:
    """SIGTERM, half a second, and again."""
    stand.store.stop()
    time.sleep(0.5)
    stand.store.start_again()


def freeze_store(stand: Stand) -> None:
    """SIGSTOP, two seconds, SIGCONT."""
    _freeze([stand.store.pid], OUTAGE_S)


def fill_disk_of_store(stand: Stand) -> None:
    """No byte left for two seconds. A server that syncs always ends itself over that, and is started again."""
    full = stand.disks["store"]
    full.fill()
    time.sleep(OUTAGE_S)
    full.free()
    if not stand.store.is_running:
        stand.store.start_again()


def fill_disk_of_spool(stand: Stand) -> None:
    """No byte left for two seconds, with the store there: nobody should notice."""
    full = stand.disks["spool"]
    full.fill()
    time.sleep(OUTAGE_S)
    full.free()


def fill_disk_of_spool_until_it_is_drained(stand: Stand) -> None:
    """No byte left from the middle of an outage of the store on: what was spooled goes to the store all the same."""
    full = stand.disks["spool"]
    stand.receiver_to_store.tell("refuse")
    time.sleep(OUTAGE_S)
    full.fill()
    stand.receiver_to_store.tell("pass")
    wait_until(lambda: not count.events(slots.folder_of(full.folder)), "the spool on the full disk to be drained")
    full.free()


# -- clocks -----------------------------------------------------------------------------------------------------------

HOURS_S = 7_200.0
YEAR_S = 365 * 86_400.0


def set_clocks(stand: Stand, *, serve: float = 0.0, work: float = 0.0) -> None:
    """Have the clocks jump, and see how that goes for a while."""
    stand.clocks["serve"].be(serve)
    stand.clocks["work"].be(work)
    time.sleep(OUTAGE_S)


def start_with_wrong_clocks(stand: Stand) -> None:
    """SIGTERM of all, and again on machines whose clocks are wrong from the beginning; they are set right later."""
    set_clocks(stand, serve=-YEAR_S, work=HOURS_S)
    stop_receiver(stand)
    stop_worker(stand)
    time.sleep(OUTAGE_S)
    set_clocks(stand)


# -- network ----------------------------------------------------------------------------------------------------------


def disturb(
    stand: Stand,
    *,
    link: str,
    mode: Mode,
    lasts_s: float = OUTAGE_S,
    seconds: float = 0.0,
    side: Side = "reply",
    keep: float = 0.5,
    every: int = 1,
) -> None:
    """Have one link misbehave for a while."""
    disturbed = getattr(stand, link)
    disturbed.tell(mode, seconds=seconds, side=side, keep=keep, every=every)
    time.sleep(lasts_s)
    disturbed.tell("pass")


def disturbances(link: str, title: str, *, outage: bool = False) -> tuple[Blow, ...]:
    """Everything that a network does, on one link."""
    on = partial(partial, disturb, link=link)
    return (
        Blow(f"{title}: 40 ms slower", on(mode="delay", seconds=0.04)),
        Blow(f"{title}: 1 s slower", on(mode="delay", seconds=1.0), outage=outage),
        Blow(f"{title}: stalls for 2 s", on(mode="stall"), outage=outage),
        Blow(f"{title}: loses all for 2 s", on(mode="drop"), outage=outage),
        Blow(f"{title}: refused for 2 s", on(mode="refuse"), outage=outage),
        Blow(f"{title}: reset", on(mode="reset", lasts_s=0.1), outage=outage),
        Blow(f"{title}: replies cut", on(mode="cut", every=5), outage=outage),
        Blow(f"{title}: replies lost", on(mode="cut", keep=0.0, every=3), outage=outage),
        Blow(f"{title}: requests cut", on(mode="cut", side="request", every=5), outage=outage),
    )


def _freeze(pids: list[int], seconds: float) -> None:
    for pid in pids:
        _signal(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in pids:
        _signal(pid, signal.SIGCONT)


def _some_worker(stand: Stand) -> list[int]:
    return wait_until(stand.running, "a process that runs handlers", timeout_s=STARTS_WITHIN_S)[0]


def _kill_workers(stand: Stand, pids: list[int]) -> None:
    stand.killed.update(pids)
    _kill(pids)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    if is_alive(pid):
        os.kill(pid, number)
