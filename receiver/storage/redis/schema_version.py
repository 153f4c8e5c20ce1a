"""The version of the store's layout. Two adjacent versions of Frontdesk can share a store; others must not touch it.

Code for version n reads and writes data of versions n - 1 and n + 1, so that an upgrade, and a downgrade, can replace
one process after another. The store records the newest layout that ever wrote to it. The first release recorded
nothing; a store that has events but no version has layout 1.
"""

from typing import Any

import redis
import redis.asyncio

from receiver.core.errors import LayoutUnknown
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import guarded

_SETTLE = """
local mine, found = tonumber(ARGV[1]), redis.pcall('GET', KEYS[1])
if type(found) == 'table' then return 'unreadable' end
local version = tonumber(found or (redis.call('EXISTS', KEYS[2]) == 1 and 1 or mine))
if not version or math.abs(version - mine) > 1 then return found or '1' end
if not found or version < mine then redis.call('SET', KEYS[1], mine) end
return false
"""


def settle(client: redis.Redis, *, version: int = keys.LAYOUT_VERSION) -> None:
    """Check that code for layout *version* may use this store, and record that it does.

    Raises LayoutUnknown if it may not, StorageUnavailable if the store cannot be asked.
    """
    with guarded():
        found: Any = client.eval(_SETTLE, 2, keys.LAYOUT, keys.HOURS, version)
    _judge(found, version)


async def settle_async(client: redis.asyncio.Redis, *, version: int = keys.LAYOUT_VERSION) -> None:
    """Do the same in an event loop. Errors of the server's client are passed on to the caller."""
    found: Any = await client.eval(_SETTLE, 2, keys.LAYOUT, keys.HOURS, str(version))
    _judge(found, version)


def _judge(found: bytes | None, version: int) -> None:
    if found is None:
        return
    theirs = found.decode("ascii", "replace")
    newer = not theirs.isdecimal() or int(theirs) > version
    remedy = "run the newer Frontdesk" if newer else "upgrade one version after the other"
    raise LayoutUnknown(
        f"{keys.LAYOUT}: the store has layout {theirs[:20]!r}, and this Frontdesk knows {max(version - 1, 1)} to "
        f"{version + 1}; {remedy}"
    )
