"""The results as Markdown: all in `build/bench/report.md`, tables between marks of README.md and deploy/SCALING.md."""

from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import chart, results
from tests.benchmarks.environments import HOME, ROOT
from tests.benchmarks.results import Result, Row, Table

MARKS = "<!-- {}: begin -->", "<!-- {}: end -->"
"""Between two such lines of a page stands what `python -m tests.benchmarks readme` writes."""

SHORT, GOALS, COSTS = "benchmarks", "goals", "costs"
"""The names of the marks: a few rows in README.md; all that have a goal, and what an event costs, in SCALING.md."""

DECIDING = {
    "ingest / Starlette + rq.enqueue": "events received a second, beside Starlette with RQ",
    "ingest / FastAPI + Celery": "events received a second, beside FastAPI with Celery",
    "ingest / Node-RED + Redis": "events received a second, beside Node-RED that keeps them in Redis",
    "deliveries / rq worker": "deliveries a second, beside `rq worker`",
    "deliveries / Celery": "deliveries a second, beside Celery",
    "request sent to handler started, idle: p99": "from the request to the start of the handler, 99 % of requests",
    "memory in the store for a queued event of 1.5 KB with one route": "memory of the store for an event of 1.5 KB",
    "store stopped for 2 s at 300 events/s: slowest answer": "store stopped for 2 s: slowest answer",
    "store stopped for 2 s at 300 events/s: lost": "store stopped for 2 s: events lost",
}
"""What a user decides by: rows that README.md shows, in its words."""

ORDER = (
    "ingest",
    "open-loop",
    "delivery",
    "waiting",
    "latency",
    "memory",
    "backlog",
    "routes",
    "outage",
    "flatness",
    "cost",
)

_PROGRAM = "python -m tests.benchmarks "

README = ROOT / "README.md"
SCALING = ROOT / "deploy" / "SCALING.md"
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


def write_pages(
    folder: Path = results.FOLDER, *, readme: Path = README, scaling: Path = SCALING, picture: Path = PICTURE
) -> list[Path]:
    """Put a few rows into README.md, all that have a goal and those of `cost` into SCALING.md, the bars into a picture.

    Returns what was written.
    """
    found = gathered(folder)
    rows = [(row, result) for result in found for row in result.rows if row.sense != "told"]
    machines = "; ".join(sorted({result.machine for result in found}))
    short = [(DECIDING[row.what], row.measured_text) for row, _ in rows if row.what in DECIDING]
    _put(readme, SHORT, f"{_markdown(Table('', ('what', 'measured'), short))}\n\nOn {machines}.")
    lines = [
        (row.what, row.goal_text, row.measured_text, row.verdict, f"`{result.command.removeprefix(_PROGRAM)}`")
        for row, result in rows
    ]
    told = (
        f"Measured with `{_PROGRAM.strip()}` and what the last column says, on {machines}: medians, and the extremes "
        "of the rounds."
    )
    _put(scaling, GOALS, f"{_markdown(Table('', ('what', 'goal', 'measured', '', 'command'), lines))}\n\n{told}")
    for result in found:
        if result.name == "cost":
            _put(scaling, COSTS, "\n\n".join([f"`{result.command}`, on {result.machine}:", *_body(result, head="**")]))
    picture.write_text(chart.svg([each for result in found for each in result.charts]), encoding="utf-8")
    return [readme, scaling, picture]


def marks(name: str) -> tuple[str, str]:
    """Return the lines between which something stands."""
    begin, end = MARKS
    return begin.format(name), end.format(name)


def _put(page: Path, name: str, body: str) -> None:
    """Put *body* between the marks of a page."""
    begin, end = marks(name)
    head, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, is_there, tail = rest.partition(end)
    assert is_there, f"{page.name}: the lines {begin} and {end} are missing; put them where the table shall stand"
    page.write_text(f"{head}{begin}\n{body}\n{end}{tail}", encoding="utf-8")


def text(result: Result) -> str:
    """One result for a terminal: the rows, then the tables, in columns."""
    parts = []
    if result.rows:
        head = ("", "goal", "measured", "")
        parts.append(
            _aligned([head, *((row.what, row.goal_text, row.measured_text, row.verdict) for row in result.rows)])
        )
    parts += [f"{table.title}\n{_aligned([table.columns, *table.lines])}" for table in result.tables]
    return "\n\n".join([f"== {result.name} ==", *parts, *result.notes])


def _section(result: Result) -> str:
    parts = [f"## {result.name}", f"`{result.command}`, {result.made}, {result.machine}", *_body(result, head="### ")]
    return "\n\n".join([*parts, *(f"- {note}" for note in result.notes)])


def _body(result: Result, *, head: str) -> list[str]:
    """Rows and tables of a result; *head*: what stands before the title of a table (and behind it, if `**`)."""
    tail = head if head == "**" else ""
    tables = [part for table in result.tables for part in (f"{head}{table.title}{tail}", _markdown(table))]
    return ([_rows(result.rows)] if result.rows else []) + tables


def _rows(rows: Sequence[Row]) -> str:
    if all(row.sense == "told" for row in rows):
        return _markdown(Table("", ("what", "measured"), [(row.what, row.measured_text) for row in rows]))
    lines = [(row.what, row.goal_text, row.measured_text, row.verdict) for row in rows]
    return _markdown(Table("", ("what", "goal", "measured", ""), lines))


def _markdown(table: Table) -> str:
    lines = [table.columns, ["---"] * len(table.columns), *table.lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )
