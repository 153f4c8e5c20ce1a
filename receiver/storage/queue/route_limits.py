"""The arguments for the scripts that enforce limits (shared/gates.lua): a route's rules when its deliveries are
claimed, and the state of its target when an attempt is recorded. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class RouteRule:
    """The rules of a route in the current table, for claiming its deliveries; 0: no such rule.

    At most *limit* attempts start in any *period_ms*, and at most *concurrency* run at once. *give_up_ms* is the age at
    which a delivery stops waiting for its target.
    """

    route: str
    limit: int = 0
    period_ms: int = 0
    concurrency: int = 0
    give_up_ms: int = 0

    def parts(self) -> tuple[str | int, ...]:
        """Return it as the script reads it."""
        return (self.route, self.limit, self.period_ms, self.concurrency, self.give_up_ms)


@dataclass(frozen=True, slots=True)
class TargetReport:
    """What an attempt found out about its route's target: it is down, or it asks to wait for the delay.

    *give_up_ms*: the age at which a delivery stops waiting for it.
    """

    says: Literal["down", "busy"]
    give_up_ms: int

    def sign(self) -> str:
        """Return it as the script reads it."""
        return f"{'d' if self.says == 'down' else 'b'}{self.give_up_ms}"


class Runnable(NamedTuple):
    """What a worker reports about routes, by name: those that it cannot run, and those that it was asked about and can
    run.
    """

    cannot: tuple[str, ...] = ()
    can: tuple[str, ...] = ()

    def parts(self) -> tuple[str | int, ...]:
        """Return it as the script reads it."""
        return (len(self.cannot), *self.cannot, len(self.can), *self.can)


NOTHING_KNOWN = Runnable()


def written(rules: Sequence[RouteRule]) -> list[str | int]:
    """Return rules as arguments of a script."""
    return [len(rules), *(part for rule in rules for part in rule.parts())]
