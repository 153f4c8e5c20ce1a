"""The results as Markdown: all in `build/bench/report.md`, the rows with a goal between two marks of README.md."""

from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import chart, results
from tests.benchmarks.environments import HOME, ROOT
from tests.benchmarks.results import Result, Row, Table

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
"""Between these two lines of README.md stands what `python -m tests.benchmarks readme` writes."""

ORDER = ("ingest", "delivery", "waiting", "latency", "memory", "backlog", "routes", "outage", "flatness", "cost")

README = ROOT / "README.md"
PICTURE = ROOT / "deploy" / "benchmarks.svg"


def gathered(folder: Path = results.FOLDER) -> list[Result]:
    """Return what is kept of the last run of each benchmark."""
    files = {file.stem: file for file in folder.glob("*.json")}
    return [results.read(files[name]) for name in ORDER if name in files]


def write() -> list[Path]:
    """Write the report and the picture of everything that is kept; returns where."""
    found = gathered()
    page = HOME / "report.md"
    page.write_text("\n\n".join(["# Benchmarks", *(_section(result) for result in found)]) + "\n", encoding="utf-8")
    picture = HOME / "report.svg"
    picture.write_text(chart.svg([each for result in found for each in result.charts]), encoding="utf-8")
    return [page, picture]


def write_readme(folder: Path = results.FOLDER, *, readme: Path = README, picture: Path = PICTURE) -> list[Path]:
    """Put the rows that have a goal into README.md, and the picture beside it; returns what was written."""
    found = gathered(folder)
    text = readme.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    assert end, f"README.md: the lines {BEGIN} and {END} are missing; put them where the table shall stand"
    rows = [row for result in found for row in result.rows if row.sense != "told"]
    machines = sorted({result.machine for result in found})
    body = f"{_rows(rows)}\n\nMeasured with `make bench` on {'; '.join(machines)}: medians, and the rounds' extremes."
    readme.write_text(f"{head}{begin}\n{body}\n{end}{tail}", encoding="utf-8")
    picture.write_text(chart.svg([each for result in found for each in result.charts]), encoding="utf-8")
    return [readme, picture]


def text(result: Result) -> str:
    """One result for a terminal: the rows, then the tables, in columns."""
    parts = []
    if result.rows:
        head = ("", "goal", "measured", "")
        parts.append(
            _aligned([head, *((row.what, row.goal_text, row.measured_text, _mark(row)) for row in result.rows)])
        )
    parts += [f"{table.title}\n{_aligned([table.columns, *table.lines])}" for table in result.tables]
    return "\n\n".join([f"== {result.name} ==", *parts, *result.notes])


def _section(result: Result) -> str:
    parts = [f"## {result.name}", f"`{result.command}`, {result.made}, {result.machine}"]
    parts += [_rows(result.rows)] if result.rows else []
    parts += [part for table in result.tables for part in (f"### {table.title}", _markdown(table))]
    return "\n\n".join([*parts, *(f"- {note}" for note in result.notes)])


def _rows(rows: Sequence[Row]) -> str:
    lines = [(row.what, row.goal_text, row.measured_text, _mark(row)) for row in rows]
    return _markdown(Table("", ("what", "goal", "measured", ""), lines))


def _mark(row: Row) -> str:
    return {True: "reached", False: "not reached", None: ""}[row.is_reached]


def _markdown(table: Table) -> str:
    lines = [table.columns, ["---"] * len(table.columns), *table.lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )
