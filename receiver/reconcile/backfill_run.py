"""Filling gaps: survey, sift, make, and what is written about each gap."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import redis

from receiver.core import timestamps
from receiver.nexudus.api.entities import Entities
from receiver.nexudus.record_times import plain
from receiver.reconcile import changed_routes
from receiver.reconcile.event_maker import EventMaker, Made, calls_for
from receiver.reconcile.known_events import KnownEvents, Newest
from receiver.reconcile.route_selection import RouteSelection
from receiver.reconcile.search.candidates import Candidate, Survey
from receiver.reconcile.search.id_sets import IdSets
from receiver.reconcile.search.listing import MOST_ROWS
from receiver.reconcile.search.survey import Surveyor
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.shared.backfill_claims import BackfillClaims
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.gap_ledger import DONE, Gap, GapLedger, GapState

MOST_TRIES: Final = 5
"""How often a gap is tried whose filling a fault of Nexudus cut off, before it says that it cannot be known."""

_ROWS_FOR_AN_EVENT: Final = 20
_LEAST_ROWS: Final = 10_000
"""How much a search may find without asking a person: rows that are read cost calls, too."""


_ITS_ROUTES_WAIT: Final = "a route waits for a person (backfill: confirm); `frontdesk backfill` serves it"


@dataclass(frozen=True, slots=True)
class Orders:
    """How gaps are filled. *limit* None: a person asks, whatever the number. *window_ms* None: however far back.
    *weak*: guesses, too. *is_dry*: make and write nothing."""

    selection: RouteSelection
    limit: int | None = None
    window_ms: int | None = None
    weak: bool = False
    is_dry: bool = False


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a filling did. *calls* to Nexudus; *calls_left*: about how many more it takes to make what a dry run found;
    *completed*: deliveries that kept events got."""

    gaps: tuple[Gap, ...]
    calls: int
    calls_left: int = 0
    completed: int = 0


@dataclass(frozen=True, slots=True)
class Tools:
    """What a filling works with. *check* raises when it must not go on. *advance* moves a progress bar; *begin* tells
    it how many there are. While Nexudus is asked, *expect* tells how many more pages there are, *read* which were read.
    *ledger* None: the gaps are not those of the ledger. *who* is for the audit log."""

    client: redis.Redis
    entities: Entities
    check: Callable[[], None]
    ledger: GapLedger | None = None
    who: str = "backfill"
    clock: Callable[[], float] = time.time
    asked: Callable[[str], None] = lambda _kind: None
    expect: Callable[[int], None] = lambda _number: None
    read: Callable[[int], None] = lambda _number: None
    begin: Callable[[int], None] = lambda _number: None
    advance: Callable[[int], None] = lambda _number: None


@dataclass(slots=True)
class _Counts:
    found: Counter[str] = field(default_factory=Counter)
    made: Counter[str] = field(default_factory=Counter)
    gone: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, made: Made) -> None:
        self.made += made.made
        self.gone += made.gone
        self.failed |= made.failed


