"""A handler that asks for Nexudus: what it may ask, what it costs, and that waiting is no failing."""

import asyncio
import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from receiver.core.errors import HandlerError, NexudusError
from receiver.core.settings import from_environ
from receiver.storage.shared.response_cache import ResponseCache
from tests.support.bench import Bench
from tests.support.handled import an_event
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import run, wait_until
from tests.workers.conftest import TOKEN
from workers import Nexudus, Retry
from workers.nexudus.lookup import AttemptContext
from workers.nexudus.nexudus_transport import NexudusTransport
from workers.plugins import loader
from workers.plugins.injection import NexudusProvider
from workers.records import Booking, Coworker

ASKING = """
import os, time
from deeds import note
from workers import Event, Nexudus, once
from workers.records import Booking, Coworker


def name(event: Event, *, nexudus: Nexudus, kind: str = "spaces/coworkers"):
    note(event, name=nexudus.get(kind, event.data["CoworkerId"])["FullName"])

async def name_async(event: Event[Booking], *, nexudus: Nexudus):
    coworker = await nexudus.aget(Coworker, event.data.CoworkerId)
    note(Seen(event), name=coworker.FullName)

def rename(event: Event, *, desk: Nexudus):
    with once(event, "rename") as step:
        if not step.done:
            desk.change(Coworker, event.data["CoworkerId"], FullName="Ada Lovelace")
    (row,) = desk.search(Coworker, Coworker_FullName="Ada Lovelace")
    note(event, name=desk.get(Coworker, event.data["CoworkerId"]).FullName, found=row["Id"])

class Seen:
    def __init__(self, event): self.event = event; self.data = {"Id": event.data.Id}
    def __getattr__(self, name): return getattr(self.event, name)
"""
ZOE = 1_409_384_711


