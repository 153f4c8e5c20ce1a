"""notify, forward and sql while their workers are killed: nothing is lost, and each event has exactly one row."""

import contextlib
import json
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.support import postgres
from tests.support.bench import Bench
from tests.support.processes import Process, children_of, run, wait_until
from tests.workers.handlers.targets import Target, a_target

EVENTS = 60
KILLS = 2
DEADLINE_S = 400.0


@pytest.fixture
def targets() -> Iterator[tuple[Target, Target]]:
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(a_target()), stack.enter_context(a_target())


def kill_all(worker: Process) -> None:
    """kill -9 of a worker and its processes, in any state."""
    children = list(children_of(worker.pid))
    worker.kill()
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def settled(bench: Bench, ids: list[str]) -> int:
    return sum(stored.status != "in_flight" for stored in bench.archive.many(ids))


@pytest.mark.timeout(1_200)  # what a killed worker held waits for its lease, and then runs alone
def test_no_row_is_missing_or_there_twice_whoever_is_killed(
    bench: Bench, targets: tuple[Target, Target], postgres_server: str
) -> None:
    """Over kills, retries and a replay of everything; every request and message arrives at least once."""
    crm, chat = targets
    rows = bench.folder / "rows.db"
    columns = {"number": {"cel": "data.Id"}, "twice": "{{ data.Id * 2 }}"}
    bench.settings |= {
        "CHAT": f"json://127.0.0.1:{chat.port}/",
        "DATABASE": postgres.new_database(postgres_server, "killed"),
    }
    patient = {"retry": ["100ms"] * 20}
    sql = {"handler": "sql", "with": {"url": f"sqlite:///{rows}", "table": "bookings", "columns": columns}}
    bench.routes(
        {"name": "lite", **sql, **patient},
        {"name": "post", "handler": "sql", "with": {"url": "env/DATABASE", "table": "bookings"}, **patient},
        {"name": "crm", "handler": "forward", "with": {"url": crm.url(), "allow_private": True}, **patient},
        {"name": "chat", "handler": "notify", "with": {"to": "env/CHAT", "message": "{{ data.Id }}"}, **patient},
    )
    routes = ("lite", "post", "crm", "chat")
    made = run("check", "--create-tables", settings=bench.settings, cwd=bench.folder)
    assert made.status == 0, made.err
    ids = [bench.keep_record({"Id": number}, *routes) for number in range(1, EVENTS + 1)]

    for kill in range(1, KILLS + 1):
        worker = bench.work("--processes", "2", "--threads", "4")
        wait_until(
            lambda some=kill * EVENTS // (KILLS + 1): len(crm.received) >= some,  # type: ignore[misc]
            "some to be under way",
            timeout_s=DEADLINE_S,
        )
        assert settled(bench, ids) < EVENTS, "there is nothing left to be killed"
        kill_all(worker)
    bench.work("--processes", "2")
    wait_until(lambda: settled(bench, ids) == EVENTS, "all to be settled", timeout_s=DEADLINE_S)
    once = {one.status.value for stored in bench.archive.many(ids) for one in stored.deliveries}
    replayed = run("replay", "--since", "1h", "--yes", "--json", settings=bench.settings, cwd=bench.folder)
    wait_until(lambda: settled(bench, ids) == EVENTS, "the replay to be settled", timeout_s=DEADLINE_S)
    audit = run("audit", "--full", "--json", settings=bench.settings, cwd=bench.folder)

    assert once == {"succeeded"}
    assert json.loads(replayed.out)["deliveries"] == 4 * EVENTS, replayed.err
    with contextlib.closing(sqlite3.connect(rows)) as connection:
        found = connection.execute("SELECT event_key, number, twice FROM bookings ORDER BY number").fetchall()
    assert found == [(f"{event_id}-lite", at, 2 * at) for at, event_id in enumerate(ids, 1)]
    engine = sa.create_engine(bench.settings["DATABASE"])
    with engine.begin() as rows_of_post:
        posted = Counter(rows_of_post.execute(sa.text("SELECT event_key FROM bookings")).scalars())
    engine.dispose()
    assert posted == Counter(f"{event_id}-post" for event_id in ids)
    assert {request.headers["webhook-id"] for request in crm.received} == {f"{event_id}-crm" for event_id in ids}
    assert {json.loads(request.body)["message"] for request in chat.received} == {
        str(number) for number in range(1, EVENTS + 1)
    }
    told = json.loads(audit.out)
    assert (told["unaccounted"], told["offenders"]) == (0, [])
    assert told["deliveries"]["created"] == told["deliveries"]["succeeded"] == 8 * EVENTS
