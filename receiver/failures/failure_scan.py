"""Finds the failures in the store: from the list of dead events, the schedules and what waits before gates.

The first look reads all of them; each later one reads what has changed. An event that stands in the list of the dead is
asked for its version only: a thousand of them take the store three milliseconds.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import orjson
import redis

from receiver.core import ids
from receiver.core.events import EventStatus, Outcome
from receiver.failures.error_patterns import pattern_of
from receiver.failures.failure_groups import Failure, id_of
from receiver.storage.model import decoding
from receiver.storage.redis import keys, rq_keys
from receiver.storage.redis.store_client import StoreClient

MOST_DEAD: Final = 200_000
"""Dead events that are looked at, the oldest of those that are kept first."""

MOST_WAITING: Final = 50_000
"""Deliveries that wait to be tried again and are looked at."""

_PAGE: Final = 5_000
_AT_ONCE: Final = 500
_ID: Final = re.compile(rb"[0-9a-z]{%d}" % ids.LENGTH)
_ERROR: Final = re.compile(rb'"error":"((?:[^"\\]|\\.)*)')
_FAILED: Final = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CRASHED})
_ROW: Final = 5

_Known = tuple[bytes, tuple[Failure, ...]]


class FailureScan:
    """Knows all failures since its last `refresh`. For one thread at a time. Methods raise StorageUnavailable.

    *is_cut*: there are more than it looks at. A delivery that is run again just now is a failure still, if the scan
    knew it before.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client, "failing")
        self._known: dict[str, _Known] = {}
        self.is_cut = False

    def failures(self) -> Iterator[Failure]:
        """Yield them, the oldest event first."""
        for event_id in sorted(self._known):
            yield from self._known[event_id][1]

    def refresh(self) -> None:
        """Look again."""
        self.is_cut = False
        candidates = dict.fromkeys(self._dead())
        candidates.update(dict.fromkeys(self._waiting()))
        candidates.update(dict.fromkeys(one for one, (version, _) in self._known.items() if not version))
        found: dict[str, _Known] = {}
        waiting = list(candidates)
        while waiting:
            some = waiting[-_AT_ONCE:]
            looked_at, changed = self._look(some)
            del waiting[len(waiting) - len(some) :]
            waiting += some[looked_at:]
            for event_id in some[:looked_at]:
                now = changed.get(event_id) or self._known.get(event_id)
                if now is not None and now[1]:
                    found[event_id] = now
        self._known = found

    def _look(self, event_ids: Sequence[str]) -> tuple[int, dict[str, _Known]]:
        """Return how many were looked at, and those that have changed."""
        asked = [part for one in event_ids for part in (one, self._known.get(one, (b"",))[0])]
        looked_at, *rows = self._calls.run("failing", *asked)
        return int(looked_at), {decoding.text(row[0]): (row[1], tuple(_failures(row))) for row in rows}

    def _dead(self) -> Iterator[str]:
        """Yield the dead events, by pages of the list's scores: it may change meanwhile."""
        key, lowest, start, seen = keys.standing(EventStatus.DEAD), "-inf", 0, 0
        while True:
            page = self._calls.ask("zrangebyscore", key, lowest, "+inf", start=start, num=_PAGE, withscores=True)
            yield from _sound(member for member, _ in page)
            seen += len(page)
            if len(page) < _PAGE:
                return
            if seen >= MOST_DEAD:
                self.is_cut = True
                return
            last = f"{page[-1][1]:.0f}"
            start, lowest = (start + _PAGE if last == lowest else 0), last

    def _waiting(self) -> Iterator[str]:
        """Yield the events with a delivery that waits for a time, or before a gate."""
        queues, gates = self._calls.ask_each([("smembers", keys.QUEUES), ("zrange", keys.GATES, 0, _PAGE)])
        lists = [rq_keys.scheduled(decoding.text(queue)) for queue in sorted({*queues, rq_keys.ISOLATED.encode()})]
        lists += [keys.waiting(decoding.text(gate)) for gate in gates]
        seen = 0
        for key in lists:
            page = self._calls.ask("zrange", key, 0, max(MOST_WAITING - seen, 1) - 1)
            yield from _sound(member.partition(b"-")[0] for member in page)
            seen += len(page)
            if seen >= MOST_WAITING:
                self.is_cut = True
                return


def _sound(members: Iterable[bytes]) -> Iterator[str]:
    return (one.decode() for one in members if _ID.fullmatch(one))


def _failures(row: Sequence[Any]) -> Iterator[Failure]:
    event_id = decoding.text(row[0])
    received_ms = ids.milliseconds_of(event_id)
    for at in range(2, len(row), _ROW):
        number, route, state, last, first = row[at : at + _ROW]
        outcome, error, last_ms = _read(last)
        is_dead = state == b"d"
        if not is_dead and outcome not in _FAILED:
            continue
        pattern, name = pattern_of(error), decoding.text(route)
        _, first_error, first_ms = _read(first)
        is_same = first_error == error or pattern_of(first_error) == pattern
        last_ms = last_ms or received_ms
        began_ms = first_ms if is_same and first_ms else last_ms
        group = id_of(name, pattern)
        yield Failure(event_id, int(number), name, pattern, group, is_dead, began_ms, last_ms)


def _read(record: bytes) -> tuple[str | None, str | None, int]:
    """Return outcome, error and end (Unix ms, 0: not known) of an attempt's record, which may be cut or be anything."""
    try:
        fields = orjson.loads(record)
    except ValueError:
        found = _ERROR.search(record)
        fields = {"outcome": "failed", "error": decoding.text(found[1]) if found else None}
        if ended := re.search(rb'"ended_ms":(\d{1,15})', record):
            fields["ended_ms"] = int(ended[1])
    if not isinstance(fields, dict):
        return None, None, 0
    error = fields.get("error")
    return fields.get("outcome"), None if error is None else str(error), decoding.moment(fields.get("ended_ms")) or 0
