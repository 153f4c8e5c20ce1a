"""An upgrade, and the way back: we work on what the release before left behind, beside it, and it works on ours."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import redis

from receiver.storage.accounting.audit import Audit
from receiver.storage.queue.queue import DeliveryQueue
from receiver.storage.redis import connection, keys, rq_keys
from receiver.storage.spool import slots
from tests.conftest import StartFrontdesk
from tests.deploy.previous import release
from tests.deploy.previous.release import PreviousRelease, post
from tests.support.processes import PATIENT, Process, free_port, run, wait_until

TOLD, *LINES = [json.loads(line) for line in release.STORE.read_text().splitlines()]
"""What the release before said of its store, and the store."""

ALL_FINE = "\n".join(
    [
        "from workers import Event",
        *(f"def {name}(event: Event) -> None: pass" for name in ("fine", "fail", "leave", "hang")),
    ]
)
"""The handlers, with nothing wrong any more."""


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of a server that holds what the release before left there."""
    with connection.connect(redis_url) as connected:
        release.load(connected, LINES)
        yield connected


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The settings of today's commands."""
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        "FRONTDESK_ROUTES": str(release.write_routes(tmp_path, handlers=ALL_FINE)),
        "FRONTDESK_URL_KEYS": release.URL_KEY,
        "FRONTDESK_WEBHOOK_SECRETS": f"{release.SECRET},another secret",
        "FRONTDESK_RETENTION": "36500d",  # the recording grows old
        "FRONTDESK_RETENTION_KEPT": "36500d",
    }


def lines(*arguments: str, settings: dict[str, str]) -> list[dict[str, Any]]:
    """Run a command of today; return the objects it printed."""
    ran = run(*arguments, "--json", settings=settings)
    assert ran.status == 0, ran
    return [json.loads(line) for line in ran.out.splitlines()]


def test_what_it_left_is_read_as_it_read_it(client: redis.Redis, settings: dict[str, str]) -> None:
    """Every event, its state, its deliveries and the audit; and each can be shown whole."""
    (audit,) = lines("audit", "--full", settings=settings)
    events = lines("events", settings=settings)

    assert {name: audit[name] for name in TOLD["audit"]} == TOLD["audit"]
    statuses = {"succeeded", "dead", "discarded", "in_flight", "unrouted", "quarantined"}
    assert {event["status"] for event in events} == statuses, "the recording lacks a state"
    for was, event in zip(TOLD["events"], events, strict=True):
        assert {name: event[name] for name in ("id", "action", "business_id", "status", "received_at")} == {
            name: was[name] for name in ("id", "action", "business_id", "status", "received_at")
        }
        for before, delivery in zip(was["deliveries"], event["deliveries"], strict=True):
            assert {name: delivery[name] for name in ("id", "route", "status", "attempts", "error")} == {
                name: before[name] for name in ("id", "route", "status", "attempts", "error")
            }
    (shown,) = lines("show", events[0]["id"], settings=settings)
    assert shown["data"]["Id"]


def test_all_of_it_is_finished(client: redis.Redis, settings: dict[str, str], tmp_path: Path) -> None:
    """Queued, waiting, running when their worker died, dead, quarantined, spooled: all of it ends as it should."""
    for key in (rq_keys.scheduled("default"), keys.WORKERS):  # the month is over, and so is its worker's lease
        members: Any = client.zrange(key, 0, -1)
        client.zadd(key, dict.fromkeys(members, 1))
    recovered = DeliveryQueue(client).recover()  # which workers do 15 s after their start
    assert recovered is not None
    assert len(recovered.alone) == 1
    spool = slots.folder_of(tmp_path / "var")
    spool.mkdir(parents=True)
    shutil.copy(release.SPOOL, spool / "000.db")

    (drained,) = lines("drain", settings=settings)
    (released,) = lines("release", "--yes", settings=settings)
    (replayed,) = lines("replay", "--status", "dead", "--yes", settings=settings)
    worked = run("work", "--burst", settings=settings)

    assert (drained["kept"], released["released"], worked.status) == (1, 2, 0), worked
    assert replayed["events"]
    (audit,) = lines("audit", "--full", settings=settings)
    assert (audit["unaccounted"], audit["deliveries"]["in_flight"], audit["deliveries"]["dead"]) == (0, 0, 0)
    statuses = Counter(event["status"] for event in lines("events", settings=settings))
    assert set(statuses) == {"succeeded", "discarded", "unrouted"}
    assert audit["events"]["accepted"] == TOLD["audit"]["events"]["accepted"] + 1
    assert client.get(keys.LAYOUT) == str(keys.LAYOUT_VERSION).encode()


