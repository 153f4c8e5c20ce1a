"""The gap ledger in the store: every interval in which a hook was not known to be healthy, and what was done about it.

The registrar writes it at each check of the hooks, back-fill when it fills a gap. Times are Unix milliseconds.
"""

import contextlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Final

import orjson
import redis

from receiver.core import timestamps
from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

Pair = tuple[int, str]
"""A business and an action."""

KEPT_MS: Final = 31 * 86_400_000
"""How long a gap stays in the ledger after it has closed."""

MOST: Final = 50_000
"""The largest number of gaps; beyond it, the oldest gaps that are done are removed."""


class GapWhy(StrEnum):
    """The reason why a check of the hooks opened the gap."""

    DISABLED = "disabled"
    MISSING = "missing"
    ERRORS = "errors"
    RECEIVER_DOWN = "receiver_down"
    UNKNOWN = "unknown"


class GapState(StrEnum):
    """The state of a gap. *open*: the hook is not healthy yet. *healing*: back-fill is due. *confirm*: a person has to
    start back-fill. *healed*: everything that Nexudus shows became events. *cannot*: something cannot be found out."""

    OPEN = "open"
    HEALING = "healing"
    CONFIRM = "confirm"
    HEALED = "healed"
    CANNOT = "cannot"


DONE: Final = frozenset({GapState.HEALED, GapState.CANNOT})


@dataclass(frozen=True, slots=True)
class Gap:
    """One interval of one hook. *to_ms* None: it is open.

    Of the occurrences *found* in it, *made* became events, *known* were stored already, and *gone* no longer exist.
    *cannot*: a sentence about what cannot be found out. *tries*: how often a fault of Nexudus interrupted back-fill.
    """

    id: str
    business_id: int
    action: str
    from_ms: int
    to_ms: int | None
    why: GapWhy
    state: GapState
    found: int = 0
    made: int = 0
    known: int = 0
    gone: int = 0
    cannot: str = ""
    tries: int = 0
    done_ms: int = 0

    @property
    def pair(self) -> Pair:
        """The hook it is about."""
        return self.business_id, self.action

    def as_json(self, names: Mapping[int, str]) -> dict[str, Any]:
        """Return the gap for `--json`. *names*: those of the locations."""
        return {
            "id": self.id,
            "business_id": self.business_id,
            "business": names.get(self.business_id),
            "action": self.action,
            "from": timestamps.show(self.from_ms),
            "to": timestamps.show(self.to_ms),
            "why": self.why.value,
            "state": self.state.value,
            "found": self.found,
            "made": self.made,
            "known": self.known,
            "gone": self.gone,
            "cannot": self.cannot or None,
        }


def opened(pair: Pair, from_ms: int, why: GapWhy, looked_ms: int | None = None) -> Gap:
    """Return a new open gap. *looked_ms*: the last good look, after which a hook has one gap at most; None: *from_ms*.

    Gaps that begin at the same moment are not the same: one may be open while the one before is being filled.
    """
    name = f"{pair[0]}-{pair[1]}-{from_ms if looked_ms is None else looked_ms}"
    return Gap(name, *pair, from_ms, None, why, GapState.OPEN)


@dataclass(frozen=True, slots=True)
class PairHealth:
    """What is known about a hook: since when it is checked, since when it has been healthy without interruption, and
    its ErrorCount and LastTrigger at the last check."""

    first_ms: int
    since_ms: int
    errors: int = 0
    trigger_ms: int = 0


@dataclass(frozen=True, slots=True)
class Coverage:
    """The state after the last check: its time (0: there was none), and whether the receiver was ever reached."""

    looked_ms: int = 0
    is_reached: bool = False
    pairs: Mapping[Pair, PairHealth] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CoverageChange:
    """The changes of one check. *looked_ms* None: the check failed."""

    looked_ms: int | None
    is_reached: bool
    pairs: Mapping[Pair, PairHealth]
    dropped: Collection[Pair]
    gaps: Collection[Gap]


class GapLedger:
    """Reads and writes the ledger. Every method raises StorageUnavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client)

    def coverage(self) -> Coverage:
        """Return the state after the last check."""
        looked, found = self._calls.ask_each([("hgetall", keys.COVERAGE_LOOKED), ("hgetall", keys.COVERAGE)])
        about = decoding.numbers(looked)
        read = ((_pair(name), _health(value)) for name, value in found.items())
        pairs = {pair: health for pair, health in read if pair is not None and health is not None}
        return Coverage(about.get("at_ms", 0), bool(about.get("reached")), pairs)

    def gaps(self) -> tuple[Gap, ...]:
        """Return every gap, the oldest first."""
        found = (_gap(value) for value in self._calls.ask("hgetall", keys.GAPS).values())
        return tuple(sorted((gap for gap in found if gap), key=lambda gap: (gap.from_ms, gap.id)))

    def apply(self, change: CoverageChange) -> None:
        """Write the changes of a check, all of them or none."""
        commands: list[tuple[Any, ...]] = []
        if change.looked_ms is not None:
            commands.append(("hset", keys.COVERAGE_LOOKED, "at_ms", change.looked_ms))
        if change.is_reached:
            commands.append(("hset", keys.COVERAGE_LOOKED, "reached", 1))
        if change.dropped:
            commands.append(("hdel", keys.COVERAGE, *map(_name, change.dropped)))
        if change.pairs:
            pairs = {_name(pair): _written(one) for pair, one in change.pairs.items()}
            commands.append(("hset", keys.COVERAGE, None, None, pairs))
        if change.gaps:
            commands.append(("hset", keys.GAPS, None, None, {gap.id: _written(gap) for gap in change.gaps}))
        self._calls.ask_each(commands, all_or_none=True)

    def write(self, gaps: Iterable[Gap]) -> None:
        """Write gaps in their current state."""
        mapping = {gap.id: _written(gap) for gap in gaps}
        if mapping:
            self._calls.ask("hset", keys.GAPS, mapping=mapping)

    def tidy(self, now_ms: int) -> None:
        """Remove gaps that were done long ago, and the oldest that are done if there are too many."""
        done = sorted((gap for gap in self.gaps() if gap.state in DONE), key=lambda gap: gap.done_ms)
        old = [gap.id for gap in done if gap.done_ms < now_ms - KEPT_MS]
        surplus = self._calls.ask("hlen", keys.GAPS) - MOST
        old += [gap.id for gap in done[len(old) : max(surplus, 0)]]
        if old:
            self._calls.ask("hdel", keys.GAPS, *old)


def _written(value: Gap | PairHealth) -> bytes:
    return orjson.dumps(asdict(value))


def _name(pair: Pair) -> str:
    return f"{pair[0]}/{pair[1]}"


def _pair(name: bytes) -> Pair | None:
    business, _, action = decoding.text(name).partition("/")
    number = decoding.number(business)
    return None if number is None else (number, action)


_GAP_FIELDS = frozenset(one.name for one in fields(Gap))


def _gap(stored: bytes) -> Gap | None:
    """Return a stored gap; None if this version cannot read it."""
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        found = {name: value for name, value in orjson.loads(stored).items() if name in _GAP_FIELDS}
        gap = Gap(**found | {"why": GapWhy(found["why"]), "state": GapState(found["state"])})
        moments = (gap.from_ms, 0 if gap.to_ms is None else gap.to_ms)
        return gap if all(decoding.moment(moment) is not None for moment in moments) else None
    return None


def _health(stored: bytes) -> PairHealth | None:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        found = orjson.loads(stored)
        return PairHealth(*(int(found[one.name]) for one in fields(PairHealth)))
    return None
