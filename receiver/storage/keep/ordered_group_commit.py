"""Two committers: events of ordered routes go to the store in the order of their arrival, the others as they can."""

from collections.abc import Callable

from receiver.storage.keep.group_commit import GroupCommit
from receiver.storage.keep.store import Store
from receiver.storage.keep.tasks import outcome_of
from receiver.storage.model.entries import Entry, OnResult, Receipt, is_ordered


class OrderedGroupCommit:
    """What a GroupCommit does, with a line of their own for events of ordered routes. For one event loop."""

    def __init__(
        self, store: Store, *, patience_s: float, timeout_s: float, committed: Callable[[int], None] | None
    ) -> None:
        """See GroupCommit."""
        self._any, self._ordered = (
            GroupCommit(store, patience_s=patience_s, timeout_s=timeout_s, committed=committed, in_order=in_order)
            for in_order in (False, True)
        )

    @property
    def is_busy(self) -> bool:
        """Whether events are waiting or on their way right now."""
        return self._any.is_busy or self._ordered.is_busy

    def oldest_ordered(self) -> str | None:
        """Return the id of the first event of an ordered route that is not answered for; None: there is none."""
        return self._ordered.oldest

    def submit(self, entry: Entry, told: OnResult) -> None:
        """Keep an event; *told* hears of it when it is in Redis. See GroupCommit."""
        (self._ordered if is_ordered(entry) else self._any).submit(entry, told)

    async def keep(self, entry: Entry) -> Receipt:
        """Return when the event is in Redis; raises what `submit` tells."""
        return await outcome_of(self.submit, entry)

    def give_up_ordered(self) -> None:
        """Answer for all events of ordered routes, as not certainly kept, in their order."""
        self._ordered.give_up("the store is away")

    async def close(self) -> None:
        """Wait for what is on its way. See GroupCommit."""
        await self._any.close()
        await self._ordered.close()
