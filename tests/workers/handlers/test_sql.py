"""sql writes exactly one row an event, or one a record, into real databases, and says why it cannot."""

import itertools
import random
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from receiver.core.errors import HandlerError
from receiver.core.events import Event, Outcome
from tests.support import postgres
from tests.support.handled import an_event
from workers.handlers import sql_store
from workers.plugins import loader
from workers.run.execution import AttemptResult, run

_NUMBERS = itertools.count()
COLUMNS = {
    "member": "{{ data.CoworkerFullName }}",
    "cost": "{{ data.EstimatedCost }}",
    "starts": "{{ data.FromTime }}",
    "paid": "{{ data.Paid }}",
    "tags": "{{ data.Tags }}",
    "notes": "{{ data.Notes }}",
}
RECORD = {
    "Id": 77, "CoworkerFullName": "Zoë 🥶", "EstimatedCost": 12.5, "FromTime": "2026-07-01T20:30:00Z", "Paid": True,
    "Tags": ["vip"], "Notes": None,
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/rows.db"
    return postgres.new_database(request.getfixturevalue("postgres_server"), f"rows{next(_NUMBERS)}")


def event(**changes: Any) -> Event:
    return an_event(**({"data": RECORD} | changes))


def loaded(url: str, **options: Any) -> loader.Handler:
    given = {"url": "env/DATABASE", "table": "bookings", "columns": COLUMNS} | options
    given = {name: value for name, value in given.items() if value is not None}
    return loader.load("sql", given, environ={"DATABASE": url}, folder=Path())


def written(url: str, one: Event | None = None, **options: Any) -> AttemptResult:
    return run(loaded(url, **options), one or event())


def made(url: str, **options: Any) -> None:
    """Make the table as `frontdesk check --create-tables` does."""
    handler = loaded(url, **options)
    assert handler.preview is not None
    row = handler.preview(event())["row"]
    key = "entity" if options.get("mode") == "upsert" else "event_key"
    assert sql_store.table(url, "bookings").create(key, row)
    assert not sql_store.table(url, "bookings").create(key, row)


def execute(url: str, *statements: str) -> list[dict[str, Any]]:
    engine = sa.create_engine(url)
    rows: list[dict[str, Any]] = []
    with engine.begin() as connection:
        for statement in statements:
            result = connection.execute(sa.text(statement))
            rows = [dict(row) for row in result.mappings()] if result.returns_rows else []
    engine.dispose()
    return rows


def test_a_row_has_the_values_of_its_event_in_the_types_of_its_columns(url: str) -> None:
    """Made by us: amounts are decimals, times are times, lists JSON, null null."""
    made(url)

    assert written(url) == AttemptResult(Outcome.SUCCEEDED)
    (row,) = execute(url, "SELECT * FROM bookings")

    assert (row["event_key"], row["member"], float(row["cost"])) == ("00m5x2k1qabcdefg0001", "Zoë 🥶", 12.5)
    assert str(row["starts"]).startswith("2026-07-01 20:30:00") or row["starts"].utctimetuple()[:5] == (
        2026,
        7,
        1,
        20,
        30,
    )
    assert (bool(row["paid"]), row["notes"]) == (True, None)
    assert row["tags"] in (["vip"], '["vip"]')


def test_without_columns_the_whole_record_is_one_of_them(url: str) -> None:
    """Beside what the event is."""
    made(url, columns=None)

    assert written(url, columns=None).outcome is Outcome.SUCCEEDED
    (row,) = execute(url, "SELECT * FROM bookings")

    assert {*row} == {"event_key", "event_id", "action", "business_id", "received_at", "record"}
    assert (row["action"], row["business_id"]) == ("BookingCreate", 1001)
    assert "Zoë" in str(row["record"]) or "\\u00eb" in str(row["record"])


def test_a_retry_and_a_replay_write_no_second_row(url: str) -> None:
    """However many workers run them at once."""
    made(url)
    handler, results = loaded(url), list[AttemptResult]()
    threads = [threading.Thread(target=lambda: results.append(run(handler, event()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [result.outcome for result in results] == [Outcome.SUCCEEDED] * 8, results
    assert len(execute(url, "SELECT * FROM bookings")) == 1


def test_an_older_event_never_overwrites_a_newer_one(url: str) -> None:
    """In whatever order and by however many workers at once; another record has its own row."""
    made(url, mode="upsert")
    handler, failed = loaded(url, mode="upsert"), list[AttemptResult]()
    versions = [
        event(id=f"00m5x2k1qabcdefg{number:04}", data=RECORD | {"EstimatedCost": float(number)}) for number in range(20)
    ]
    shuffled = random.Random(7).sample(versions, k=20)

    def work(mine: list[Event]) -> None:
        failed.extend(result for one in mine if (result := run(handler, one)).outcome is not Outcome.SUCCEEDED)

    threads = [threading.Thread(target=work, args=(shuffled[at::4],)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other = run(handler, event(id="0" * 20, data=RECORD | {"Id": 78}))
    again = run(handler, versions[3])

    assert failed == []
    assert (other.outcome, again.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED)
    rows = execute(url, "SELECT * FROM bookings ORDER BY entity")
    assert [(row["entity"], float(row["cost"]), row["event_id"]) for row in rows] == [
        ("Booking:77", 19.0, "00m5x2k1qabcdefg0019"), ("Booking:78", 12.5, "0" * 20),
    ]  # fmt: skip


BY_HAND = "CREATE TABLE bookings (event_key VARCHAR(80) PRIMARY KEY, member TEXT, cost {cost}, starts DATE, {more})"


def test_a_table_that_was_made_by_hand_decides_the_types(url: str) -> None:
    """A date of a time, a whole number as text."""
    execute(url, BY_HAND.format(cost="TEXT", more="paid INTEGER, tags TEXT, notes TEXT, extra INTEGER DEFAULT 5"))

    ended = written(url, columns=COLUMNS | {"paid": "{{ 1 if data.Paid else 0 }}", "cost": "{{ data.EstimatedCost }}"})

    assert ended.outcome is Outcome.SUCCEEDED, ended
    (row,) = execute(url, "SELECT * FROM bookings")
    assert (row["cost"], str(row["starts"]), row["paid"], row["tags"]) == ("12.5", "2026-07-01", 1, '["vip"]')
    assert row["extra"] == 5


@pytest.mark.parametrize(
    ("table", "options", "sentence"),
    [
        ("", {}, "there is no table bookings; make it by hand or by frontdesk check --create-tables"),
        ("CREATE TABLE bookings (event_key VARCHAR(80) PRIMARY KEY, member TEXT)", {}, "has no column cost"),
        ("CREATE TABLE bookings (event_key VARCHAR(80), member TEXT)", {}, "event_key of the table bookings is not u"),
        ("CREATE TABLE bookings (member TEXT)", {}, "has no column event_key"),
        ("CREATE TABLE bookings (entity VARCHAR(80) PRIMARY KEY)", {"mode": "upsert"}, "has no column event_id"),
        ("CREATE TABLE bookings (event_key VARCHAR(80) PRIMARY KEY, member INTEGER)",
         {"columns": {"member": "{{ data.CoworkerFullName }}"}}, "the value for the column member is no INTEGER"),
        ("CREATE TABLE bookings (event_key VARCHAR(80) PRIMARY KEY, member TEXT NOT NULL)",
         {"columns": {"member": "{{ data.Notes }}"}}, "the database refuses the row: "),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_fails_the_attempt(
    url: str, table: str, options: dict[str, Any], sentence: str
) -> None:
    """By the route's schedule: somebody may mend the table meanwhile. No name is in the sentence."""
    if table:
        execute(url, table)

    ended = written(url, **options)

    assert (ended.outcome, ended.final, ended.target_down) == (Outcome.FAILED, False, False)
    assert sentence in (ended.error or "")
    assert "Zoë" not in (ended.error or "")


def test_a_table_that_is_mended_is_found_at_the_next_attempt(url: str) -> None:
    """Without a new process."""
    execute(url, "CREATE TABLE bookings (event_key VARCHAR(80) PRIMARY KEY)")
    assert written(url, columns={"member": "x"}).outcome is Outcome.FAILED

    execute(url, "ALTER TABLE bookings ADD COLUMN member TEXT")

    assert written(url, columns={"member": "x"}).outcome is Outcome.SUCCEEDED


def test_a_database_that_is_away_is_a_target_that_is_down(tmp_path: Path) -> None:
    """The route waits for it; its password is not in the sentence."""
    ended = written("postgresql+psycopg://me:s3cr3t@127.0.0.1:9/rows")
    unopened = written(f"sqlite:///{tmp_path}/no/such/folder/rows.db")

    assert (ended.outcome, ended.target_down) == (Outcome.FAILED, True)
    assert "DatabaseDown: the database is not reached" in (ended.error or "")
    assert "s3cr3t" not in (ended.error or "")
    assert unopened.target_down


def test_a_database_that_is_full_fails_the_attempt(tmp_path: Path) -> None:
    """And no row is there in part."""
    url = f"sqlite:///{tmp_path}/rows.db"
    made(url)
    engine = sql_store.table(url, "bookings")._engine

    @sa.event.listens_for(engine, "begin")
    def _full(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")

    ended = written(url, event(data=RECORD | {"CoworkerFullName": "x" * 90_000}))

    assert ended.outcome is Outcome.FAILED
    assert "full" in (ended.error or "")
    assert execute(url, "SELECT * FROM bookings") == []


def test_a_record_without_an_id_has_no_row_of_its_own(tmp_path: Path) -> None:
    """Under upsert; append writes it."""
    ended = written(f"sqlite:///{tmp_path}/rows.db", event(data={}), mode="upsert", columns={"member": "x"})

    assert "the record has no Id" in (ended.error or "")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"url": "postgresql://me:s3cr3t@db/rows"}, "holds a password, so it must be env/NAME or file/PATH"),
        ({"url": "rows.db"}, "is no URL of a database"),
        ({"table": "a; DROP TABLE b"}, "must be the name of a table, or SCHEMA.TABLE"),
        ({"mode": "replace"}, "option 'mode'"),
        ({"columns": {"a b": "x"}}, "'a b' is no name of a column"),
        ({"columns": {"event_key": "x"}}, "'event_key' is written by itself"),
        ({"columns": {"a": "{{ data."}}, "option 'columns': a is no template"),
        ({"columns": {}}, "must be a mapping of columns to values"),
    ],
)
def test_wrong_options_are_refused_when_routes_are_loaded(options: dict[str, Any], sentence: str) -> None:
    """A table's name and a column's never become SQL."""
    with pytest.raises(HandlerError) as refused:
        loader.load("sql", {"url": "sqlite://", "table": "t"} | options, environ={}, folder=Path())

    assert sentence in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_a_column_can_be_an_expression(url: str) -> None:
    """Of CEL, beside templates; any value, with its type."""
    columns = {
        "name": "{{ data.CoworkerFullName }}",
        "gross": {"cel": "data.EstimatedCost * 1.2"},
        "large": {"cel": "data.EstimatedCost > 10.0 && action == 'BookingCreate'"},
        "begins": {"cel": "timestamp(data.FromTime) + duration('1h')"},
        "hour": {"cel": "timestamp(data.FromTime).getHours('Europe/Paris')"},
        "tags": {"cel": "data.Tags.filter(tag, tag != 'vip')"},
        "notes": {"cel": "data.Notes"},
    }
    made(url, columns=columns)

    assert written(url, columns=columns) == AttemptResult(Outcome.SUCCEEDED)
    (row,) = execute(url, "SELECT * FROM bookings")

    assert (row["name"], float(row["gross"]), bool(row["large"]), int(row["hour"])) == ("Zoë 🥶", 15.0, True, 22)
    assert str(row["begins"]).startswith("2026-07-01 21:30") or row["begins"].utctimetuple()[3:5] == (21, 30)
    assert (row["tags"] in ([], "[]"), row["notes"]) == (True, None)


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("data.Cost >", "is no expression: is not CEL"),
        ("dta.Cost", "is no expression: unknown variable 'dta'; did you mean data?"),
        ("data.map(x, x)", "is no expression: map\\(\\) is refused"),
        (5, "is no expression"),
    ],
)
def test_what_is_no_expression_is_refused_when_routes_are_loaded(expression: object, sentence: str) -> None:
    """With the name of the column."""
    with pytest.raises(HandlerError, match=f"columns.*cost.cel {sentence}") as refused:
        loaded("sqlite://", columns={"cost": {"cel": expression}})
    assert refused.value.option == "columns"


def test_an_expression_that_fails_on_an_event_ends_it_with_the_reason(tmp_path: Path) -> None:
    """And nothing of the record in it. A mapping that is deeper, or holds more, is a value as before."""
    url = f"sqlite:///{tmp_path}/rows.db"
    made(url)

    result = written(url, columns={"cost": {"cel": "data.NoSuch + 1"}})

    assert (result.final, result.error) == (
        True,
        "TemplateFailed: the expression fails: there is no 'NoSuch' in it (data.NoSuch + 1)",
    )
    preview = loaded(url, columns={"tags": {"cel": "{{ data.Id }}", "x": 1}, "notes": {"a": {"cel": "1 +"}}}).preview
    assert preview is not None
    assert preview(event())["row"]["tags"] == {"cel": 77, "x": 1}
