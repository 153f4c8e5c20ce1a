"""The version of the store's layout: two neighbouring versions of Frontdesk run on one store, others leave it alone.

Code of version n reads and writes what n - 1 and n + 1 wrote: that is what makes an upgrade, and the way back, a matter
of replacing one process after another. The store remembers the newest layout that ever wrote to it. The first release
remembered nothing; a store that has events and no version is of layout 1.
"""

from typing import Any

import redis
import redis.asyncio

from receiver.core.errors import LayoutUnknown
from receiver.storage.redis import keys
from receiver.storage.redis.client import guarded

_SETTLE = """
local mine, found = tonumber(ARGV[1]), redis.call('GET', KEYS[1])
local version = tonumber(found or (redis.call('EXISTS', KEYS[2]) == 1 and 1 or mine))
if not version or math.abs(version - mine) > 1 then return found or '1' end
if not found or version < mine then redis.call('SET', KEYS[1], mine) end
return false
"""


def settle(client: redis.Redis, *, version: int = keys.LAYOUT_VERSION) -> None:
    """See that code of layout *version* may work on this store, and make it known that it does.

    Raises LayoutUnknown when it may not, StorageUnavailable when the store does not say.
    """
    with guarded():
        found: Any = client.eval(_SETTLE, 2, keys.LAYOUT, keys.HOURS, version)
    _judge(found, version)


async def settle_async(client: redis.asyncio.Redis, *, version: int = keys.LAYOUT_VERSION) -> None:
    """The same for an event loop; what the server's client raises is left to the caller."""
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
