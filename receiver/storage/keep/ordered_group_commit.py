"""The lines to the store: events of ordered routes go there in the order of their arrival, the others as they can."""

from collections.abc import Callable

from receiver.storage.keep.group_commit import GroupCommit
from receiver.storage.keep.store import Store
from receiver.storage.keep.unanswered import Settle, answer_all


class OrderedGroupCommit:
    """What a GroupCommit does, with a line of their own for events of ordered routes. For one event loop."""

    def __init__(
        self,
        store: Store,
        *,
        patience_s: float,
        timeout_s: float,
        committed: Callable[[int], None] | None = None,
        settle: Settle = answer_all,
    ) -> None:
        """See GroupCommit."""

        def line(settle: Settle, *, in_order: bool) -> GroupCommit:
            return GroupCommit(
                store,
                patience_s=patience_s,
                timeout_s=timeout_s,
                committed=committed,
                settle=settle,
                in_order=in_order,
            )

        self.unordered = line(settle, in_order=False)
        self.ordered = line(settle, in_order=True)
        self.last_resort = line(answer_all, in_order=True)
        """For what nobody else can keep: whoever submits hears of it, and not *settle*."""
        self._lines = (self.unordered, self.ordered, self.last_resort)

    @property
    def is_busy(self) -> bool:
        """Whether events are waiting or on their way right now."""
        return any(line.is_busy for line in self._lines)

    async def close(self) -> None:
        """Wait for what is on its way. See GroupCommit."""
        for line in self._lines:
            await line.close()