class BackfillRun:
    """Fills gaps by *orders*."""

    def __init__(self, tools: Tools, orders: Orders) -> None:
        self._tools = tools
        self._orders = orders

    def fill(self, gaps: Iterable[Gap]) -> BackfillReport:
        """Fill gaps that are closed. Raises CredentialsRefused, StorageUnavailable, and what *check* raises.

        Cut off at any point and done again, it makes nothing twice.
        """
        tools, orders = self._tools, self._orders
        closed = [replace(gap, cannot="") for gap in gaps if gap.to_ms is not None]
        wanted = [self._clamped(gap) for gap in closed if orders.selection.serves(*gap.pair)]
        unserved = [self._unserved(gap) for gap in closed if not orders.selection.serves(*gap.pair)]
        self._write(unserved)
        report = self._fill(wanted) if wanted else BackfillReport((), tools.entities.calls)
        return replace(report, gaps=(*unserved, *report.gaps))

    def _fill(self, wanted: Sequence[Gap]) -> BackfillReport:
        tools, orders = self._tools, self._orders
        changed_routes.tell(tools.client, orders.selection, wanted)
        survey = self._survey(wanted, id_sets := IdSets(tools.client, tools.entities))
        made = BackfillClaims(tools.client, {gap.pair for gap in wanted})
        if not orders.is_dry:
            made.begin()
        known = KnownEvents(tools.client, {gap.action for gap in wanted}, since_ms=min(gap.from_ms for gap in wanted))
        known.refresh()
        for one in survey.earlier:
            known.event(one)

        def check() -> None:
            tools.check()
            made.go_on()

        maker = EventMaker(tools.client, tools.entities, orders.selection, known, check=check, clock=tools.clock)
        counts = _Counts(Counter(one.gap for one in survey.candidates))
        fresh = maker.sift(survey.candidates, Made())
        if orders.is_dry:
            unmade = Counter(one.gap for one in fresh)
            dry = tuple(self._dry(gap, survey, counts, unmade) for gap in wanted)
            return BackfillReport(dry, tools.entities.calls, calls_for(fresh))
        crowded = frozenset(one.gap for one in fresh) if self._is_over_limit(fresh) else frozenset[str]()
        completed = 0
        if not crowded:
            unknown = set(fresh)
            completed = maker.complete(one for one in survey.candidates if one not in unknown)
            self._make(maker, fresh, wanted, counts)
            for compared in survey.compared:
                id_sets.remember(compared, self._now_ms())
        made.end()
        done = tuple(self._ended(gap, survey, counts, gap.id in crowded) for gap in wanted)
        self._write(done)
        self._record(done)
        return BackfillReport(done, tools.entities.calls, completed=completed)

    def _survey(self, wanted: Sequence[Gap], id_sets: IdSets) -> Survey:
        tools, limit = self._tools, self._orders.limit
        surveyor = Surveyor(
            tools.entities,
            now_ms=self._now_ms(),
            most=MOST_ROWS if limit is None else max(limit * _ROWS_FOR_AN_EVENT, _LEAST_ROWS),
            check=tools.check,
            asked=tools.asked,
            expect=tools.expect,
            read=tools.read,
            kept=Newest(tools.client).place,
            id_sets=id_sets if self._orders.selection.table.reconcile.deletes == "daily" else None,
        )
        return surveyor.survey(wanted, weak=self._orders.weak)

    def _is_over_limit(self, fresh: Sequence[Candidate]) -> bool:
        return self._orders.limit is not None and len(fresh) > self._orders.limit

    def _clamped(self, gap: Gap) -> Gap:
        """Return a gap no longer than may be filled without a person."""
        if self._orders.window_ms is None:
            return gap
        earliest = int(self._tools.clock() * 1_000) - self._orders.window_ms
        if gap.from_ms >= earliest:
            return gap
        why = f"what happened before {plain(earliest)} is older than reconcile.window; `frontdesk backfill` fetches it"
        return replace(gap, from_ms=min(earliest, gap.to_ms or earliest), cannot=why)

    def _unserved(self, gap: Gap) -> Gap:
        selection = self._orders.selection
        if selection.waits(*gap.pair):
            return replace(gap, state=GapState.CONFIRM, cannot=_ITS_ROUTES_WAIT)
        wants = bool(selection.table.candidates(*gap.pair))
        never = "its routes take no back-filled events (backfill: never)"
        why = never if wants else f"no route wants {gap.action} of location {gap.business_id} any more"
        return replace(gap, state=GapState.CANNOT, cannot=why, done_ms=self._now_ms())

    def _make(self, maker: EventMaker, fresh: Sequence[Candidate], gaps: Sequence[Gap], counts: _Counts) -> None:
        self._tools.begin(len(fresh))
        for made in maker.make(fresh):
            counts.add(made)
            touched = made.made.keys() | made.gone.keys()
            self._write(self._counted(gap, counts) for gap in gaps if gap.id in touched)
            self._tools.advance(sum((made.made + made.known + made.gone).values()))

    def _counted(self, gap: Gap, counts: _Counts) -> Gap:
        """Return a gap with its counts; *made* goes on from what was made before a cut."""
        found, made = counts.found[gap.id], gap.made + counts.made[gap.id]
        found = max(found, made)
        gone = min(counts.gone[gap.id], found - made)
        return replace(gap, found=found, made=made, gone=gone, known=found - made - gone)

    def _dry(self, gap: Gap, survey: Survey, counts: _Counts, unmade: Counter[str]) -> Gap:
        found, fresh = counts.found[gap.id], unmade[gap.id]
        why = survey.cannot.get(gap.action) or survey.interrupted.get(gap.action) or survey.crowded.get(gap.action)
        return replace(gap, found=found, made=fresh, known=found - fresh, cannot=why or gap.cannot)

    def _ended(self, gap: Gap, survey: Survey, counts: _Counts, is_crowded: bool) -> Gap:
        """Return a gap in the state that this filling leaves it in."""
        after = self._counted(gap, counts)
        cut = survey.interrupted.get(gap.action) or counts.failed.get(gap.action)
        if cut and gap.tries + 1 < MOST_TRIES:
            tries = gap.tries + 1
            cut = f"{cut} (try {tries} of {MOST_TRIES}; the next one comes by itself)"
            return replace(after, state=GapState.HEALING, tries=tries, done_ms=self._now_ms(), cannot=cut)
        if is_crowded or gap.action in survey.crowded or self._orders.selection.waits(*gap.pair):
            over = f"more than {self._orders.limit} events at once (reconcile.limit); `frontdesk backfill` makes them"
            why = survey.crowded.get(gap.action) or (over if is_crowded else _ITS_ROUTES_WAIT)
            return replace(after, state=GapState.CONFIRM, cannot=why)
        why = (cut and f"{cut} (tried {MOST_TRIES} times)") or survey.cannot.get(gap.action) or gap.cannot
        state = GapState.CANNOT if why else GapState.HEALED
        return replace(after, state=state, cannot=why, tries=0, done_ms=self._now_ms())

    def _now_ms(self) -> int:
        return int(self._tools.clock() * 1_000)

    def _write(self, gaps: Iterable[Gap]) -> None:
        if self._tools.ledger is not None and not self._orders.is_dry:
            self._tools.ledger.write(gaps)

    def _record(self, gaps: Collection[Gap]) -> None:
        """Leave word in the audit log of each gap that is done."""
        if self._tools.ledger is None:
            return
        acts, names = AuditLog(self._tools.client), BusinessNames(self._tools.client).all()
        for gap in gaps:
            if gap.state in DONE:
                acts.record(
                    f"gap.{gap.state.value}",
                    who=self._tools.who,
                    business_id=gap.business_id,
                    business=names.get(gap.business_id),
                    action=gap.action,
                    since=timestamps.show(gap.from_ms),
                    until=timestamps.show(gap.to_ms),
                    found=gap.found,
                    made=gap.made,
                    known=gap.known,
                    gone=gap.gone,
                    cannot=gap.cannot or None,
                )
