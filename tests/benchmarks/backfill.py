"""Back-fill of a night without webhooks: how many calls to Nexudus it costs, and how long they take at 80 a minute."""

import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from receiver.nexudus import actions
from receiver.nexudus.api.entities import Entities
from receiver.nexudus.api.entities import Row as Record
from receiver.reconcile.backfill_run import BackfillReport, BackfillRun, Orders, Tools
from receiver.reconcile.route_selection import RouteSelection
from receiver.routing import file
from receiver.storage.shared.gap_ledger import Gap, GapState, GapWhy
from tests.benchmarks.results import Result, Row, Spread
from tests.benchmarks.rounds import say
from tests.benchmarks.stand import Stand
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import Process, command

_NIGHT: Final = timedelta(hours=8)
_CALLS_PER_MINUTE: Final = 80
_TABLE: Final = 'routes: [{action: "*", handler: log}]'

KINDS: Final[Mapping[str, int]] = {"Booking": 10, "CoworkerInvoice": 5, "CoworkerContract": 5, "Checkin": 5}
"""Records of a kind that change at one location in a night; `?id=[…]` serves for all of them."""

CUSTOMERS: Final = 2
"""Customers that change at one location besides: each is a call of its own."""


class _Counted(Entities):
    """Counts the calls that fetch records of KINDS."""

    fetches = 0

    def many(self, kind: str, path: str, numbers: Collection[int]) -> dict[int, Record]:
        self.fetches += kind in KINDS
        return super().many(kind, path, numbers)

    def one(self, kind: str, path: str, number: int) -> Record | None:
        self.fetches += kind in KINDS
        return super().one(kind, path, number)


def run(*, locations: int) -> Result:
    """Back-fill a night of so many locations, all 89 actions of each, without and with customers."""
    records = locations * sum(KINDS.values())
    say(f"  a night of {locations} locations with {records} changed records")
    quiet, _, _ = _night(locations, {})
    calls, fetches, made = _night(locations, KINDS)
    people, _, _ = _night(locations, {**KINDS, "Coworker": CUSTOMERS})
    night = f"back-fill, {locations} locations, a night with {records} changed records"
    rows = [
        Row(f"{night}: calls that fetch records", "", _one(fetches), "at most", records / 50, 0),
        Row(f"{night}: all calls", "", _one(calls), digits=0),
        Row(f"{night}: time at {_CALLS_PER_MINUTE} calls/min", "min", _one(calls / _CALLS_PER_MINUTE), digits=1),
        Row(f"{night}: events made", "", _one(made), digits=0),
        Row(f"{night}, and {locations * CUSTOMERS} customers: all calls", "", _one(people), digits=0),
        Row(
            f"back-fill, {locations} locations, a night in which nothing happened: all calls", "", _one(quiet), digits=0
        ),
    ]
    return Result("backfill", f"python -m tests.benchmarks backfill --events {records}", rows)


def _one(value: float) -> Spread:
    return Spread.of([value])


def _night(locations: int, kinds: Mapping[str, int]) -> tuple[int, int, int]:
    """Return how many calls it took, how many of them fetched records, and how many events it made."""
    businesses = range(1001, 1001 + locations)
    with Stand(pin=False) as stand:
        named = [word for business_id in businesses for word in ("--business", str(business_id))]
        simulate = command("simulate", "--port", "0", "--rate", "0", *named)
        process = Process(simulate, log=Path(stand.folder) / "simulate.log", environ=stand.environ())
        nexudus = SimulatedNexudus(process)
        try:
            end = datetime.now(UTC)
            for kind, number in kinds.items():
                for turn, business_id in enumerate(businesses):
                    _change(nexudus, kind, business_id, number, end, is_new=turn % 2 == 0)
            report, fetches = _fill(stand, nexudus, businesses, end)
        finally:
            nexudus.close()
            process.end()
    return report.calls, fetches, sum(gap.made for gap in report.gaps)


def _change(
    nexudus: SimulatedNexudus, kind: str, business_id: int, number: int, end: datetime, *, is_new: bool
) -> None:
    """Let records of a kind be new in the night, or old and changed in it."""
    begin, middle = end - _NIGHT + timedelta(minutes=5), end - _NIGHT / 2
    old = end - timedelta(days=40)
    since, until = (begin, middle) if is_new else (old, old + timedelta(days=1))
    fields = {} if is_new else {"UpdatedOn": middle.strftime("%Y-%m-%dT%H:%M:%SZ")}
    nexudus.stock(kind, business_id, since=since.isoformat(), until=until.isoformat(), count=number, fields=fields)


def _fill(stand: Stand, nexudus: SimulatedNexudus, businesses: range, end: datetime) -> tuple[BackfillReport, int]:
    to_ms = int(end.timestamp() * 1_000)
    from_ms = to_ms - int(_NIGHT.total_seconds() * 1_000)
    gaps = [
        Gap(f"{place}-{name}", place, name, from_ms, to_ms, GapWhy.DISABLED, GapState.HEALING)
        for place in businesses
        for name in actions.NAMES
    ]
    table = file.parse(_TABLE, file="routes.yaml", known_actions=actions.CODES)
    with nexudus.client() as http:
        entities = _Counted(http)
        tools = Tools(stand.client, entities, check=lambda: None, clock=time.time)
        report = BackfillRun(tools, Orders(RouteSelection(table))).fill(gaps)
    return report, entities.fetches
