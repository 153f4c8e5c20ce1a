"""What changed on a route just before it began to fail: acts of people, its routing table, its version."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import redis

from receiver.core import timestamps
from receiver.core.durations import HOUR_MS
from receiver.core.events import DeliveryStatus
from receiver.failures import route_versions
from receiver.failures.failure_groups import SEVERAL
from receiver.failures.failure_records import FailureGroup
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter, StoredEvent
from receiver.storage.shared.audit_log import AuditEntry, AuditLog

LOOKED_BACK_MS: Final = 24 * HOUR_MS
_SLACK_MS: Final = 60_000
_MOST_ACTS: Final = 2_000
_MOST_EVENTS: Final = 64
_MOST_TOLD: Final = 5
_OF_ALL: Final = frozenset({"apply", "hooks.apply"})
"""Acts that concern every route."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed at *at_ms* (Unix ms), in words."""

    at_ms: int
    text: str


def before(client: redis.Redis, group: FailureGroup) -> list[Change]:
    """Return what changed within a day before the first failure of a group, a few, the latest first.

    Raises StorageUnavailable.
    """
    if group.route == SEVERAL:
        return []
    found = [*_acts(client, group), *_table(client, group)]
    found += [
        Change(at_ms, text)
        for at_ms, text in route_versions.changes(client, group.route)
        if _is_just_before(group, at_ms)
    ]
    found.sort(key=lambda one: -one.at_ms)
    return found[:_MOST_TOLD]


def _is_just_before(group: FailureGroup, at_ms: int) -> bool:
    return _since(group) <= at_ms <= _until(group)


def _until(group: FailureGroup) -> int:
    return group.first_ms + _SLACK_MS


def _since(group: FailureGroup) -> int:
    return max(group.first_ms - LOOKED_BACK_MS, 0)


def _acts(client: redis.Redis, group: FailureGroup) -> Iterator[Change]:
    acts = islice(AuditLog(client).newest(_since(group), _until(group)), _MOST_ACTS)
    for act in islice((one for one in acts if _concerns(one, group.route)), _MOST_TOLD):
        yield Change(act.at_ms, f"{act.who}: {act.what}")


def _concerns(act: AuditEntry, route: str) -> bool:
    return act.detail.get("route") == route or act.what in _OF_ALL


def _table(client: redis.Redis, group: FailureGroup) -> Iterator[Change]:
    """Compare the table of the first failed event with that of the last one that the route still handled."""
    wanted = EventFilter(route=group.route, since_ms=_since(group), until_ms=_until(group))
    failed: StoredEvent | None = None
    for stored in islice(EventReader(client).newest(wanted), _MOST_EVENTS):
        if not _succeeded(stored, group.route):
            failed = stored
        elif failed is not None:
            old, new = stored.envelope.routes, failed.envelope.routes
            if old != new:
                since = timestamps.show(stored.envelope.received_ms)
                at_ms = failed.envelope.received_ms
                yield Change(at_ms, f"the routing table is {new or 'none'}; at {since} it was {old or 'none'}")
            return


def _succeeded(stored: StoredEvent, route: str) -> bool:
    return any(one.route == route and one.status == DeliveryStatus.SUCCEEDED for one in stored.deliveries)
