"""Reports to the store what the spools of this process hold."""

import asyncio

from receiver.storage.keep.store import Store
from receiver.storage.keep.store_health import StoreHealth
from receiver.storage.redis.clock import StoreClock
from receiver.storage.spool import reports
from receiver.storage.spool.spool import Spool

_CALL_WITHIN_S = 2.0


class SpoolReporter:
    """Reports on the process's own spool and the one it drains for an ended process. For one event loop."""

    def __init__(self, own: Spool, store: Store, clock: StoreClock, health: StoreHealth) -> None:
        self._own = own
        self._store = store
        self._clock = clock
        self._health = health
        self._report_at = 0.0
        self.adopted: Spool | None = None
        """The spool of an ended process that is being drained."""
        self.gone: set[str] = set()
        """Names of spools that no longer exist, whose reports have to be removed."""

    @property
    def spools(self) -> tuple[Spool, ...]:
        """The spools on which this process reports."""
        return (self._own,) if self.adopted is None else (self._own, self.adopted)

    @property
    def depth(self) -> int:
        """The number of events in them."""
        return sum(spool.depth for spool in self.spools)

    @property
    def is_due(self) -> bool:
        """Whether a report is due now."""
        if asyncio.get_running_loop().time() < self._report_at:
            return False
        has_news = self._report_at == 0.0 or bool(self.gone)
        return has_news or any(spool.depth or spool.trouble for spool in self.spools)

    def soon(self) -> None:
        """Report soon, because a spool has become empty, unusable, or usable again."""
        self._report_at = 0.0
        self._health.has_news.set()

    async def report(self, *, timeout_s: float = _CALL_WITHIN_S) -> None:
        """Report to the store what the spools hold. Raises StorageUnavailable."""
        now_ms = int(self._clock() * 1_000)
        watched = {spool.name or reports.name_without_file(spool.folder): spool for spool in self.spools}
        full = {
            name: reports.value(spool.folder, spool.contents, now_ms=now_ms, trouble=spool.trouble)
            for name, spool in watched.items()
            if spool.depth or spool.trouble
        }
        empty = {name: b"" for name in watched if name not in full}
        nameless = {reports.name_without_file(spool.folder) for spool in watched.values()}
        told = (self.gone | nameless) - full.keys()
        await self._store.report(full | (empty or {"": b""}), {*empty, *told, ""}, timeout_s=timeout_s)
        self.gone -= told
        self._report_at = asyncio.get_running_loop().time() + reports.REPORT_EVERY_S
