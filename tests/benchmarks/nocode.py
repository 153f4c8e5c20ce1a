"""What a route without code costs a worker for each delivery: a template, a record that is cached, a row."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from receiver.core.events import Event
from receiver.core.settings import from_environ
from receiver.nexudus.actions import CODES
from receiver.routing import file
from receiver.routing.route import Route
from tests.benchmarks.results import Result, Row, Spread
from tests.benchmarks.rounds import say
from tests.benchmarks.stand import Stand
from tests.support.handled import an_event
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import Process, command, environment
from workers.handlers import sql_store
from workers.nexudus.nexudus_transport import NexudusTransport
from workers.plugins import route_handler
from workers.plugins.enrichment_reader import Enricher
from workers.plugins.injection import NexudusProvider
from workers.templates import Template

_MEMBER = 1_409_384_711
_TEMPLATE = """\
**{{ data.CoworkerFullName }}** comes on {{ data.FromTime | local("%A, %H:%M", zone="Europe/Paris") }}
and pays {{ data.EstimatedCost | money("EUR") }}{% if data.Notes %}: {{ data.Notes }}{% endif %}.
"""
_ROUTES = """\
routes:
  - name: rows
    action: BookingCreate
    enrich: {member: {kind: Coworker, id: data.CoworkerId}}
    handler: sql
    with:
      url: sqlite:///%s
      table: rows
      columns:
        name: "{{ data.CoworkerFullName }}"
        cost: {cel: data.EstimatedCost * 1.2}
        starts: "{{ data.FromTime }}"
"""


def run(*, rounds: int, calls: int) -> Result:
    """Measure each of them so many times, over *calls* deliveries; nothing else runs, and the store is our own."""
    found: dict[str, list[float]] = {"a template": [], "a record that is cached": [], "a row in SQLite": []}
    with Stand() as stand, _simulated(stand) as nexudus:
        route = _route(stand.folder)
        transport = NexudusTransport(from_environ(_settings(stand, nexudus)))
        enricher = Enricher(route, NexudusProvider(transport, writes=False, timeout_s=30.0))
        template, write = Template(_TEMPLATE), _row(route, stand.folder)
        for turn in range(rounds):
            say(f"  round {turn + 1} of {rounds}: {calls} deliveries of each")
            found["a template"].append(_us_each(lambda event: template.render(event), calls))
            found["a record that is cached"].append(_us_each(enricher.read, calls))
            found["a row in SQLite"].append(_us_each(write, calls))
        transport.close()
    rows = [
        Row(f"worker's processor time for {name}, per delivery", "µs", Spread.of(each), digits=0)
        for name, each in found.items()
    ]
    command_line = f"python -m tests.benchmarks nocode --rounds {rounds} --events {calls}"
    note = "one thread; beside it a cached record waits for one call of the store, and a row for the disk"
    return Result("nocode", command_line, rows, notes=[note])


def _us_each(work: Callable[[Event], object], calls: int) -> float:
    events = [_event(number) for number in range(calls)]
    work(events[0])  # connects, signs in, looks at the table
    began = time.thread_time()
    for event in events:
        work(event)
    return (time.thread_time() - began) / calls * 1e6


def _event(number: int) -> Event:
    record = {"Id": number, "CoworkerId": _MEMBER, "CoworkerFullName": "Zoë", "EstimatedCost": 12.5, "Notes": None}
    key = f"{time.monotonic_ns():020d}{number}"
    return an_event(key=key, data=record | {"FromTime": "2026-07-01T20:30:00Z"})


def _route(folder: Path) -> Route:
    (route,) = file.parse(_ROUTES % (folder / "rows.db"), file="routes.yaml", known_actions=CODES).routes
    return route


def _row(route: Route, folder: Path) -> Callable[[Event], object]:
    """Return what writes a row, without the reading of records."""
    handler = route_handler.load(route, environ={}, folder=folder)
    assert handler.preview is not None
    rows = sql_store.table(str(route.options["url"]), "rows")
    rows.create("event_key", dict(handler.preview(_event(0))["row"]))
    return handler.call


def _settings(stand: Stand, nexudus: SimulatedNexudus) -> dict[str, str]:
    return {
        "FRONTDESK_REDIS_URL": stand.valkey.url,
        "FRONTDESK_NEXUDUS_URL": nexudus.url,
        "FRONTDESK_NEXUDUS_USERNAME": "demo@example.com",
        "FRONTDESK_NEXUDUS_PASSWORD": "demo",
    }


@contextlib.contextmanager
def _simulated(stand: Stand) -> Iterator[SimulatedNexudus]:
    process = Process(
        command("simulate", "--port", "0", "--rate", "0"), log=stand.folder / "nexudus.log", environ=environment()
    )
    one = SimulatedNexudus(process)
    try:
        yield one
    finally:
        one.close()
        process.end()
