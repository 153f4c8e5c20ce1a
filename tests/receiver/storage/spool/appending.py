"""A process that appends numbered events to a spool until it is killed, and prints each id once it was acknowledged.

Run as `python -m tests.receiver.storage.spool.appending FOLDER`.
"""

import asyncio
import sys
from pathlib import Path

from receiver.storage.spool.spool import Spool
from tests.support.events import entry

_LANES = 8


async def append_for_ever(folder: Path) -> None:
    """Append from several lanes at once, so that there is always a transaction that the kill can hit."""
    spool = Spool(folder, max_bytes=1 << 30)
    assert await spool.open()

    async def lane(number: int) -> None:
        count = 0
        while True:
            one = entry(f'{{"Id":{number},"Count":{count}}}'.encode() + b" " * (count % 7) * 500)
            await spool.append(one)
            sys.stdout.write(f"{one.envelope.id}\n")
            sys.stdout.flush()
            count += 1

    await asyncio.gather(*(lane(number) for number in range(_LANES)))


if __name__ == "__main__":
    asyncio.run(append_for_ever(Path(sys.argv[1])))