class OpenLine:
    """A line that answers from a table, and writes down what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {name.replace("__", "/"): answer for name, answer in answers.items()}
        self.asked: list[Any] = []
        self.is_known = True

    @property
    def executor(self) -> Executor:
        return ThreadPoolExecutor(1)

    def check(self) -> None:
        if not self.is_known:
            raise HandlerError("asks for nexudus, but nobody knows how to sign in")

    def read(self, attempt: AttemptContext, path: str, params: Mapping[str, str | int], *, since_ms: int) -> Any:
        self.asked.append((path, dict(params), since_ms))
        return self.answers[path]

    def write(self, attempt: AttemptContext, method: str, path: str, record: Mapping[str, Any] | None) -> Any:
        self.asked.append((method, path, record))
        return {"Value": {"Id": 5}}

    def forget(self, path: str) -> None:
        self.asked.append(("forget", path))


def nexudus_of(line: OpenLine, *, writes: bool = False, attempt: AttemptContext | None = None) -> Nexudus:
    return Nexudus(line, attempt or AttemptContext(time.monotonic() + 60), writes=writes)


# -- what may be asked ------------------------------------------------------------------------------------------------


def test_a_record_is_had_as_a_dict_or_as_a_type() -> None:
    """In async handlers by the twin of the method."""
    line = OpenLine(**{"spaces/coworkers/7": {"Id": 7, "FullName": "Zoë", "RegistrationDate": "2026-03-01T09:00:00Z"}})
    nexudus = nexudus_of(line)

    typed = nexudus.get(Coworker, 7)
    aside = asyncio.run(nexudus.aget(Coworker, 7))

    assert nexudus.get("spaces/coworkers", 7)["FullName"] == "Zoë"
    assert (typed.FullName, typed.RegistrationDate) == ("Zoë", datetime(2026, 3, 1, 9, tzinfo=UTC))
    assert aside == typed


@pytest.mark.parametrize(
    ("kind", "number", "sentence"),
    [
        ("coworkers", 1, "is not a kind of record"),
        ("spaces/../sys/webhooks", 1, "is not a kind of record"),
        ("spaces/coworkers?x=1", 1, "is not a kind of record"),
        (dict, 1, "is not a kind of record"),
        ("spaces/coworkers", None, "None is not the number of a record"),
        ("spaces/coworkers", True, "True is not the number of a record"),
        ("spaces/coworkers", 0, "0 is not the number of a record"),
        ("spaces/coworkers", "7", "'7' is not the number of a record"),
    ],
)
def test_a_question_that_makes_no_sense_is_not_asked(kind: Any, number: Any, sentence: str) -> None:
    """Paths and numbers may come out of a record."""
    line = OpenLine()

    with pytest.raises(ValueError, match=sentence):
        nexudus_of(line).get(kind, number)
    assert line.asked == []


def test_another_record_than_asked_for_is_refused() -> None:
    """Rather than taken for the right one."""
    with pytest.raises(NexudusError, match="something that is not the record 7"):
        nexudus_of(OpenLine(**{"spaces/coworkers/7": {"Id": 8}})).get("spaces/coworkers", 7)


def test_a_search_has_filters_and_a_bound() -> None:
    """A filter that Nexudus ignores returns everything; rows that do not fit give it away."""
    rows = [{"Id": 7, "Email": "ada@example.com"}]
    line = OpenLine(**{"spaces/coworkers": {"Records": rows}})
    nexudus = nexudus_of(line)

    assert nexudus.search(Coworker, Coworker_Email="ADA@example.com", Coworker_Active=True, most=2) == tuple(rows)
    assert line.asked[0][1] == {"Coworker_Active": "true", "Coworker_Email": "ADA@example.com", "page": 1, "size": 2}
    assert nexudus.search(Coworker, from_Coworker_UpdatedOn="2026-05-01T00:00", Coworker_Tariff="notnull")
    with pytest.raises(NexudusError, match="does not know the filter Coworker_Email: it returned rows"):
        nexudus.search(Coworker, Coworker_Email="bob@example.com")
    with pytest.raises(ValueError, match="most=501 is not between 1 and 500"):
        nexudus.search(Coworker, most=501)


def test_writing_is_for_routes_that_say_so() -> None:
    """And reads the whole record first, because Nexudus clears what is not sent."""
    line = OpenLine(**{"spaces/coworkers/7": {"Id": 7, "FullName": "Zoë", "Email": "z@example.com"}})

    for call in ("create", "change", "delete"):
        with pytest.raises(NexudusError, match="this route may only read from Nexudus; write `nexudus: write`"):
            getattr(nexudus_of(line), call)(Coworker, {} if call == "create" else 7)
    assert line.asked == []

    nexudus = nexudus_of(line, writes=True)
    nexudus.change(Coworker, 7, FullName="Ada")
    assert nexudus.create(Coworker, {"FullName": "New"}) == 5
    nexudus.delete(Booking, 7)

    assert line.asked == [
        ("forget", "spaces/coworkers/7"),
        ("spaces/coworkers/7", {}, 0),
        ("PUT", "spaces/coworkers", {"Id": 7, "FullName": "Ada", "Email": "z@example.com"}),
        ("forget", "spaces/coworkers/7"),
        ("POST", "spaces/coworkers", {"FullName": "New"}),
        ("DELETE", "spaces/bookings/7", None),
        ("forget", "spaces/bookings/7"),
    ]


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (Coworker, "COWORKER_DELETE"),
        ("billing/coworkerinvoices", "COWORKER_INVOICE_DELETE"),
        ("billing/coworkercontracts", "DELETE_CONTRACT"),
    ],
)
def test_what_only_a_command_deletes_is_refused_by_name(kind: Any, command: str) -> None:
    """Nothing is sent."""
    line = OpenLine()

    with pytest.raises(NexudusError, match=f"run its command {command} instead"):
        nexudus_of(line, writes=True).delete(kind, 7)
    assert line.asked == []


@pytest.mark.parametrize(
    ("name", "wanted", "good", "bad"),
    [
        ("from_Booking_FromTime", "2026-05-01T00:00", {"FromTime": "2026-05-01T00:00:00Z"}, "2026-04-30T23:59:59Z"),
        ("to_Booking_FromTime", "2026-05-01T00:00", {"FromTime": "2026-05-01T00:00:59Z"}, "2026-05-01T00:01:00Z"),
        ("from_Booking_Repeats", 5, {"Repeats": 10}, 4),
        ("Booking_Resource", 1, {"ResourceId": 1}, 10),
        ("booking_resource", 1, {"ResourceId": 1}, 10),
        ("Booking_Repeats", 1, {"Repeats": 1}, 10),
        ("Booking_Online", True, {"Online": True}, False),
        ("Coworker_Email", "ADA@", {"Email": "ada@example.com"}, "bob@example.com"),
        ("Coworker_Team", 1, {"TeamIds": "2,1"}, "2,10"),
        ("Coworker_Tariff", "notnull", {"TariffId": 3}, None),
    ],
)
def test_every_row_has_to_fit_every_filter(name: str, wanted: Any, good: dict[str, Any], bad: object) -> None:
    """One row that does not, and Nexudus has ignored the filter."""
    (field,) = good
    rows = [{"Id": 1} | good, {"Id": 2}]
    line = OpenLine(**{"spaces/bookings": {"Records": rows}})

    assert nexudus_of(line).search(Booking, **{name: wanted}) == tuple(rows)
    rows.append({"Id": 3, field: bad})
    with pytest.raises(NexudusError, match=f"does not know the filter {name}: it returned rows that do not fit it"):
        nexudus_of(line).search(Booking, **{name: wanted})


def test_the_record_of_the_event_is_never_older_than_the_event() -> None:
    """A kept answer may be from before the change that the event tells of; of other records that does not matter."""
    line = OpenLine(**{"spaces/coworkers/7": {"Id": 7}, "spaces/coworkers/8": {"Id": 8}, "spaces/teams/7": {"Id": 7}})
    event = an_event(action="CoworkerUpdate", data={"Id": 7})
    nexudus = NexudusProvider(line, writes=False, timeout_s=30).nexudus(event)

    for kind, number in (("spaces/coworkers", 7), ("spaces/coworkers", 8), ("spaces/teams", 7)):
        nexudus.get(kind, number)

    assert [since for *_, since in line.asked] == [int(event.received_at.timestamp() * 1_000), 0, 0]


def test_the_loop_of_async_handlers_is_not_held_up() -> None:
    """The plain methods say so there."""

    async def ask() -> None:
        nexudus_of(OpenLine()).get("spaces/coworkers", 7)

    with pytest.raises(RuntimeError, match=r"write `await nexudus.aget\(...\)`"):
        asyncio.run(ask())


# -- who is given it --------------------------------------------------------------------------------------------------


def test_it_is_given_and_is_no_option(tmp_path: Path) -> None:
    """Under any name; whoever says it under `with:` is told that it is none; without credentials it cannot be had."""
    (tmp_path / "asking_here.py").write_text(
        "from __future__ import annotations\nfrom workers import Event, Nexudus\ngot = []\n"
        "def ask(event: Event, *, desk: Nexudus, word: str = 'x'): got.append((desk, word))\n"
        "def maybe(event: Event, *, nexudus: Nexudus | None = None): got.append((nexudus, ''))\n"
    )
    line = OpenLine()
    provider = NexudusProvider(line, writes=False, timeout_s=30)

    for name in ("ask", "maybe"):
        handler = loader.load(f"asking_here:{name}", {}, environ={}, folder=tmp_path, provider=provider)
        handler.call(an_event())
    with pytest.raises(HandlerError, match=r"unknown option 'desk'; it takes \(event, \*, word: str = 'x'\)"):
        loader.load("asking_here:ask", {"desk": 1}, environ={}, folder=tmp_path, provider=provider)
    line.is_known = False
    with pytest.raises(HandlerError, match="handler 'asking_here:ask': asks for nexudus, but nobody knows"):
        loader.load("asking_here:ask", {}, environ={}, folder=tmp_path, provider=provider)

    got = sys.modules["asking_here"].got
    assert [type(nexudus) for nexudus, _ in got] == [Nexudus, Nexudus]


def test_check_says_when_credentials_are_missing(tmp_path: Path) -> None:
    """At the line of the handler; other routes need none."""
    (tmp_path / "deeds.py").write_text("def note(*_, **__): pass")
    (tmp_path / "asking.py").write_text(ASKING)
    (tmp_path / "routes.yaml").write_text(
        'routes:\n  - action: BookingCreate\n    handler: "asking:name"\n  - {action: "*", handler: log}\n'
    )

    without = run("check", "--json", cwd=tmp_path)
    with_them = run("check", "--json", cwd=tmp_path, settings={"FRONTDESK_NEXUDUS_TOKEN": "t"})

    (problem,) = json.loads(without.out)["problems"]
    assert (without.status, with_them.status, problem["line"]) == (1, 0, 3)
    assert "asks for nexudus, but FRONTDESK_NEXUDUS_USERNAME is not set" in problem["message"]


# -- what it costs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def simulated(simulated: SimulatedNexudus, bench: Bench) -> SimulatedNexudus:
    """A simulated Nexudus whose API the bench's workers may use, and handlers that do."""
    (bench.folder / "asking.py").write_text(ASKING)
    return simulated


