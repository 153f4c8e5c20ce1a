"""Charts as numbers for inline SVG: where each bar stands and how high it is. Drawn by the templates, styled by CSS."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

HEIGHT: Final = 200
_LEFT: Final = 44
_BOTTOM: Final = 22
_TOP: Final = 10


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of one column."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """One stretch of time: *label* is read out and shown when pointed at; x and width are those of its whole strip."""

    x: float
    width: float
    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that is drawn. *rules* are horizontal lines with their text, *ticks* the texts below, each with
    its time in Unix ms."""

    columns: tuple[Column, ...]
    rules: tuple[tuple[float, str], ...]
    ticks: tuple[tuple[float, str, int], ...]
    width: int
    height: int = HEIGHT
    left: int = _LEFT
    floor: int = HEIGHT - _BOTTOM


def stacked_bars(points: Sequence[dict[str, Any]], kinds: Sequence[str], *, width: int, ticks: int) -> Chart:
    """Return a chart of *points*, with a number for each of *kinds*, which are stacked in their order.

    Each point has a `label`, and a `time` as a text and as `start_ms`.
    """
    highest = max((sum(point[kind] for kind in kinds) for point in points), default=0)
    top = _round_up(highest)
    room = HEIGHT - _BOTTOM - _TOP
    step = (width - _LEFT) / max(len(points), 1)
    columns = []
    for number, point in enumerate(points):
        x, floor = _LEFT + number * step, float(HEIGHT - _BOTTOM)
        bars = []
        for kind in kinds:
            height = point[kind] / top * room
            # Something is never nothing to look at, be it ever so little.
            height = max(height, 1.5) if point[kind] else 0
            if height:
                floor -= height
                bars.append(
                    Bar(kind, round(x + step * 0.1, 2), round(floor, 2), round(step * 0.8, 2), round(height, 2))
                )
        columns.append(Column(round(x, 2), round(step, 2), point["label"], tuple(bars)))
    rules = tuple((round(HEIGHT - _BOTTOM - room * part, 1), _short(top * part)) for part in (0.5, 1.0))
    every = max(1, math.ceil(len(points) / ticks))
    marks = tuple(
        (round(_LEFT + number * step + step / 2, 1), str(point["time"]), int(point["start_ms"]))
        for number, point in enumerate(points)
        if number % every == every // 2
    )
    return Chart(tuple(columns), rules, marks, width)


def _round_up(value: float) -> float:
    """Return the next number that looks well at the top of a scale."""
    if value <= 0:
        return 1
    unit = 10 ** math.floor(math.log10(value))
    return float(next(step * unit for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * unit >= value))


def _short(value: float) -> str:
    if value >= 1_000:
        return f"{value / 1_000:g}k"
    return f"{value:g}"
