"""What a benchmark brings: rows that are held against goals, tables, bars; kept as JSON in `build/bench/results/`."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from tests.benchmarks import allocator
from tests.benchmarks.environments import HOME

FOLDER = HOME / "results"

Sense = Literal["at least", "at most", "told"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A value over rounds: its median, and how far the rounds lay apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of some values, at least one."""
        return cls(statistics.median(values), min(values), max(values))

    @classmethod
    def ratio(cls, ours: Sequence[float], theirs: Sequence[float]) -> Self:
        """Return the spread of the ratios of values that were measured in the same rounds."""
        return cls.of([mine / other if other else 0.0 for mine, other in zip(ours, theirs, strict=True)])

    def text(self, digits: int) -> str:
        """Return it for people: `0.94 (0.85 to 1.17)`."""
        whole = f"{self.median:,.{digits}f}"
        if self.low == self.high:
            return whole
        return f"{whole} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"


@dataclass(frozen=True, slots=True)
class Row:
    """One number that is held against a goal; *sense* `told`: there is no goal."""

    what: str
    unit: str
    value: Spread
    sense: Sense = "told"
    goal: float = 0.0
    digits: int = 2

    @property
    def is_reached(self) -> bool | None:
        """Whether the median reaches the goal; None when there is none."""
        if self.sense == "told":
            return None
        return self.value.median >= self.goal if self.sense == "at least" else self.value.median <= self.goal

    @property
    def verdict(self) -> str:
        """Whether the goal is reached, for people; and if not, by what share of it the median misses it."""
        if self.is_reached is None:
            return ""
        share = abs(self.value.median - self.goal) / self.goal if self.goal else 0.0
        missed = f", by {share:.0%}" if share else ""
        return "reached" if self.is_reached else f"not reached{missed}"

    @property
    def goal_text(self) -> str:
        """The goal for people."""
        sign = {"at least": "≥ ", "at most": "≤ ", "told": ""}[self.sense]
        return f"{sign}{self.goal:,.{self.digits if self.goal % 1 else 0}f}{self.unit_text}" if sign else ""

    @property
    def measured_text(self) -> str:
        """What was measured, for people."""
        return self.value.text(self.digits) + self.unit_text

    @property
    def unit_text(self) -> str:
        """The unit as it follows a number."""
        return f" {self.unit}" if self.unit else ""


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers beside each other, for people."""

    title: str
    columns: Sequence[str]
    lines: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart."""

    label: str
    value: Spread


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars on one logarithmic scale, the longest first."""

    title: str
    unit: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Result:
    """What one benchmark brought. *notes*: what was left out, and how it was measured."""

    name: str
    command: str
    rows: Sequence[Row] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    notes: Sequence[str] = ()
    made: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))
    machine: str = field(default_factory=lambda: machine())

    def write(self, folder: Path = FOLDER) -> Path:
        """Keep it; what an earlier run of the same benchmark brought is replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.name}.json"
        file.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return file


def read(file: Path) -> Result:
    """Read what `Result.write` has written."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    found["rows"] = [Row(**{**row, "value": Spread(**row["value"])}) for row in found["rows"]]
    found["tables"] = [Table(**table) for table in found["tables"]]
    found["charts"] = [
        Chart(chart["title"], chart["unit"], [Bar(bar["label"], Spread(**bar["value"])) for bar in chart["bars"]])
        for chart in found["charts"]
    ]
    return Result(**found)


def machine() -> str:
    """Describe this machine: processor, cores, versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    python = platform.python_version()
    return f"{os.cpu_count()} cores of {model}, {platform.system()}, Python {python}, {allocator.told()}"