def a_booking(number: int) -> dict[str, object]:
    return {"Id": number, "CoworkerId": ZOE}


def test_the_same_question_from_a_thousand_deliveries_costs_one_call(bench: Bench, simulated: SimulatedNexudus) -> None:
    """From threads, from async handlers, from two processes; the token costs one for each process."""
    bench.routes({"handler": "asking:name"}, {"handler": "asking:name_async"})
    ids = [bench.keep_record(a_booking(number), "name", "name-async") for number in range(1, 501)]
    before = simulated.state()["calls"]

    bench.work("--processes", "2")  # not --burst: deliveries may wait for an answer that another process asks for

    assert {bench.ended(event_id).status.value for event_id in ids} == {"succeeded"}
    assert {seen["name"] for seen in bench.seen()} == {"Zoë Lindqvist"}
    assert len(bench.seen()) == 1_000
    tokens = simulated.state()["grants"]
    assert simulated.state()["calls"] - before - tokens == 1
    assert 1 <= tokens <= 2


def _told(client: redis.Redis) -> str:
    """Everything that the store holds; what it holds compressed, as that."""
    readers: dict[Any, Callable[[Any], object]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": client.xrange,
    }
    return repr([(key, readers[client.type(key)](key)) for key in client.scan_iter()])


def test_throttling_makes_the_delivery_wait_and_costs_no_attempt(bench: Bench, simulated: SimulatedNexudus) -> None:
    """However long it lasts; and the handler's timeout is never reached by it."""
    bench.routes({"handler": "asking:name", "timeout": "2s", "retry": []})
    simulated.turn(throttle_rate=1.0, retry_after_s=1)
    event_id = bench.keep_record(a_booking(1), "name")

    bench.work()
    wait_until(lambda: simulated.state()["calls"] >= 6, "some throttled calls", timeout_s=60)
    waiting = bench.archive.get(event_id)
    simulated.turn(throttle_rate=0.0)
    stored = bench.ended(event_id)

    assert (waiting.status, waiting.deliveries[0].attempts) == ("in_flight", ())
    assert [attempt["outcome"] for attempt in stored.deliveries[0].attempts] == ["succeeded"]


