"""What pages are made of, each by itself: searches within bounds, runs one at a time, charts, records in lines."""

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import orjson
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from receiver.console.framework import charts, rendering
from receiver.console.framework.bulk_tasks import BulkTasks, Progress, paced
from receiver.console.pages import warnings
from receiver.console.pages.signin import where_next
from receiver.console.selection import bulk_selection, event_search
from receiver.core import ids
from receiver.core.errors import UsageError
from receiver.core.events import EventStatus
from receiver.nexudus.actions import CODES
from receiver.observation.status_snapshot import StatusSnapshot
from receiver.operations import json_views
from receiver.operations.search_query import SearchQuery
from receiver.routing.table_reload import CurrentTable
from receiver.storage.accounting.data_loss import Loss
from receiver.storage.model.entries import PlannedDelivery
from receiver.storage.query import event_reader
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter, StoredEvent
from receiver.storage.redis import connection
from receiver.storage.spool.reports import SpoolReport
from tests.support.events import entry, keep_all
from tests.support.processes import wait_until

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@pytest.fixture
def archive(redis_url: str) -> EventReader:
    """Three hundred events, one in a hundred about Zoë."""
    client: redis.Redis = connection.connect(redis_url)
    for start in range(0, 300, 100):
        names = [("Zo\\u00eb" if number % 200 else "ZOË") if number % 100 == 7 else "Ada" for number in range(100)]
        keep_all(
            client,
            *(entry(f'{{"Id":{start + at},"FullName":"{name}"}}'.encode()) for at, name in enumerate(names)),
        )
    return EventReader(client)


@pytest.mark.parametrize("text", ["zoë", "ZOË", "Zoe\u0308", "Zo\\u00EB"])
def test_a_text_is_found_in_every_event_that_has_it(archive: EventReader, text: str) -> None:
    """However long that takes: the clock stands still."""
    found = event_search.find(archive, SearchQuery(EventFilter(), text), clock=lambda: 0.0)

    assert [stored.envelope.record()["Id"] for stored in found.events] == [207, 107, 7]
    assert (found.more, found.is_cut) == (None, False)


@pytest.mark.parametrize("text", ["Özil", "özil", "ÖZIL", "O\u0308zil"])
@pytest.mark.parametrize(
    "body",
    [
        '{"FullName":"Özil"}'.encode(),
        '{"FullName":"ÖZIL"}'.encode(),
        '{"FullName":"O\u0308zil"}'.encode(),
        rb'{"FullName":"\u00d6zil"}',
        rb'{"FullName":"\u00F6zil"}',
        rb'{"FullName":"o\u0308zil"}',
        b'\xff torn "\\u00d6zil\\',
    ],
)
def test_a_text_is_found_however_it_is_written(body: bytes, text: str) -> None:
    """In any case of letters, escaped or not, accents composed or not, also where the rest is no JSON."""
    wanted = SearchQuery(EventFilter(), text)
    stored = StoredEvent(entry(body).envelope, EventStatus.UNROUTED, ())

    assert wanted.matches(stored)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("STRASSE", '{"Address":"Große Straße"}'.encode()),
        ("😀", rb'{"Note":"\ud83d\ude00"}'),
        ('say "hi"', rb'{"Note":"say \"hi\""}'),
        ("C:\\temp", rb'{"Note":"C:\\temp"}'),
        ('"Online":TRUE', b'{"Online":true}'),
    ],
)
def test_a_text_is_found_by_what_people_read(text: str, body: bytes) -> None:
    """Not by how JSON writes it."""
    assert SearchQuery(EventFilter(), text).matches(StoredEvent(entry(body).envelope, EventStatus.UNROUTED, ()))
    assert not SearchQuery(EventFilter(), text + "x").matches(
        StoredEvent(entry(body).envelope, EventStatus.UNROUTED, ())
    )


