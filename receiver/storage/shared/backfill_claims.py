"""Says which hooks are being back-filled, so that one event is kept of each change (`scripts/shared/changes.lua`).

From then on hooks' events claim their changes in the step that keeps them; what was kept before, back-fill has to read.
"""

from collections.abc import Collection
from typing import Final

import redis

from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient
from receiver.storage.shared.gap_ledger import Pair

LEASE_MS: Final = 2 * 3_600_000
"""How long hooks' events claim their changes if nobody says that back-fill goes on. One step of it takes less."""

_RENEW_MS: Final = LEASE_MS // 12
_REMEMBERED_MS: Final = 2 * 31 * 86_400_000
"""How long claims are kept at most."""


class BackfillClaims:
    """The hooks *pairs*, of one back-fill. Every method raises StorageUnavailable."""

    def __init__(self, client: redis.Redis, pairs: Collection[Pair]) -> None:
        self._calls = StoreClient(client)
        self._names = [f"{business_id}/{action}" for business_id, action in pairs]
        self._said_ms = 0

    def begin(self) -> None:
        """Let hooks' events claim their changes from now on. Call it before the kept events are read."""
        now_ms = self._calls.now_ms()
        before = decoding.numbers(self._calls.ask("hgetall", keys.MADE))
        if over := [name for name, until_ms in before.items() if until_ms < now_ms - _REMEMBERED_MS]:
            self._calls.ask("hdel", keys.MADE, *over)
        self._say(now_ms + LEASE_MS)
        self._said_ms = now_ms

    def go_on(self) -> None:
        """Say that it goes on, if that was some time ago."""
        if self._calls.now_ms() - self._said_ms > _RENEW_MS:
            self.begin()

    def end(self) -> None:
        """Hooks' events need not claim any more; they are still compared with what was made."""
        self._say(self._calls.now_ms())

    def _say(self, until_ms: int) -> None:
        if self._names:
            said = dict.fromkeys(self._names, until_ms)
            commands = [("hset", keys.MADE, None, None, said), ("pexpire", keys.MADE, _REMEMBERED_MS)]
            self._calls.ask_each(commands, all_or_none=True)
