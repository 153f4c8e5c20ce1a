"""The groups of failures as they stand in the store, and how a look at all failures changes them. Pure.

A group opens when its first failure is found, and is closed when its last one is gone: replayed, succeeded, erased or
expired. With it ends what people said about it, so one that comes back is open, whatever it was before.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

import orjson

from receiver.failures.failure_groups import Found, Grouped, Status
from receiver.storage.model import decoding

META: Final = "~"

CLOSED_FOR_MS: Final = 86_400_000
"""How long a closed group is still listed."""

_MOST_CLOSED: Final = 100
_QUIET_AFTER_MS: Final = 1_800_000


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said about a group: that it is known, or that it may be left alone until *until_ms* (Unix ms)."""

    status: Status
    who: str
    reason: str
    at_ms: int
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures of one *route* with one *error*, which is a pattern without anything of a person.

    *count* deliveries fail, *dead* of them for good. Times in Unix ms: *first_ms* and *last_ms* of failures,
    *opened_ms* of this group, *closed_ms* 0 while it has failures; *quiet_ms*: no alert is due for what failed until
    then. *sample*: the event that failed last. *trend*: failures in each of the last twelve times five minutes.
    """

    id: str
    route: str
    error: str
    kind: str
    count: int
    dead: int
    first_ms: int
    last_ms: int
    sample: str
    trend: tuple[int, ...]
    opened_ms: int
    closed_ms: int = 0
    quiet_ms: int = 0
    said: Said | None = field(default=None, compare=False)

    def status(self, now_ms: int) -> Status:
        """Return whether somebody has to look at it."""
        if self.closed_ms:
            return "closed"
        if self.said is None or (self.said.status == "snoozed" and self.said.until_ms <= now_ms):
            return "open"
        return self.said.status

    @property
    def retrying(self) -> int:
        """How many of them are tried again by themselves."""
        return self.count - self.dead


@dataclass(frozen=True, slots=True)
class Summary:
    """All groups, the largest first, as they were found at *at_ms* (Unix ms; 0: nobody has looked yet). *is_cut*: there
    are more failures than were counted."""

    at_ms: int = 0
    groups: tuple[FailureGroup, ...] = ()
    is_cut: bool = False

    def group(self, group_id: str) -> FailureGroup | None:
        """Return one group."""
        return next((one for one in self.groups if one.id == group_id), None)


_FIELDS: Final = tuple(one.name for one in fields(FailureGroup))

Name = Callable[[Iterable[Found]], Mapping[str, tuple[str, str]]]
"""Returns for each new group, by id, what it is called (its error, and the error's kind)."""


def merged(before: Summary, found: Grouped, now_ms: int, name: Name) -> tuple[FailureGroup, ...]:
    """Return the groups after a look at all failures."""
    known = {one.id: one for one in before.groups}
    going_on = {one_id for one_id, one in known.items() if not one.closed_ms}
    names = name(one for one_id, one in found.groups.items() if one_id not in going_on)
    groups = [
        _again(known[one_id], one) if one_id in going_on else _opened(one, names[one_id], before, now_ms)
        for one_id, one in found.groups.items()
    ]
    groups.sort(key=lambda one: (-one.count, one.first_ms, one.id))
    gone = [one for one_id, one in known.items() if one_id not in found.groups and one_id not in found.ids]
    closed = [one if one.closed_ms else replace(one, count=0, dead=0, closed_ms=now_ms) for one in gone]
    closed = [one for one in closed if now_ms - one.closed_ms < CLOSED_FOR_MS]
    closed.sort(key=lambda one: -one.closed_ms)
    return (*groups, *closed[:_MOST_CLOSED])


def _opened(one: Found, name: tuple[str, str], before: Summary, now_ms: int) -> FailureGroup:
    """Return a new group. What failed long before anybody looked for the first time is no news."""
    is_old = not before.at_ms and now_ms - one.last_ms > _QUIET_AFTER_MS
    opened_ms, quiet_ms = now_ms if before.at_ms else one.first_ms, one.last_ms if is_old else 0
    group = FailureGroup(one.id, one.route, *name, 0, 0, 0, 0, "", (), opened_ms, quiet_ms=quiet_ms)
    return _again(group, one)


def _again(group: FailureGroup, one: Found) -> FailureGroup:
    return replace(
        group,
        count=one.count,
        dead=one.dead,
        first_ms=one.first_ms,
        last_ms=one.last_ms,
        sample=one.sample,
        trend=one.trend,
    )


def read(groups: Mapping[bytes, bytes], acts: Mapping[bytes, bytes]) -> Summary:
    """Read what the store has; what this version cannot read is left out."""
    meta = _fields(groups.get(META.encode()))
    said = {decoding.text(one): _said(written) for one, written in acts.items()}
    read = [_group(written, said) for one, written in groups.items() if one != META.encode()]
    order = sorted(
        (one for one in read if one is not None),
        key=lambda one: (one.closed_ms > 0, -one.closed_ms, -one.count, one.first_ms, one.id),
    )
    return Summary(decoding.moment(meta.get("at_ms")) or 0, tuple(order), bool(meta.get("is_cut")))


def written(group: FailureGroup) -> bytes:
    """Return a group as it is stored; what was said about it is stored apart, until the group is closed."""
    shape = asdict(group)
    if not group.closed_ms:
        del shape["said"]
    return orjson.dumps(shape)


def _group(stored: bytes, said: Mapping[str, Said | None]) -> FailureGroup | None:
    shape = _fields(stored)
    with contextlib.suppress(TypeError, ValueError, KeyError):
        known = {name: shape[name] for name in _FIELDS if name in shape}
        old = known.pop("said", None)
        known["trend"] = tuple(int(one) for one in known["trend"])
        for name in ("count", "dead", "first_ms", "last_ms", "opened_ms", "closed_ms", "quiet_ms"):
            known[name] = decoding.moment(known.get(name, 0)) or 0
        for name in ("id", "route", "error", "kind", "sample"):
            known[name] = str(known[name])
        return FailureGroup(**known, said=said.get(known["id"]) or (Said(**old) if old else None))
    return None


def _said(stored: bytes) -> Said | None:
    with contextlib.suppress(TypeError, ValueError):
        one = Said(**_fields(stored))
        return one if isinstance(one.until_ms, int) and one.status in ("acknowledged", "snoozed") else None
    return None


def _fields(stored: bytes | None) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        shape = orjson.loads(stored or b"")
        if isinstance(shape, dict):
            return shape
    return {}
