"""Everything that operators do to a running estate, one thing after another, while events come; and the table."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import pairwise

import orjson

from receiver.nexudus import hook_urls
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter
from tests.faults.estate import BUSINESSES, Estate, roll
from tests.faults.frontdesk import left_behind
from tests.support.processes import Valkey, run, wait_until

ACTIONS = ("BookingCreate", "CoworkerInvoicePaid")
MORE_ACTIONS = (*ACTIONS, "CoworkerCreate")
SETTLES_WITHIN_S = 90.0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done."""

    name: str
    do: Callable[[Estate], None]


@dataclass(frozen=True, slots=True)
class Mark:
    """What Nexudus had counted when a step began."""

    name: str
    at: float
    deliveries: dict[str, int]


# -- what is done -----------------------------------------------------------------------------------------------------


def calm(_: Estate) -> None:
    """Nothing."""
    time.sleep(1.5)


def roll_receivers(estate: Estate, *, keys: str | None = None) -> None:
    """SIGTERM of one receiver and another in its place, then of the other. *keys*: the URL keys from now on."""
    estate.keys["serve"] = keys or estate.keys["serve"]
    for number, old in enumerate(estate.receivers):
        roll(old)
        estate.receivers[number] = estate.start_receiver(number)


def roll_watch(estate: Estate, *, keys: str | None = None) -> None:
    """SIGTERM of the registrar and another; with other *keys* it moves every hook, and we wait until it has."""
    estate.keys["watch"] = keys or estate.keys["watch"]
    before = {hook["Action"] for hook in estate.state()["hooks"]}
    roll(estate.watch)
    estate.watch = estate.start_watch()
    names = {hook["URL"].split("/")[-2] for hook in estate.state()["hooks"]}
    assert len(names) == len(before)
    estate.wait_for_hooks(len(names) * len(BUSINESSES), tokens=tokens(estate, sorted(names)))


def roll_workers(estate: Estate) -> None:
    """SIGTERM of one parent of workers and another in its place, then of the other."""
    for number, old in enumerate(estate.workers):
        roll(old)
        estate.workers[number] = estate.start_worker()


def roll_store(estate: Estate) -> None:
    """SIGTERM of each sentinel and of the replica, one after another, and again."""
    estate.ensemble.roll_sentinels()
    replica = estate.ensemble.replica
    replica.stop()
    estate.ensemble.start_again_as_replica(replica)
    estate.ensemble.wait_until_in_step()


def change_routes(estate: Estate, *, actions: Sequence[str] = MORE_ACTIONS) -> None:
    """Edit routes.yaml: one more action is wanted; it gets its hooks, and its events are handled."""
    estate.route(*actions)
    estate.wait_for_hooks(len(actions) * len(BUSINESSES))
    wait_until(lambda: actions[-1] in _handled(estate), f"events of {actions[-1]}", timeout_s=SETTLES_WITHIN_S)


def fail_over(estate: Estate, *, end: Callable[[Valkey], object] = Valkey.kill) -> None:
    """The primary is killed (or frozen, and wakes up as a stale one); it comes back as the other's replica."""
    old = estate.ensemble.primary
    end(old)
    estate.ensemble.wait_for_failover(old)
    if old.is_running:
        old.thaw()
    else:
        estate.ensemble.start_again_as_replica(old)
    estate.ensemble.wait_until_in_step()


def kill_receiver(estate: Estate) -> None:
    """kill -9 of a receiver, and another after a second."""
    estate.receivers[0].kill()
    time.sleep(1.0)
    estate.receivers[0] = estate.start_receiver(0)


ROTATED = "second-key"
BOTH = f"{ROTATED},first-key"
SHORT = (
    Step("nothing", calm),
    Step("receivers rolled, with the new URL key beside the old", partial(roll_receivers, keys=BOTH)),
    Step("watch rolled; it moves the hooks to the new key", partial(roll_watch, keys=BOTH)),
    Step("workers rolled", roll_workers),
    Step("sentinels and replica rolled", roll_store),
    Step("routes.yaml edited", change_routes),
    Step("primary: kill -9", fail_over),
    Step("receiver: kill -9", kill_receiver),
    Step("receivers rolled, without the old key", partial(roll_receivers, keys=ROTATED)),
)
LONG = (
    *SHORT,
    Step("primary: stopped, back as a stale one", partial(fail_over, end=Valkey.freeze)),
    Step("watch rolled", partial(roll_watch, keys=ROTATED)),
    Step("workers rolled again", roll_workers),
    Step("receiver: kill -9 again", kill_receiver),
    Step("sentinels and replica rolled again", roll_store),
    Step("receivers rolled again", roll_receivers),
    Step("primary: kill -9 again", fail_over),
)


