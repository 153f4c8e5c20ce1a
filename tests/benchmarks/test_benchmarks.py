"""The benchmarks still run: tiny ones of Frontdesk and the yardstick, and what makes tables and pictures of them.

Nothing here looks at how fast anything was.
"""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from receiver.nexudus import payload, signature
from tests.benchmarks import (
    chart,
    delivery,
    environments,
    fleets,
    ingest,
    memory,
    nocode,
    receivers,
    records,
    report,
    results,
)
from tests.benchmarks.environments import Missing
from tests.benchmarks.results import Bar, Chart, Result, Row, Spread, Table
from tests.benchmarks.rounds import Rounds
from tests.benchmarks.stand import Stand

RESULT = Result(
    "ingest",
    "python -m tests.benchmarks ingest",
    [
        Row("ingest / peer", "×", Spread.ratio([9.0, 30.0, 11.0], [1.0, 3.0, 1.0]), "at least", 9.0, 1),
        Row("slowest", "ms", Spread.of([310.0]), "at most", 300.0, 0),
        Row("told", "MB", Spread.of([1.0, 2.0])),
    ],
    [Table("Ingest", ("receiver", "events/s"), [("Frontdesk", "9,000")])],
    [
        Chart(
            "Events", "events/s", [Bar("peer <1>", Spread.of([900.0])), Bar("Frontdesk", Spread.of([8_000.0, 9_500.0]))]
        )
    ],
    ["a note"],
)


def test_a_tiny_benchmark_of_ingest_runs() -> None:
    """Every request is taken under an `Id` of its own, and stored."""
    result = ingest.run(rounds=1, seconds=0.2, peers=False)

    (table,) = result.tables
    found = {line[0]: dict(zip(table.columns, line, strict=True)) for line in table.lines}
    assert {receivers.OURS, receivers.OURS_ALWAYS, receivers.BARE} == set(found)
    assert [(line["refused"], line["not stored"]) for line in found.values()] == [("0", "0")] * 3
    assert len(result.rows) == 3
    assert not [note for note in result.notes if "NOT MEASURED" in note]


def test_a_tiny_benchmark_of_deliveries_runs() -> None:
    """Every delivery leaves its mark once, and ends as succeeded."""
    with Stand(pin=False) as stand:
        delivery.drain(stand, fleets.Fleet(fleets.OURS, fleets.fleets()[0].workers, _preload, 200, 20), 1.0, 0)
        marks = stand.marks.read_bytes().splitlines()

    assert 200 == len({line.split()[0] for line in marks}) == len(marks)


def test_an_event_takes_no_more_memory_than_is_promised() -> None:
    """2.0 KB of the store, everything counted, while it is queued, and not more when it is over and kept."""
    result = memory.run(events=2_000, peers=False)

    (table,) = result.tables
    bytes_each = [int(str(line[1]).replace(",", "")) for line in table.lines]
    assert len(bytes_each) == 2, result.notes
    assert max(bytes_each) <= 2_000


def _preload(stand: Stand, number: int) -> None:
    fleets.fleets()[0].preload(stand, number)


def test_the_event_is_the_one_of_the_goals() -> None:
    """A signed booking of 1.5 KB that our receiver reads, each with another `Id`."""
    make = records.requests("/x", 1, "secret")
    head, _, body = make(1_400_000_007).partition(b"\r\n\r\n")
    (record,) = payload.split(body)
    given = dict(line.split(b": ") for line in head.splitlines()[1:])

    assert record.data["Id"] == 1_400_000_007
    assert 1_450 <= len(body) <= 1_550
    assert str(len(body)).encode() == given[b"Content-Length"]
    assert signature.verify(body, given[signature.HEADER.encode()].decode(), ["secret"]) == "raw"
    assert record.data["UniqueId"] != orjson.loads(make(1_400_000_008).partition(b"\r\n\r\n")[2])[0]["UniqueId"]


