"""A step that was done is not done again: after a crash, by another worker, in a replay; and what is not promised."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from receiver.core.errors import StorageUnavailable
from receiver.operations.erasure import Erasure
from receiver.storage.accounting.retention import Retention
from receiver.storage.queue.checkpoints import MOST, KnownStep, Steps
from receiver.storage.redis import connection, keys
from tests.conftest import StartValkey
from tests.support.bench import Bench
from tests.support.events import entry, keep_all
from tests.support.handled import an_event
from tests.support.processes import run, wait_until
from tests.workers.parent.test_mixed_fleet import stock
from workers import Event, Retry, once
from workers.once import LARGEST_RESULT, remember_in

BILLING = '''
"""Charges invoices, as the README shows it; dies at the worst moments of the first attempts."""
import os, signal
from pathlib import Path

from deeds import note
from workers import Event, once
from workers.records import CoworkerInvoice

FOLDER = Path(__file__).parent


def bank(amount, idempotency_key):
    """The other side: takes the money once for each key, and answers with the same number each time."""
    with (FOLDER / "bank").open("a") as calls:
        calls.write(f"{idempotency_key} {amount}\\n")
    return f"payment-{idempotency_key[-6:]}"


def charge(event: Event[CoworkerInvoice]) -> None:
    with once(event, "charge") as step:
        if not step.done:
            step.result = bank(event.data.TotalAmount, idempotency_key=step.key)
            if event.attempt == 1:
                os.kill(os.getpid(), signal.SIGKILL)
    write(event, step)
    if event.attempt == 2:
        os.kill(os.getpid(), signal.SIGKILL)


async def charge_async(event: Event[CoworkerInvoice]) -> None:
    async with once(event, "charge") as step:
        if not step.done:
            step.result = bank(event.data.TotalAmount, idempotency_key=step.key)
    write(event, step)
    if event.attempt == 1:
        raise ValueError("the books are closed")


def write(event, step):
    with (FOLDER / "books").open("a") as lines:
        lines.write(f"{event.key} {event.attempt} {step.done} {step.in_doubt} {step.result}\\n")
'''


@pytest.fixture
def store(redis_url: str) -> Iterator[redis.Redis]:
    """A store that this process remembers steps in."""
    with connection.connect(redis_url) as client:
        remember_in(Steps(client))
        yield client
        remember_in(None)


def kept(client: redis.Redis, record: bytes = b'{"Id":1}') -> Event:
    """An event that is kept, as a handler sees it."""
    one = entry(record)
    keep_all(client, one)
    return an_event(id=one.envelope.id, key=f"{one.envelope.id}-announce")


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


# -- a process that dies ----------------------------------------------------------------------------------------------


def test_an_invoice_is_charged_once_whenever_the_process_dies(bench: Bench) -> None:
    """Killed between deed and memory, the next attempt is in doubt and hands on the same key; later, it is skipped."""
    (bench.folder / "billing.py").write_text(BILLING)
    bench.routes({"handler": "billing:charge", "retry": ["10ms", "10ms"]})
    event_id = bench.keep_record({"Id": 7, "TotalAmount": 12.5}, "charge")

    bench.work()
    stored = bench.ended(event_id)
    replayed = run("replay", event_id, "--yes", settings=bench.settings, cwd=bench.folder)
    wait_until(lambda: len(lines(bench.folder / "books")) >= 3, "the replay")

    key = f"{event_id}-charge"
    assert stored.status == "succeeded", stored
    assert lines(bench.folder / "bank") == [f"{key}-charge 12.5"] * 2, "the same key, so the bank takes it once"
    books = [line.split()[2:] for line in lines(bench.folder / "books")]
    assert books[0] == ["True", "True", "payment-charge"]
    assert books[1:] == [["True", "False", "payment-charge"]] * 2
    assert replayed.status == 0, replayed.err


def test_it_holds_in_async_handlers_stock_workers_and_trials(bench: Bench) -> None:
    """What a stock worker did is found by ours, and by `try` on the kept event."""
    (bench.folder / "billing.py").write_text(BILLING)
    bench.routes({"handler": "billing:charge_async", "retry": ["10ms"]})
    event_id = bench.keep_record({"Id": 7, "TotalAmount": 12.5}, "charge-async")
    worker = stock(bench, 0)
    try:
        wait_until(lambda: bench.archive.get(event_id).deliveries[0].attempts, "the stock worker's attempt")
    finally:
        worker.end()

    bench.work("--burst")
    stored = bench.ended(event_id)
    tried = run("try", "charge-async", event_id, "--json", settings=bench.settings, cwd=bench.folder)

    assert stored.status == "succeeded"
    assert len(lines(bench.folder / "bank")) == 1
    assert [line.split()[2] for line in lines(bench.folder / "books")] == ["True", "True", "True"]
    assert json.loads(tried.out)["error"] == "ValueError: the books are closed", "a trial is a first attempt"


# -- what is remembered, and for how long -----------------------------------------------------------------------------


def test_a_step_is_remembered_with_its_result(store: redis.Redis) -> None:
    """By the store, not by the process; each step and each route for itself."""
    event = kept(store)

    with once(event, "charge") as first:
        first.result = {"payment": 5, "who": "Zoë"}
    with once(event, "charge") as again:
        pass
    with once(event, "mail") as other:
        pass

    assert (first.key, again.key) == (f"{event.key}-charge", f"{event.key}-charge")
    assert (again.done, again.in_doubt, again.result) == (True, False, {"payment": 5, "who": "Zoë"})
    assert (other.in_doubt, other.result) == (False, None)
    assert store.hkeys(keys.once(event.id)) == [b"announce/charge", b"announce/mail"]


def test_a_block_that_raised_is_in_doubt(store: redis.Redis) -> None:
    """Not done: nobody knows how far it came."""
    event = kept(store)

    with pytest.raises(KeyError), once(event, "charge") as first:
        raise KeyError("x")

    with once(event, "charge") as again:
        assert (again.done, again.in_doubt) == (False, True)
    assert (first.done, first.in_doubt) == (False, False)


def test_async_handlers_wait_without_holding_up_the_loop(store: redis.Redis) -> None:
    """And a plain `with` is refused there."""
    event = kept(store)

    async def both() -> tuple[Any, Any]:
        async with once(event, "charge") as first:
            first.result = 1
        async with once(event, "charge") as again:
            pass
        with pytest.raises(RuntimeError, match="write `async with once"), once(event, "charge"):
            pass
        return first, again

    _, again = asyncio.run(both())

    assert (again.done, again.result) == (True, 1)


def test_memory_goes_with_the_event(store: redis.Redis) -> None:
    """When it expires; and at once when it is erased, after which nothing is remembered of it any more."""
    old, erased = kept(store), kept(store, b'{"Id":2}')
    for event in (old, erased):
        with once(event, "charge") as step:
            step.result = "card of ann@example.com"

    with once(erased, "late") as late:
        Erasure(store).erase([erased.id])
    store.hset(keys.state(old.id), mapping={"1s": "s", "z": 1, "p": 0})
    Retention(store, 0, 10**12).turn(100)

    assert late.done
    assert store.keys("fd:once:*") == []
    assert Steps(store).begin(erased.id, "announce/charge") is None


def test_a_result_that_cannot_be_remembered_is_said_and_the_step_counts_as_done(store: redis.Redis) -> None:
    """The deed was done: doing it again would be worse than losing its result."""
    event = kept(store)

    with pytest.raises(ValueError, match=f"it is longer than {LARGEST_RESULT} bytes"), once(event, "long") as step:
        step.result = "x" * LARGEST_RESULT
    with pytest.raises(ValueError, match="JSON cannot say it"), once(event, "odd") as step:
        step.result = threading.Lock()

    for name in ("long", "odd"):
        with once(event, name) as again:
            assert (again.done, again.result) == (True, None)


@pytest.mark.parametrize("name", ["", "x" * 61, "a b", "a/b", "é"])
def test_a_step_has_a_short_plain_name(name: str) -> None:
    """It stands in a key of the store and goes to other systems."""
    with pytest.raises(ValueError, match="is not a valid name for a step"):
        once(an_event(), name)


def test_an_event_has_a_bounded_number_of_steps(store: redis.Redis) -> None:
    """A handler that names them by something endless is told."""
    event = kept(store)
    for number in range(MOST):
        assert Steps(store).begin(event.id, f"announce/{number}") == KnownStep()

    with pytest.raises(ValueError, match=f"has {MOST} steps already"), once(event, "more"):
        pass
    assert Steps(store).begin(event.id, "announce/1") == KnownStep(begun=True)


# -- without a store --------------------------------------------------------------------------------------------------


def test_in_a_test_of_a_handler_the_process_remembers() -> None:
    """Nothing has to be set up to call a handler; an event that is not kept is no different in a worker."""
    event = an_event(key="k")

    with once(event, "charge") as first:
        assert not first.done
    with once(event, "charge") as again:
        assert again.done
    assert again.key == "k-charge"


def test_of_many_threads_one_begins_first(store: redis.Redis) -> None:
    """The others know that it was begun."""
    event = kept(store)
    doubts: list[bool] = []

    def enter() -> None:
        step = once(event, "charge").__enter__()  # and never left: the process died
        doubts.append(step.in_doubt)

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Counter(doubts) == {False: 1, True: 7}


def test_while_the_store_is_away_the_delivery_waits_uncharged_and_a_deed_is_not_forgotten(
    start_valkey: StartValkey,
) -> None:
    """Not known whether it was done: it is not done. Done: said again until the store has it."""
    server = start_valkey()
    with server.client() as client, connection.connect(server.url, timeout_s=1.0) as ours:
        event = kept(client)
        remember_in(Steps(ours))
        try:
            with once(event, "charge") as step:
                step.result = 1
                server.kill()
                threading.Timer(0.5, server.start_again).start()
            with once(event, "charge") as again:
                assert (again.done, again.result) == (True, 1)
            server.kill()
            with pytest.raises(Retry, match="does not say whether") as waits, once(event, "charge"):
                pass
        finally:
            remember_in(None)

    assert (waits.value.charged, waits.value.after) == (False, 5.0)
    assert not isinstance(waits.value, StorageUnavailable)