# -- what came of it --------------------------------------------------------------------------------------------------


def strike(estate: Estate, steps: Sequence[Step], *, rate: float) -> list[Mark]:
    """Do all of it while events come; return when everything has settled."""
    estate.wait_for_hooks(len(ACTIONS) * len(BUSINESSES))
    estate.fire(rate)
    marks = []
    for step in steps:
        marks.append(Mark(step.name, time.time(), estate.state()["deliveries"]))
        step.do(estate)
        time.sleep(0.5)
    estate.fire(0)
    wait_until(lambda: not estate.state()["deliveries"]["underway"], "the last answers", timeout_s=SETTLES_WITHIN_S)
    marks.append(Mark("", time.time(), estate.state()["deliveries"]))
    wait_until(lambda: _is_settled(estate), "the end of all deliveries", timeout_s=SETTLES_WITHIN_S)
    return marks


def complaints(estate: Estate) -> Iterator[str]:
    """What is not as promised, in words."""
    state = estate.state()
    told = state["deliveries"]
    if told["failed"] or told["lost"] or told["refused"] or told["fired"] != told["delivered"]:
        yield f"Nexudus has counted strikes: {told}"
    yield from (
        f"a hook is not as it was: {hook}" for hook in state["hooks"] if hook["ErrorCount"] or not hook["Active"]
    )
    ended = run("audit", "--full", "--json", settings={"FRONTDESK_REDIS_URL": estate.ensemble.url})
    audit = orjson.loads(ended.out)
    if ended.status or audit["unaccounted"] or audit["spooled"]:
        yield f"the audit ended with {ended.status} and says {audit}"
    with estate.ensemble.primary.client() as client:
        stored = list(EventReader(client).newest(EventFilter()))
        yield from left_behind(client)
    if len(stored) != told["fired"]:
        yield f"{told['fired']} events happened, {len(stored)} are kept"
    handled = _handled(estate)
    for one in stored:
        if one.status != "succeeded" or not handled[one.envelope.action][one.envelope.id]:
            yield f"event {one.envelope.id} ({one.envelope.action}) is {one.status}"


def text(estate: Estate, marks: Sequence[Mark]) -> str:
    """Return the table: a line for each step."""
    lines = [["the real topology", "seconds", "fired", "answered 202", "strikes", "asked twice", "slowest ms"]]
    asked = list(_asked(estate))
    for mark, after in pairwise(marks):
        grown = {name: after.deliveries[name] - mark.deliveries[name] for name in mark.deliveries}
        times = [(seconds, twice) for at, seconds, twice in asked if mark.at <= at < after.at]
        slowest = max((seconds for seconds, _ in times), default=0.0)
        figures = [grown["fired"], grown["delivered"], grown["failed"], sum(twice for _, twice in times)]
        lines.append([mark.name, f"{after.at - mark.at:.0f}", *map(str, figures), f"{slowest * 1_000:.0f}"])
    repeated = sum(runs - 1 for ids in _handled(estate).values() for runs in ids.values())
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    table = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    return "\n".join([*table, f"runs of handlers that were repeated: {repeated}"])


def tokens(estate: Estate, names: Sequence[str]) -> list[str]:
    """The ends of the URLs that the registrar's first key makes."""
    key = estate.keys["watch"].partition(",")[0]
    return [hook_urls.token(key, business, action) for business in BUSINESSES for action in names]


def _is_settled(estate: Estate) -> bool:
    ended = run("audit", "--json", settings={"FRONTDESK_REDIS_URL": estate.ensemble.url})
    audit = orjson.loads(ended.out or "{}")
    return bool(audit) and not audit["deliveries"]["in_flight"] and not audit["spooled"]


def _handled(estate: Estate) -> dict[str, Counter[str]]:
    """How often each event was handled, by action; reading what is not there adds nothing."""
    handled = {action: Counter[str]() for action in MORE_ACTIONS}
    for line in estate.notes.read_text().splitlines() if estate.notes.exists() else ():
        action, event_id = line.split()
        handled[action][event_id] += 1
    return {action: ids for action, ids in handled.items() if ids}


def _asked(estate: Estate) -> Iterator[tuple[float, float, bool]]:
    """From the balancer's log: when a request was answered, after how long, and whether both receivers were asked."""
    line = re.compile(r'\[(\S+)\] "POST \S+" \d+ \d+ ([\d.]+) (.*)')
    for found in line.finditer(estate.balancer_log.read_text()):
        yield datetime.fromisoformat(found[1]).timestamp(), float(found[2]), "," in found[3]
