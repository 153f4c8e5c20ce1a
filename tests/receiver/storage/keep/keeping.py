"""A process that keeps numbered events until SIGTERM, and prints `id status milliseconds` for each that was answered.

Run as `python -m tests.receiver.storage.keep.keeping URL FOLDER EVENTS_PER_SECOND`.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from receiver.core.errors import RequestRefused
from receiver.process import logs
from receiver.storage.keep.keep_or_spool import KeepOrSpool
from receiver.storage.keep.store import Store
from receiver.storage.redis import connection
from tests.support.events import entry


async def keep_on(url: str, folder: Path, rate: float) -> None:
    """Keep an event every so often, whether the one before has been answered or not."""
    keeper = KeepOrSpool(
        Store(connection.connect_async(url)), folder, max_bytes=1 << 30, alias_ms=3_600_000, patience_s=0.15
    )
    await keeper.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def one(number: int) -> None:  # the process id makes it different from those of other processes
        kept = entry(f"{os.getpid()}/{number}".encode())
        started = time.perf_counter()
        try:
            status = (await keeper.keep(kept)).status
        except RequestRefused:
            status = "refused"  # type: ignore[assignment]
        milliseconds = round((time.perf_counter() - started) * 1_000, 1)
        sys.stdout.write(f"{kept.envelope.id} {status} {milliseconds}\n")  # at once: log lines come in between
        sys.stdout.flush()

    async with asyncio.TaskGroup() as group:
        number = 0
        while not stop.is_set():
            group.create_task(one(number))
            number += 1
            await asyncio.sleep(1 / rate)
        await keeper.close()


if __name__ == "__main__":
    logs.configure("info", "json")
    asyncio.run(keep_on(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