def test_a_search_ends_when_its_time_is_up_and_can_go_on(archive: EventReader) -> None:
    """After each step when there is no time at all; its pages together pass every event once, and find all there is."""
    found: list[int] = []
    looked_at: list[int] = []
    after = None
    while True:
        page = event_search.find(archive, SearchQuery(EventFilter(), "zoë"), after=after, budget_s=0)
        found += [stored.envelope.record()["Id"] for stored in page.events]
        looked_at.append(page.looked_at)
        after = page.more
        if after is None:
            break
        assert page.is_cut
        assert page.looked_back_to_ms == ids.milliseconds_of(after)

    assert found == [207, 107, 7]
    assert sum(looked_at) == 300
    assert max(looked_at) <= event_reader.FIRST_BATCH, "no page begins with more than a screenful"


def test_a_search_that_has_time_goes_on(archive: EventReader) -> None:
    """Until its time is up and no longer: what it took is asked after every step."""
    clock = count()

    page = event_search.find(archive, SearchQuery(EventFilter(), "zoë"), budget_s=1.5, clock=lambda: float(next(clock)))

    assert (next(clock), page.is_cut) == (3, True)
    assert event_reader.FIRST_BATCH < page.looked_at <= 3 * event_reader.FIRST_BATCH


def test_a_count_goes_on_where_its_time_was_up(archive: EventReader) -> None:
    """Page by page, each with what those before it counted; no event is counted twice or left out."""
    counted, pages = bulk_selection.SelectionCount(0, 0, None), 0
    while pages == 0 or counted.more:
        counted = bulk_selection.count(
            archive, SearchQuery(EventFilter()), lambda stored: 2, so_far=counted, budget_s=0
        )
        pages += 1
        assert counted.events <= 16 * pages, "without time, a page counts as many as lie between two looks at the clock"

    assert pages >= 300 / 16

    assert (counted.events, counted.weight) == (300, 600)
    assert bulk_selection.count(
        archive, SearchQuery(EventFilter(), "zoë"), lambda stored: 1, budget_s=60
    ) == bulk_selection.SelectionCount(3, 3, None)


def test_a_run_over_many_begins_with_the_oldest_and_says_how_many_there_are(archive: EventReader) -> None:
    """However few were counted before: nobody waits for the count of all."""
    bulk, seen = BulkTasks(), list[str]()

    def step(event_id: str) -> str:
        seen.append(event_id)
        return ""

    bulk.start(
        Progress("replay", "alice", 1), bulk_selection.run_over(archive, SearchQuery(EventFilter(), "zoë"), step)
    )

    wait_until(lambda: bulk.progress and not bulk.progress.is_running, "the run to end")
    assert bulk.progress is not None
    assert (bulk.progress.total, bulk.progress.done, bulk.progress.error) == (3, 3, "")
    assert [archive.get(event_id).envelope.record()["Id"] for event_id in seen] == [7, 107, 207]


def test_one_run_at_a_time_and_it_can_be_stopped() -> None:
    """A second one is refused with who runs what; what was done is counted."""
    bulk = BulkTasks()
    gate = threading.Event()

    def events() -> Iterator[str]:
        yield from ("one", "two")
        gate.wait(20)
        yield from map(str, count())

    bulk.start(Progress("replay", "alice", 1_000), paced(events(), lambda one: "it is busy" if one == "two" else ""))
    wait_until(lambda: bulk.progress and bulk.progress.done == 2, "two to be done")
    with pytest.raises(UsageError, match="^alice already runs a replay"):
        bulk.start(Progress("release", "bob", 1), lambda count, stop: "")
    gate.set()
    bulk.stop()

    ended = bulk.progress
    assert ended is not None
    assert (ended.is_running, ended.error, ended.skipped, ended.reason) == (False, "it was stopped", 1, "it is busy")
    bulk.start(Progress("release", "bob", 1), lambda count, stop: "")
    wait_until(lambda: bulk.progress and not bulk.progress.is_running, "the second run to end")
    assert bulk.progress is not None
    assert (bulk.progress.who, bulk.progress.error) == ("bob", "")


