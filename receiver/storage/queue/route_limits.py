"""What the scripts of the gates are told: a route's rules when its deliveries are claimed, what an attempt says of its
target when it is recorded. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Rule:
    """What today's table says of a route's deliveries as they are claimed; 0 for what it does not say.

    At most *limit* begin in any *period_ms*, at most *concurrency* run at once; *give_up_ms* is the age at which
    waiting for the target ends.
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
class Target:
    """What an attempt says of the target of its route: that it is down, or that it asked to wait for the delay.

    *give_up_ms*: the age at which waiting for it ends.
    """

    says: Literal["down", "busy"]
    give_up_ms: int

    def sign(self) -> str:
        """Return it as the script reads it."""
        return f"{'d' if self.says == 'down' else 'b'}{self.give_up_ms}"


class Runnable(NamedTuple):
    """What a worker has found out about routes, by name: those that it cannot run, and those that it was asked for and
    can run. It says nothing of any other.
    """

    cannot: tuple[str, ...] = ()
    can: tuple[str, ...] = ()

    def parts(self) -> tuple[str | int, ...]:
        """Return it as the script reads it."""
        return (len(self.cannot), *self.cannot, len(self.can), *self.can)


NOTHING_KNOWN = Runnable()


def written(rules: Sequence[Rule]) -> list[str | int]:
    """Return rules as arguments of a script."""
    return [len(rules), *(part for rule in rules for part in rule.parts())]