def test_writing_trying_and_erasing(bench: Bench, simulated: SimulatedNexudus) -> None:
    """A route with `nexudus: write` changes a record, and reads what it wrote; `try` does it too; erase clears."""
    bench.routes({"handler": "asking:rename", "nexudus": "write"})
    event_id = bench.keep_record(a_booking(1), "rename")
    bench.settings |= {"FRONTDESK_NEXUDUS_TOKEN": TOKEN, "FRONTDESK_LOG_LEVEL": "debug"}

    tried = run("try", "rename", event_id, "--json", settings=bench.settings, cwd=bench.folder)
    worker = bench.work("--burst")
    stored = bench.ended(event_id)
    kept = len(bench.client.keys("fd:nexudus:answer:*"))
    told = _told(bench.client) + worker.output + tried.out + tried.err
    erased = run("erase", "--coworker", str(ZOE), "--yes", "--json", settings=bench.settings, cwd=bench.folder)

    assert json.loads(tried.out)["outcome"] == "succeeded", tried.out
    assert stored.status == "succeeded"
    assert [(seen["name"], seen["found"]) for seen in bench.seen()] == [("Ada Lovelace", ZOE)] * 2
    assert kept == 2
    assert erased.status == 0, erased.err
    assert bench.client.keys("fd:nexudus:answer*") == []
    assert "Ada Lovelace" in told, "the answer is on the shelf"
    assert TOKEN not in told


