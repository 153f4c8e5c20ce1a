"""Connections to the store that end while nobody uses them, on the event loop that the receiver runs on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop

from receiver.core.errors import StorageUnavailable
from receiver.storage.keep.keep_or_spool import KeepOrSpool
from receiver.storage.keep.store import Store
from receiver.storage.redis import connection
from tests.faults.link import Link
from tests.support.events import entry
from tests.support.processes import DEADLINE_S, Valkey


@pytest.fixture
def link(valkey: Valkey, redis_url: str, tmp_path: Path) -> Iterator[Link]:
    """A way to the store that can be cut."""
    made = Link(tmp_path, "link", redis_url.removeprefix("unix://").partition("?")[0])
    yield made
    made.end()


def _on_uvloop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def _store(link: Link, kind: type[Store] = Store) -> Store:
    return kind(connection.connect_async(f"redis://127.0.0.1:{link.port}/0"))


@contextlib.asynccontextmanager
async def _keeping(store: Store, folder: Path) -> AsyncIterator[KeepOrSpool]:
    """A keeper that is closed whatever happens: the thread of its spool would outlive the test."""
    keeper = KeepOrSpool(
        store, folder, max_bytes=1 << 30, alias_ms=3_600_000, patience_s=5.0
    )  # a busy machine is no reset
    await keeper.start()
    try:
        yield keeper
    finally:
        await keeper.close()


async def _until(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.02)
    assert condition(), what


def test_a_call_on_a_connection_that_was_reset_is_storage_unavailable(link: Link) -> None:
    """Nothing else: uvloop raises a RuntimeError, which redis-py knows nothing of. The next call connects anew."""

    async def main() -> None:
        store = _store(link)
        async with contextlib.AsyncExitStack() as end:
            end.push_async_callback(store.close)  # uvloop does not end with an open connection
            for _ in range(5):
                await store.memory(timeout_s=5.0)
                await store.report({}, [""], timeout_s=5.0)
                await asyncio.to_thread(link.tell, "reset")
                with pytest.raises(StorageUnavailable):
                    await store.memory(timeout_s=5.0)
                with contextlib.suppress(StorageUnavailable):  # a raw connection knows of it, sooner or later
                    await store.report({}, [""], timeout_s=5.0)

    _on_uvloop(main)


def test_a_keeper_drains_after_any_number_of_resets(link: Link, tmp_path: Path) -> None:
    """Whatever was spooled meanwhile goes to the store, and new events go there at once."""

    async def main() -> None:
        async with _keeping(_store(link), tmp_path / "spool") as keeper:
            for number in range(20):
                await keeper.keep(entry(b"%d" % number))
                await asyncio.to_thread(link.tell, "reset")
                if number % 5 == 0:
                    await _until(lambda: keeper.spooled == 0, "the spool to be drained")
            await keeper.keep(entry(b"finds the last reset, or comes before it is told of"))
            await _until(lambda: keeper.spooled == 0, "the spool to be drained")
            assert (await keeper.keep(entry(b"last"))).status == "accepted"

    _on_uvloop(main)


class _Faulty(Store):
    """A store with a fault of our own in it, once."""

    faults = 3

    async def report(
        self, values: Mapping[str, bytes], gone: Collection[str] = (), *, timeout_s: float, confirm_ms: int = 100
    ) -> None:
        if self.faults:
            self.faults -= 1
            raise KeyError("a mistake")
        await super().report(values, gone, timeout_s=timeout_s, confirm_ms=confirm_ms)


def test_a_fault_of_ours_in_the_background_ends_nothing(link: Link, tmp_path: Path) -> None:
    """The task begins again, and what was spooled is drained."""

    async def main() -> None:
        async with _keeping(_store(link, _Faulty), tmp_path / "spool") as keeper:
            await asyncio.to_thread(link.tell, "refuse")
            assert (await keeper.keep(entry(b"one"))).status == "spooled"
            await asyncio.to_thread(link.tell, "pass")
            await _until(lambda: keeper.spooled == 0, "the spool to be drained")

    _on_uvloop(main)
