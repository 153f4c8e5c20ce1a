"""How long the console's pages take with many events stored: `python -m tests.benchmarks.console [EVENTS [HOURS]]`."""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from receiver.core import timestamps
from receiver.nexudus import samples
from receiver.storage.model import keep_script
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis import connection, keys, scripts
from receiver.storage.shared.audit_log import AuditLog
from tests.receiver.console.house import ADMIN, House, built
from tests.receiver.failures.failing import keep_failing
from tests.support.events import entry
from tests.support.processes import wait_until

ACTIONS = ("BookingCreate", "CoworkerCheckin", "VisitorRegistered", "CoworkerInvoicePaid")
TIMES = 15
GROUPS = 500
ERRORS = ("KeyError: 1", "NotDelivered: answered 422", "TimeoutError: no answer", "ValueError: wrong", "OSError: gone")
RARE = 987_654_321
"""A business, and a number in a record: those of the oldest event alone."""


def main() -> None:
    """Fill a store, then ask for every page again and again."""
    number, hours = ([int(word) for word in sys.argv[1:]] + [100_000, 24][len(sys.argv) - 1 :])[:2]
    with tempfile.TemporaryDirectory(prefix="console-") as folder, built(Path(folder)) as house:
        dead = min(number // 5, 20_000)
        _fail(house, dead)
        _fill(house, number - dead, hours)
        house.console()
        print(f"{number:,} events stored over {hours} hours, {dead:,} of them dead in {GROUPS} groups;")
        print(f"{TIMES} requests each, one after the other; milliseconds")
        print(f"{'page':<44}{'median':>8}{'slowest':>9}")
        for path in _paths(house):
            taken = sorted(_time(house, path) for _ in range(TIMES))
            print(f"{path[:42]:<44}{statistics.median(taken):>8.1f}{taken[-1]:>9.1f}")
        print("\nsearches until their end, page by page; their only hit is the oldest event")
        print(f"{'search':<44}{'median':>8}{'slowest':>9}{'pages':>7}{'hits':>6}")
        for query in _searches(house):
            found, taken = _walk(house, query)
            print(f"{query[:42]:<44}{statistics.median(taken):>8.1f}{max(taken):>9.1f}{len(taken):>7}{found:>6}")


def _fail(house: House, number: int) -> None:
    """Keep dead deliveries on a hundred routes, each with five errors, the latest last."""
    with connection.connect(house.settings["FRONTDESK_REDIS_URL"]) as client:
        for route in range(GROUPS // len(ERRORS)):
            errors = [f"{ERRORS[at % len(ERRORS)]} of booking {at}" for at in range(number * len(ERRORS) // GROUPS)]
            keep_failing(client, list(errors), route=f"route-{route}")
        for at in range(2_000):
            AuditLog(client).record("replay", who=f"person-{at % 7}", route=f"route-{at % 100}", events=at)


def _fill(house: House, number: int, hours: int) -> None:
    """Keep events over the last hours, one in fifty of them unrouted, one in a hundred in quarantine."""
    began = time.time() - hours * 3_600
    with connection.connect(house.settings["FRONTDESK_REDIS_URL"]) as client:
        script = client.register_script(scripts.source("keep"))
        batch = []
        for at in range(number):
            action = ACTIONS[at % len(ACTIONS)]
            record = orjson.dumps(samples.record(action, now=samples.WRITTEN, number=at) | {"At": at or RARE})
            batch.append(
                entry(
                    record,
                    action=action,
                    business_id=1001 + at % 3 if at else RARE,
                    at=began + at * hours * 3_600 / number,
                    routes=() if at % 50 == 2 else ("everything",),
                    quarantine="X-Nexudus-Hook-Signature does not match" if at % 100 == 1 else None,
                )
            )
            if len(batch) == keep_script.LARGEST_BATCH or at == number - 1:
                script(args=keep_script.arguments(batch))
                batch = []


def _paths(house: House) -> Iterator[str]:
    yield from ("/", "/?span=day", "/?span=week", "/events")
    second = house.facts("/events")["more"]
    oldest = house.facts("/events?status=unrouted&until=1m")["events"][-1]["id"]
    with connection.connect(house.settings["FRONTDESK_REDIS_URL"]) as client:
        hour = min(EventReader(client).hours())
        middle = EventReader(client).hour_page(hour, EventReader(client).hour_length(hour) // 2, 1)[0]
    yield from (f"/events?after={second}", f"/events?after={oldest}", f"/events?after={middle}")
    yield from ("/events?action=BookingCreate&business=1002", "/events?route=everything", "/events?status=in_flight")
    yield from ("/events?status=unrouted", "/events?status=succeeded", "/events?text=nobody-has-this")
    yield f"/events/{middle}"
    groups = wait_until(lambda: house.facts("/failures")["groups"], "the groups")
    yield from ("/failures", "/failures?sort=last", "/api/failures", f"/failures/{groups[0]['id']}")
    yield from (f"/failures/{groups[-1]['id']}", "/entities/Booking:1", "/coverage")
    yield from ("/routes", "/hooks", "/dead", "/quarantine", "/workers", "/acts", "/api/events")
    yield from ("/replay?status=in_flight", "/replay?status=unrouted", "/replay?text=nobody", "/quarantine/release")


def _searches(house: House) -> Iterator[str]:
    """Searches that no list of the store answers alone."""
    with connection.connect(house.settings["FRONTDESK_REDIS_URL"]) as client:
        archive = EventReader(client)
        oldest = archive.many(archive.hour_page(min(archive.hours()), 0, 1))[0].envelope
        client.hset(keys.state(oldest.id), mapping={"1s": "s", "p": 0})
    until = timestamps.show(oldest.received_ms + 1)
    yield from (f"text={RARE}", "status=succeeded", f"text={RARE}&status=succeeded&route=everything")
    yield from (f"action={ACTIONS[0]}&business={RARE}", f"business={RARE}&route=everything")
    yield from (f"until={until}", f"route=everything&until={until}", f"text={RARE}&action={ACTIONS[0]}&since=7d")


def _walk(house: House, query: str) -> tuple[int, list[float]]:
    """Follow a search from page to page; return its hits, and the milliseconds of each page."""
    found, taken, more = 0, list[float](), None
    while more or not taken:
        began = time.perf_counter()
        page = house.facts(f"/events?{query}{f'&after={more}' if more else ''}")
        taken.append((time.perf_counter() - began) * 1_000)
        found, more = found + len(page["events"]), page["more"]
    return found, taken


def _time(house: House, path: str) -> float:
    began = time.perf_counter()
    answer = house.ask("GET", path, token=ADMIN)
    assert answer.status == 200, (path, answer)
    return (time.perf_counter() - began) * 1_000


if __name__ == "__main__":
    main()
