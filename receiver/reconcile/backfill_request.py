"""What a person wants back-filled, gaps of the ledger or all that happened since a time, and who is told of it."""

from collections.abc import Callable
from dataclasses import dataclass

from receiver.core.errors import UsageError
from receiver.core.suggest import hint
from receiver.nexudus.actions import CODES
from receiver.routing.table import RoutingTable
from receiver.storage.shared.gap_ledger import Gap


@dataclass(frozen=True, kw_only=True)
class BackfillRequest:
    """*since*, *until*: times as people write them; without them, gaps of the ledger. *gap*: ids of those; empty: all
    that are due or wait for a person. *include*: `weak` for what can only be guessed. The rest narrows it."""

    since: str | None = None
    until: str | None = None
    gap: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    business: tuple[int, ...] = ()
    route: tuple[str, ...] = ()
    include: tuple[str, ...] = ()

    def check(self, table: RoutingTable, prefix: str = "--") -> None:
        """Raise UsageError for what is not there. *prefix*: how options are written."""
        for name in self.action:
            if name not in CODES:
                raise UsageError(f"{prefix}action: {name[:60]!r} is not a known action{hint(name, CODES)}")
        names = [route.name for route in table.routes]
        for name in self.route:
            if name not in names:
                raise UsageError(f"{prefix}route: {table.file} has no route {name[:60]!r}{hint(name, names)}")
        for name in self.include:
            if name != "weak":
                raise UsageError(f"{prefix}include: {name[:60]!r} is not known; write weak")
        if self.until is not None and self.since is None:
            raise UsageError(f"{prefix}until: needs {prefix}since; without both, the gaps of the ledger are filled")
        if self.gap and self.since is not None:
            raise UsageError(f"{prefix}gap: names gaps of the ledger, so it does not go with {prefix}since")

    def names(self, gap: Gap) -> bool:
        """Whether a gap is among what is wanted."""
        return (
            (not self.gap or gap.id in self.gap)
            and (not self.action or gap.action in self.action)
            and (not self.business or gap.business_id in self.business)
        )


@dataclass(frozen=True, slots=True)
class Watcher:
    """What is told while gaps are filled. *expect*, *read*: pages of answers that are to come, and have come. *check*
    may raise a FrontdeskError to end it."""

    waiting: Callable[[str], None] = lambda _who: None
    asked: Callable[[str], None] = lambda _kind: None
    expect: Callable[[int], None] = lambda _number: None
    read: Callable[[int], None] = lambda _number: None
    begin: Callable[[int], None] = lambda _number: None
    advance: Callable[[int], None] = lambda _number: None
    check: Callable[[], None] = lambda: None