# -- the switchboard --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def switchboard(bench: Bench, **settings: str) -> Iterator[NexudusTransport]:
    """A switchboard with the bench's settings and these of Nexudus."""
    more = {f"FRONTDESK_NEXUDUS_{name}": value for name, value in settings.items()}
    with contextlib.closing(NexudusTransport(from_environ(bench.settings | more))) as state:
        yield state


def in_seconds(seconds: float) -> AttemptContext:
    return AttemptContext(time.monotonic() + seconds)


def test_an_exhausted_budget_is_waited_for_uncharged(bench: Bench, simulated: SimulatedNexudus) -> None:
    """As long as there is time, in the handler; else the delivery waits."""
    before = simulated.state()["calls"]

    with switchboard(bench, CALLS_PER_MINUTE="1", TOKEN="t") as state:
        with pytest.raises(NexudusError, match="401"):
            state.read(in_seconds(600), f"spaces/coworkers/{ZOE}", {}, since_ms=0)
        with pytest.raises(Retry, match="asks us to wait") as waits:
            state.read(in_seconds(2), "spaces/coworkers/8", {}, since_ms=0)

    assert simulated.state()["calls"] - before == 1
    assert not waits.value.charged
    assert 30 < (waits.value.after or 0) <= 62


def test_only_a_few_threads_of_a_process_wait_for_long(bench: Bench, simulated: SimulatedNexudus) -> None:
    """The others give their deliveries back, because those of other routes want threads, too."""
    sent_away: list[bool] = []
    answered: list[int] = []

    def ask(number: int) -> None:
        try:
            answered.append(state.read(in_seconds(100), f"spaces/coworkers/{number}", {}, since_ms=0)["Id"])
        except Retry as waits:
            sent_away.append(waits.charged)

    with switchboard(bench, CALLS_PER_MINUTE="10000") as state:
        ask(100)
        simulated.turn(throttle_rate=1.0, retry_after_s=1)
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 13)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(sent_away) == 8, "eight of twelve to be sent away")
        simulated.turn(throttle_rate=0.0)
        for thread in threads:
            thread.join()

    assert sent_away == [False] * 8
    assert len(answered) == 1 + 4


def test_what_does_not_exist_is_known_for_a_moment(bench: Bench, simulated: SimulatedNexudus) -> None:
    """A burst of deliveries for a deleted record does not use up the budget."""
    said = set()

    with switchboard(bench) as state:
        nexudus = Nexudus(state, in_seconds(30), writes=True)
        nexudus.delete(Booking, 8)
        before = simulated.state()["calls"]
        for _ in range(5):
            with pytest.raises(NexudusError, match="Nexudus answered 500") as error:
                nexudus.get(Booking, 8)
            said.add(str(error.value))

    assert simulated.state()["calls"] - before == 2, "a fault is tried twice, a fault on the shelf never"
    assert len(said) == 1


@pytest.mark.parametrize("is_404", [False, True])
def test_what_is_gone_says_so_and_need_not_be_deleted(bench: Bench, simulated: SimulatedNexudus, is_404: bool) -> None:
    """Also from the shelf; a delete whose answer was lost meets it when it is sent again."""
    with switchboard(bench) as state:
        nexudus = Nexudus(state, in_seconds(60), writes=True)
        nexudus.get(Booking, 9)
        simulated.turn(unknown_is_404=is_404, next=["lost_answer"])
        nexudus.delete(Booking, 9)
        nexudus.delete(Booking, 9)
        for _ in range(2):
            with pytest.raises(NexudusError) as error:
                nexudus.get(Booking, 9)
            assert error.value.gone
        simulated.turn(html_rate=1)
        with pytest.raises(NexudusError, match="500 to GET /api/spaces/bookings:"):
            nexudus.delete(Booking, 10)