class Pair:
    """A receiver and workers of one version."""

    def __init__(self, receiver: Process, work: Process, port: int) -> None:
        self.receiver = receiver
        self.work = work
        self.port = port


def ready(receiver: Process, work: Process, port: int) -> Pair:
    """Wait until a pair is there."""
    receiver.wait_for_http(f"http://127.0.0.1:{port}/readyz")
    work.wait_for("worker.started")
    return Pair(receiver, work, port)


def test_both_versions_side_by_side(
    client: redis.Redis, settings: dict[str, str], frontdesk: StartFrontdesk, tmp_path: Path
) -> None:
    """As in a rolling upgrade: what either takes in, either runs, and either accounts for; then either may go."""
    previous = PreviousRelease(tmp_path)
    client.flushall()
    ports = free_port(), free_port()
    olds, news = ({**settings, "FRONTDESK_PORT": str(port), "FRONTDESK_LOG_FORMAT": "json"} for port in ports)
    olds["FRONTDESK_DATA_DIR"] = str(tmp_path / "olds")
    news |= PATIENT
    started = [previous.start(name, settings=olds, log=tmp_path / f"old-{name}.log") for name in ("serve", "work")]
    try:
        old = ready(started[0], started[1], ports[0])
        for number in range(10):
            post(old.port, "CoworkerCreate", number)
        assert client.get(keys.LAYOUT) == str(keys.LAYOUT_VERSION - 1).encode()  # the release before is at work
        new = ready(frontdesk("serve", settings=news), frontdesk("work", settings=news), ports[1])
        for number in range(10, 40):
            post((old.port, new.port)[number % 2], "CoworkerCreate", number)
        for port, number in product(ports, (10, 11)):  # each knows its own, and those of the other
            assert [one["status"] for one in post(port, "CoworkerCreate", number)] == ["duplicate"]
        forms = Counter(client.getrange(key, 0, 0) for key in client.keys("fd:e:*"))
        assert forms == {b"\x01": 25, b"\x02": 15}

        _all_succeed(client, 40)
        assert json.loads(previous.run("audit", "--full", "--json", settings=olds).out)["unaccounted"] == 0
        new.work.end()
        post(new.port, "CoworkerCreate", 50)
        _all_succeed(client, 41)  # the workers of the release before ran what today's receiver took in
        old.receiver.end()
        old.work.end()
        post(new.port, "CoworkerCreate", 51)
        assert run("work", "--burst", settings=news).status == 0
        _all_succeed(client, 42)
    finally:
        for process in started:
            process.end()


def _all_succeed(client: redis.Redis, number: int) -> None:
    def over() -> bool:
        report = Audit(client).run(full=True)
        return report.unaccounted == 0 and report.deliveries["succeeded"] == number

    wait_until(over, lambda: f"{number} deliveries: {Audit(client).run(full=True)}", timeout_s=60)


def test_the_way_back(client: redis.Redis, settings: dict[str, str], tmp_path: Path) -> None:
    """The release before finishes what today's version took over, and audits it clean."""
    assert run("work", "--burst", settings=settings).status == 0
    lines("replay", "--status", "dead", "--yes", settings=settings)

    previous = PreviousRelease(tmp_path)
    worked = previous.run("work", "--burst", settings=settings)
    audit = previous.run("audit", "--full", "--json", settings=settings)

    assert worked.status == 0, worked
    told = json.loads(audit.out)
    assert (told["unaccounted"], told["deliveries"]["dead"]) == (0, 0), told
    assert told["deliveries"]["created"] > TOLD["audit"]["deliveries"]["created"]
