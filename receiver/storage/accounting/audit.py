"""The audit, which accounts for every accepted event and every delivery ever created.

Events: accepted = unrouted + quarantined + routed + expired. Deliveries: created = succeeded + dead + discarded + in
flight + expired. Each hour has counters that change in the same atomic step as what they count (`hour_counters.py`
compares them). An hour is sealed when it is over, all of its deliveries have ended, and its events were read and found
to match the counters; its counters are then trusted until one of them changes. All other hours are read event by
event: each delivery in flight must have its job in a queue, in the schedule, or with a worker that holds its lease.

The system keeps running during an audit. Each page is read in one atomic step, so it shows the waiting and running
deliveries of one instant. To find out whether a job is in its queue takes a second step (`missing_jobs.py`). Sums are
compared only for an hour whose counters did not change while it was read.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import redis

from receiver.core import ids
from receiver.core.durations import HOUR_MS
from receiver.storage.accounting.damaged_events import IncompleteEvents, WriteOff
from receiver.storage.accounting.hour_counters import DELIVERIES, EVENTS, HourCounters, parsed
from receiver.storage.accounting.index_check import IndexCheck
from receiver.storage.accounting.missing_jobs import MissingJobs
from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient
from receiver.storage.spool.count import SpoolCount

PAGE = 256
"""Events that one call reads; the call takes Redis about a millisecond."""

_MOST_NAMED = 1_000
_READ_AT_ONCE = 500
_TRIES = 3

_SCRIPTS = ("incomplete", "missing_ids", "missing_jobs", "recount_in_flight", "seal_hour", "survey_hour", "write_off")


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The result of an audit. *offenders*: ids of events that break a formula, at most 1,000. *unaccounted* counts all
    of them, and missing events whose ids are unknown. *repaired*: deliveries that had no live job and got one.
    *kept*, *written_off*: events that had lost their state (`damaged_events.py`). *cleared*: events that were never
    stored completely and are now deleted; they are among the offenders for the last time."""

    events: dict[str, int]
    deliveries: dict[str, int]
    spooled: int
    duplicates: int
    unaccounted: int
    offenders: tuple[str, ...]
    repaired: int = 0
    kept: int = 0
    written_off: int = 0
    cleared: int = 0

    def shape(self) -> dict[str, Any]:
        """The object that `frontdesk audit --json` prints; its keys are documented and must not change."""
        return {
            "events": self.events,
            "deliveries": self.deliveries,
            "spooled": self.spooled,
            "duplicates": self.duplicates,
            "unaccounted": self.unaccounted,
            "offenders": list(self.offenders),
        }


@dataclass(slots=True)
class _HourSurvey:
    """What was found while reading one hour."""

    found: HourCounters = field(default_factory=HourCounters)
    looked_at: int = 0
    nameless: set[str] = field(default_factory=set)  # ids without a state: none of the sums can know them
    offenders: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _HourResult:
    """The events and deliveries of an hour by their state, those that are wrong, and how many others must be wrong."""

    counters: HourCounters
    wrong: set[str]
    missing: int