def test_ratios_are_those_of_neighbours() -> None:
    """A round that was slow for both counts like any other."""
    assert Spread(10.0, 9.0, 11.0) == RESULT.rows[0].value
    assert tuple(row.is_reached for row in RESULT.rows) == (True, False, None)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    """What is kept of a run makes the same report later."""
    again = results.read(RESULT.write(tmp_path))

    assert report.text(again) == report.text(RESULT)
    assert [RESULT.name] == [result.name for result in report.gathered(tmp_path)]


def test_the_tables_go_between_the_marks_of_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands around it stays; rows without a goal are left out; a second run changes nothing."""
    readme, scaling, picture = (tmp_path / name for name in ("README.md", "SCALING.md", "picture.svg"))
    monkeypatch.setattr(report, "DECIDING", {"slowest": "the slowest answer"})
    (begin, end), *others = (report.marks(name) for name in (report.SHORT, report.GOALS, report.COSTS))
    scaling.write_text("".join(f"{first}\n{last}\n" for first, last in others))
    RESULT.write(tmp_path)
    replace(RESULT, name="cost", rows=RESULT.rows[2:]).write(tmp_path)
    readme.write_text(f"before\n{begin}\nold\n{end}\nafter\n")

    report.write_pages(tmp_path, readme=readme, scaling=scaling, picture=picture)
    once = readme.read_text(), scaling.read_text()
    report.write_pages(tmp_path, readme=readme, scaling=scaling, picture=picture)

    assert once == (readme.read_text(), scaling.read_text())
    assert once[0].startswith(f"before\n{begin}\n| what | measured |")
    assert once[0].endswith(f"{end}\nafter\n")
    assert "| the slowest answer | 310 ms |" in once[0]
    assert "peer" not in once[0]
    assert "| ingest / peer | ≥ 9 × | 10.0 (9.0 to 11.0) × | reached | `ingest` |" in once[1]
    assert "| slowest | ≤ 300 ms | 310 ms | not reached, by 3% | `ingest` |" in once[1]
    assert "told" not in once[1].partition(report.marks(report.GOALS)[1])[0]
    assert "| told | 1.50 (1.00 to 2.00) MB |" in once[1]


def test_the_rows_of_the_readme_are_there() -> None:
    """A benchmark that was renamed would drop out of it in silence."""
    scaling, readme = report.SCALING.read_text(), report.README.read_text()

    assert [what for what in report.DECIDING if f"| {what} |" not in scaling] == []
    assert [words for words in report.DECIDING.values() if f"| {words} |" not in readme] == []


def test_the_picture_is_well_formed_and_sorted() -> None:
    """Names are escaped; the longest bar comes first."""
    tree = ET.fromstring(chart.svg(RESULT.charts))

    labels = [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text") if text.get("text-anchor") == "end"]
    assert labels == ["Frontdesk", "peer <1>"]


def test_who_fails_is_left_out_loudly(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are measured on; the reason is in the notes and on the terminal."""
    measured: Rounds[str, float] = Rounds(["ours", "theirs"], str)

    def measure(who: str) -> float:
        if who == "theirs":
            raise Missing("node is not installed on this machine")
        return 1.0

    measured.run(3, measure)

    assert measured.found == {"ours": [1.0, 1.0, 1.0]}
    assert measured.notes == ["NOT MEASURED: theirs: node is not installed on this machine"]
    assert "NOT MEASURED: theirs" in capsys.readouterr().err


def test_a_missing_program_says_how_to_get_it() -> None:
    """One sentence."""
    with pytest.raises(Missing, match=r"nobody-has-this is not installed .*apt-get install some-package"):
        environments.program("nobody-has-this", "some-package")


def test_a_tiny_benchmark_of_routes_without_code_runs() -> None:
    """A template, a cached record, a row: each takes some time."""
    result = nocode.run(rounds=1, calls=3)

    assert [row.value.median > 0 for row in result.rows] == [True] * 3