def test_a_run_that_fails_says_why() -> None:
    """And does not block the next."""
    bulk = BulkTasks()

    def run(count: object, stop: threading.Event) -> str:
        raise UsageError("today's table has no such route")

    bulk.start(Progress("replay", "alice", 1), run)

    wait_until(lambda: bulk.progress and not bulk.progress.is_running, "the run to end")
    assert bulk.progress is not None
    assert bulk.progress.error == "today's table has no such route"


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200), st.sampled_from([400, 1_100]))
def test_bars_stay_in_their_chart(values: list[int], width: int) -> None:
    """Whatever the numbers; and what is not nothing is seen."""
    points = [{"time": "", "start_ms": 0, "label": "", "well": value, "dead": value // 7} for value in values]

    chart = charts.stacked_bars(points, ("well", "dead"), width=width, ticks=6)

    for column, value in zip(chart.columns, values, strict=True):
        assert len(column.bars) == (value > 0) + (value >= 7)
        for bar in column.bars:
            assert 0 <= bar.x <= bar.x + bar.width <= width + 0.1
            assert -2 <= bar.y <= bar.y + bar.height <= chart.floor + 0.1
            assert bar.height >= 1.5


@given(JSON)
def test_a_record_in_lines_is_the_record(value: object) -> None:
    """No character is lost or added, however strange."""
    lines = ["".join(text for _, text in line) for line in rendering.record_lines(value)]

    assert orjson.loads("\n".join(lines)) == value


@given(st.text())
def test_after_signing_in_one_is_here(asked: str) -> None:
    """Whatever was asked for."""
    assert where_next(asked).startswith("/console")
    assert "//" not in where_next(f"/console{asked}")


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(0, "0 ms"), (999, "999 ms"), (1_500, "1.5 s"), (60_000, "1 min"), (90_000_000, "25 h"), (172_800_000, "2 d")],
)
def test_lengths_of_time_are_told_in_one_unit(milliseconds: int, shown: str) -> None:
    """The one that suits."""
    assert rendering.span(milliseconds) == shown


def test_times_are_told_by_how_long_ago_they_were() -> None:
    """Ahead too; and what is no time is shown as it is."""
    now_ms = 1_000_000
    told = [
        rendering.ago(value, now_ms) for value in (None, "", 999_900, 940_000, 1_060_000, "<b>", "1970-01-01T00:16:10Z")
    ]

    assert told == ["never", "never", "just now", "1 min ago", "in 1 min", "<b>", "30 s ago"]


def test_what_a_route_in_the_shadow_wanted_is_shown(redis_url: str) -> None:
    """Beside the deliveries, which it is none of."""
    with connection.connect(redis_url) as client:
        one = entry(routes=("live",))
        keep_all(client, one._replace(wanted=(*one.wanted, PlannedDelivery("watching"))))
        shape = json_views.brief(EventReader(client).get(one.envelope.id), redact=False)

    row = rendering.Templates().render("row.html", {"event": shape})

    assert (shape["shadow"], [delivery["route"] for delivery in shape["deliveries"]]) == (["watching"], ["live"])
    assert 'watching<span class="note">shadow</span>' in row


def test_what_alerts_tell_of_store_and_spools_the_overview_tells_too(tmp_path: Path) -> None:
    """In the same words, the gravest first."""
    standing = dict.fromkeys(EventStatus, 0)
    spool = SpoolReport("s", "ann", "/var", 0, 0, 0, 1_000, "no space left")
    unfit = {"eviction": "maxmemory-policy is allkeys-lru"}
    routes = CurrentTable(tmp_path / "routes.yaml", known_actions=CODES, data_dir=tmp_path)
    snapshot = StatusSnapshot(1_000, standing=standing, spools=(spool,), unfit=unfit, losses=(Loss("0123", 1, 2),))

    told = [one["text"] for one in warnings.found(routes, snapshot, None)]

    assert [text.partition(".")[0] for text in told] == [
        "The store has lost its data",
        "The Redis server can lose events: eviction",
        "A receiver on ann cannot spool",
    ]
