"""Group commit with order: events of ordered routes reach the store in the order of arrival, others at any time."""

from collections.abc import Callable

from receiver.storage.keep.group_commit import GroupCommit
from receiver.storage.keep.pending_events import Settle, answer_all
from receiver.storage.keep.store import Store


class OrderedGroupCommit:
    """A GroupCommit with a second, ordered one for events of ordered routes. For one event loop."""

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
        """For events that only the store can take now: the result goes to the submitter, not to *settle*."""
        self._lines = (self.unordered, self.ordered, self.last_resort)

    @property
    def is_busy(self) -> bool:
        """Whether events are waiting or being sent now."""
        return any(line.is_busy for line in self._lines)

    async def close(self) -> None:
        """Wait for running calls. See GroupCommit."""
        for line in self._lines:
            await line.close()
