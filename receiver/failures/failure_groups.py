"""Groups of failures: one for each route and pattern of its errors, bounded in number. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

MOST_GROUPS: Final = 400
"""Groups by pattern; the failures of all smaller ones are the `other errors` of their route."""

MOST_OTHERS: Final = 100
"""Routes whose other errors are a group of their own; those of further routes are one group."""

OTHER: Final = "other errors"
SEVERAL: Final = "*"
"""Stands for the route of a group that has failures of many."""

TREND_STEP_MS: Final = 300_000
TREND_STEPS: Final = 12

Status = Literal["open", "acknowledged", "snoozed", "closed"]


class Failure(NamedTuple):
    """A delivery that is dead, or in flight after a failed attempt. Times in Unix ms: of its first ended attempt, when
    that failed in the same way, else of its last one; and of its last one."""

    event_id: str
    number: int
    route: str
    pattern: str
    group: str
    is_dead: bool
    first_ms: int
    last_ms: int


@dataclass(slots=True)
class Found:
    """A group as it was found: how many failures, those of them that are dead, when, the event of the latest one as a
    sample, and how many came in each of the last twelve times five minutes, the latest last."""

    id: str
    route: str
    pattern: str
    count: int = 0
    dead: int = 0
    first_ms: int = 0
    last_ms: int = 0
    sample: str = ""
    trend: tuple[int, ...] = (0,) * TREND_STEPS

    def take(self, other: "Found") -> None:
        """Add what another one counted."""
        if other.last_ms >= self.last_ms:
            self.last_ms, self.sample = other.last_ms, other.sample
        self.first_ms = min(self.first_ms or other.first_ms, other.first_ms)
        self.count += other.count
        self.dead += other.dead
        self.trend = tuple(map(int.__add__, self.trend, other.trend))


@dataclass(frozen=True, slots=True)
class Grouped:
    """*groups* by id, the largest first; *homes*: where the failures of a group went that is not among them; *ids*: of
    all patterns that were found, before they were bounded."""

    groups: Mapping[str, Found]
    homes: Mapping[str, str]
    ids: frozenset[str]

    def home(self, failure: Failure) -> str:
        """Return the id of the group that a failure is counted in."""
        return self.homes.get(failure.group, failure.group)


def id_of(route: str, pattern: str) -> str:
    """Return the id of the group of a route and a pattern: twelve hexadecimal digits."""
    return hashlib.blake2b(f"{route}\0{pattern}".encode("utf-8", "replace"), digest_size=6).hexdigest()


def grouped(failures: Iterable[Failure], now_ms: int) -> Grouped:
    """Group failures; the trend ends at *now_ms*."""
    found: dict[str, Found] = {}
    trends: dict[str, list[int]] = {}
    newest = now_ms // TREND_STEP_MS
    for one in failures:
        group = found.get(one.group)
        if group is None:
            group = found[one.group] = Found(one.group, one.route, one.pattern, first_ms=one.first_ms)
        group.count += 1
        group.dead += one.is_dead
        group.first_ms = min(group.first_ms, one.first_ms)
        if one.last_ms >= group.last_ms:
            group.last_ms, group.sample = one.last_ms, one.event_id
        age = newest - one.last_ms // TREND_STEP_MS
        if 0 <= age < TREND_STEPS:
            trends.setdefault(one.group, [0] * TREND_STEPS)[-1 - age] += 1
    for group_id, trend in trends.items():
        found[group_id].trend = tuple(trend)
    return _bounded(found)


def _bounded(found: Mapping[str, Found]) -> Grouped:
    order = sorted(found.values(), key=lambda one: (-one.count, one.first_ms, one.id))
    groups = {one.id: one for one in order[:MOST_GROUPS]}
    homes: dict[str, str] = {}
    others: dict[str, Found] = {}
    for one in order[MOST_GROUPS:]:
        route = one.route if one.route in others or len(others) < MOST_OTHERS else SEVERAL
        other = others.setdefault(route, Found(id_of(route, OTHER), route, OTHER))
        other.take(one)
        homes[one.id] = other.id
    groups |= {one.id: one for one in others.values()}
    return Grouped(groups, homes, frozenset(found))