class Audit:
    """Audits the store. *pause_s*: the pause after each page of events."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        pause_s: float = 0.0,
        looked_at: Callable[[int], None] | None = None,
        on_disk: SpoolCount | None = None,
        scanned: int | None = None,
    ) -> None:
        """*looked_at* is called after each page with the number of its events. *on_disk*: the spools that can be
        read; for all others, their last report counts. *scanned*: how many pages of a thousand keys each audit
        searches for states without an envelope; None: all keys."""
        self._calls = StoreClient(client, *_SCRIPTS)
        self._incomplete = IncompleteEvents(self._calls)
        self._scanned = scanned
        self._indexes = IndexCheck(self._calls)
        self._write_off: WriteOff | None = None
        self._pause_s = pause_s
        self._looked_at = looked_at or (lambda number: None)
        self._on_disk = on_disk

    def size(self, *, full: bool = False) -> int:
        """Return how many events an audit would read now."""
        hours, sealed = self._hours()
        return sum(self._calls.ask_all("llen", [keys.index(hour) for hour in hours if full or hour not in sealed]))

    def run(
        self, *, full: bool = False, repair: bool = False, clear: bool = False, write_off: bool = False
    ) -> AuditReport:
        """Audit, and report what is wrong. Raises StorageUnavailable.

        *repair*: give deliveries without a live job a new one, and complete what was written only in part. *full*:
        trust no seal, and check that every list that should name an event does. *clear*: delete the remains of events
        that were never stored completely. *write_off*: account for events that have lost their state or record.
        """
        cleared, without_record = self._find_incomplete(clear=clear or write_off, write_off=write_off)
        self._write_off = WriteOff(self._calls) if write_off else None
        hours, sealed = self._hours()
        sealed -= {ids.hour_of(event_id) for event_id in without_record}
        jobs = MissingJobs(self._calls, repair=repair)
        totals, offenders, unnamed = HourCounters(), cleared | (set() if write_off else without_record), 0
        for hour, counters in self._read(hours).items():
            if hour in sealed and not full:
                result = _HourResult(counters, set(), counters.gap)
            else:
                result = self._open_hour(hour, jobs, repair=repair, full=full)
            totals.add(result.counters)
            offenders |= result.wrong
            unnamed += result.missing
        adrift = jobs.settle()
        if not repair:
            offenders |= {job[: ids.LENGTH] for job in adrift}
            totals.sums["d_in_flight"] = totals["d_in_flight"] - len(adrift)
        if full:
            offenders |= self._indexes.unindexed(hours, repair=repair)
        found = self._report(totals, offenders, unnamed)
        return replace(found, repaired=len(adrift) if repair else 0, cleared=len(cleared))

    def _find_incomplete(self, *, clear: bool, write_off: bool) -> tuple[set[str], set[str]]:
        """Return the events without an envelope that were deleted, and those that remain."""
        incomplete = self._incomplete.all() if self._scanned is None else self._incomplete.some(self._scanned)
        cleared = self._incomplete.clear(incomplete) if clear else set[str]()
        if write_off and incomplete - cleared:
            self._incomplete.drop(incomplete - cleared)
        return cleared, incomplete - cleared

    def _report(self, totals: HourCounters, offenders: set[str], unnamed: int) -> AuditReport:
        return AuditReport(
            events={name: totals[name] for name in ("accepted", *EVENTS)},
            deliveries={"created": totals["d_created"]} | {name: totals[f"d_{name}"] for name in DELIVERIES},
            spooled=self._spooled(),
            duplicates=totals["duplicates"],
            unaccounted=len(offenders) + unnamed,
            offenders=tuple(sorted(offenders)[:_MOST_NAMED]),
            kept=self._write_off.kept if self._write_off else 0,
            written_off=self._write_off.written_off if self._write_off else 0,
        )

    def _hours(self) -> tuple[list[int], set[int]]:
        """Return all hours that have events or counters, in order, and which of them are sealed."""
        listed, moved, sealed = (
            set(decoding.hours(self._calls.ask("zrange", key, 0, -1)))
            for key in (keys.HOURS, keys.UNSEALED, keys.SEALED)
        )
        return sorted(listed | moved | sealed), sealed - moved

    def _read(self, hours: list[int]) -> dict[int, HourCounters]:
        read: dict[int, HourCounters] = {}
        for start in range(0, len(hours), _READ_AT_ONCE):
            some = hours[start : start + _READ_AT_ONCE]
            replies = self._calls.ask_all("hgetall", [keys.counters(hour) for hour in some])
            read |= dict(zip(some, map(parsed, replies), strict=True))
        return read

    def _open_hour(self, hour: int, jobs: MissingJobs, *, repair: bool, full: bool) -> _HourResult:
        """Read an hour. If no counter changed meanwhile, compare the sums; seal the hour if it is over and correct."""
        before, seen, stood_still = self._look(hour, jobs, repair=repair)
        tries = 1
        while not stood_still and tries < _TRIES and seen.looked_at <= _TRIES * PAGE:
            before, seen, stood_still = self._look(hour, jobs, repair=repair)
            tries += 1
        if full:
            seen.offenders |= self._indexes.unlisted(hour, repair=repair)
        counters = parsed(before)
        wrong = seen.offenders | seen.nameless
        if not stood_still:
            return _HourResult(counters, wrong, counters.gap)
        if seen.nameless and self._write_off and self._write_off.settle(hour, before, seen.found, seen.nameless):
            return self._open_hour(hour, jobs, repair=repair, full=full)
        events, deliveries = counters.difference(seen.found)
        missing = max(0, events - len(seen.nameless)) + (0 if seen.nameless else deliveries) + counters.gap
        if not missing and not wrong and not seen.found["d_in_flight"] and hour < self._calls.now_ms() // HOUR_MS:
            self._calls.run("seal_hour", hour, *[part for pair in before.items() for part in pair])
        return _HourResult(counters.replaced(seen.found), wrong, missing)

    def _look(self, hour: int, jobs: MissingJobs, *, repair: bool) -> tuple[dict[bytes, bytes], _HourSurvey, bool]:
        """Return the counters of an hour, the survey of its events, and whether no counter changed meanwhile."""
        before = self._calls.ask("hgetall", keys.counters(hour))
        seen = _HourSurvey()
        more = True
        while more:
            reply = self._calls.run("survey_hour", hour, seen.looked_at, PAGE)
            length, numbers, lost, bare, miscounted, adrift, queued, more = reply
            seen.looked_at += length
            seen.found.add_found(numbers)
            seen.nameless.update(decoding.text(event_id) for event_id in lost)
            seen.offenders.update(decoding.text(event_id) for event_id in bare)
            if repair and miscounted:
                self._calls.run("recount_in_flight", *miscounted)
            else:
                seen.offenders.update(decoding.text(event_id) for event_id in miscounted)
            jobs.consider(queued, adrift)
            self._looked_at(length)
            time.sleep(self._pause_s)
        return before, seen, before == self._calls.ask("hgetall", keys.counters(hour))

    def _spooled(self) -> int:
        """Return how many events wait in spools, those of ended receivers included.

        A receiver that ended while the store was away could not report its spool; only its disk shows the number.
        """
        reports = self._calls.ask("hgetall", keys.SPOOLS).items()
        disk = self._on_disk
        if disk is None:
            return sum(_depth(report) for _, report in reports)
        return disk.events + sum(_depth(report) for name, report in reports if not disk.has(decoding.text(name)))


def _depth(report: bytes) -> int:
    try:
        return decoding.number(orjson.loads(report)["depth"]) or 0
    except (ValueError, KeyError, TypeError):
        return 0