def test_refused_credentials_are_not_tried_again_and_again(bench: Bench, simulated: SimulatedNexudus) -> None:
    """Nexudus would lock the account."""
    before = simulated.state()["calls"]

    with switchboard(bench, PASSWORD="wrong") as state:
        for number in range(1, 6):
            with pytest.raises(NexudusError, match="refused the credentials"):
                state.read(in_seconds(600), f"spaces/coworkers/{number}", {}, since_ms=0)

    assert simulated.state()["calls"] - before == 1


def test_an_answer_that_hangs_ends_within_the_attempt(bench: Bench, simulated: SimulatedNexudus) -> None:
    """It would cost the process otherwise: a thread that waits for a socket cannot be interrupted."""
    with switchboard(bench) as state:
        state.read(in_seconds(600), f"spaces/coworkers/{ZOE}", {}, since_ms=0)
        simulated.turn(slow_ms=120_000)  # far longer than the attempt may take
        with pytest.raises((Retry, NexudusError)):
            state.read(in_seconds(2), "spaces/coworkers/8", {}, since_ms=0)


# -- the shelf --------------------------------------------------------------------------------------------------------


def test_of_many_who_ask_one_fetches_and_what_is_stale_is_not_kept(bench: Bench) -> None:
    """Neither what was asked for before it was forgotten, nor before everything was cleared."""
    shelf = ResponseCache(bench.client)

    first = shelf.take("a", "ann", fetch_ms=60_000)
    assert (first.state, shelf.take("a", "bob", fetch_ms=60_000).state) == ("fetch", "wait")
    shelf.put("a", "ann", first, b"one", 60_000)
    kept = shelf.take("a", "bob", fetch_ms=60_000)
    assert (kept.state, kept.answer) == ("kept", b"one")
    newer = shelf.take("a", "bob", fetch_ms=60_000, since_ms=first.asked_ms + 1)
    assert newer.state == "fetch"
    shelf.clear()
    shelf.put("a", "bob", newer, b"old", 60_000)
    again = shelf.take("a", "cid", fetch_ms=60_000)
    assert again.state == "fetch"
    shelf.forget("a")
    shelf.put("a", "cid", again, b"old", 60_000)
    assert shelf.take("a", "dan", fetch_ms=60_000).state == "fetch"
    assert bench.client.keys("fd:nexudus:answer:*") == []


def test_a_fetcher_that_died_is_not_waited_for_for_ever(bench: Bench) -> None:
    """Its time is over, and somebody else fetches; what comes late is not kept."""
    shelf = ResponseCache(bench.client)
    dead = shelf.take("a", "ann", fetch_ms=50)

    other = wait_until(lambda: shelf.take("a", "bob", fetch_ms=60_000).state == "fetch", "bob's turn")
    shelf.put("a", "ann", dead, b"late", 60_000)

    assert other
    assert bench.client.keys("fd:nexudus:answer:*") == []


def test_a_booking_leads_to_its_coworker(simulated: SimulatedNexudus, bench: Bench) -> None:
    """In the simulator the numbers in records are those of records, so that handlers can be tried on it."""
    with switchboard(bench) as state:
        nexudus = Nexudus(state, in_seconds(60), writes=False)
        booking = nexudus.get(Booking, 1_400_000_003)
        coworker = nexudus.get(Coworker, booking.CoworkerId or 0)
        (found,) = nexudus.search(Coworker, Coworker_Email=str(coworker.Email))
        with pytest.raises(NexudusError, match="Nexudus answered 500"):
            nexudus.get("spaces/nonsense", 1)

    assert coworker.FullName == booking.CoworkerFullName
    assert found["Id"] == coworker.Id
