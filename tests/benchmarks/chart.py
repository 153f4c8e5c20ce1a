"""Bars with their spread, as SVG: one block for each chart, all on logarithmic scales, light and dark."""

import math
from collections.abc import Sequence
from html import escape

from tests.benchmarks.results import Bar, Chart

_WIDTH, _LABEL, _ROW, _TITLE, _GAP = 860, 230, 26, 34, 22
_SCALE = _WIDTH - _LABEL - 90
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2430 }
.title { font-weight: 600; font-size: 14px }
.bar { fill: #8fa3bf } .ours { fill: #1d6fb8 } .spread { stroke: #1f2430; stroke-width: 1.5 }
.line { stroke: #d5dae3 } .value { font-variant-numeric: tabular-nums }
@media (prefers-color-scheme: dark) {
  text { fill: #e3e7ef } .bar { fill: #5d708c } .ours { fill: #58a6e8 }
  .spread { stroke: #e3e7ef } .line { stroke: #3a4150 }
}
""".strip()


def svg(charts: Sequence[Chart]) -> str:
    """Return the picture; bars of ours stand out."""
    parts, top = [], 8
    for chart in charts:
        block, height = _block(chart, top)
        parts += block
        top += height + _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" role="img" '
        f'aria-label="Benchmarks">\n<style>\n{_STYLE}\n</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _block(chart: Chart, top: int) -> tuple[list[str], int]:
    bars = sorted(chart.bars, key=lambda bar: -bar.value.median)
    low = 10 ** math.floor(math.log10(max(min(bar.value.low for bar in bars), 1)))
    high = max(max(bar.value.high for bar in bars), low * 10)
    bottom = top + _TITLE + _ROW * len(bars)
    parts = [f'<text class="title" x="0" y="{top + 16}">{escape(chart.title)}, {escape(chart.unit)}</text>']
    step = low
    while step <= high:
        x = _LABEL + _length(step, low, high)
        parts.append(f'<line class="line" x1="{x:.0f}" x2="{x:.0f}" y1="{top + _TITLE - 6}" y2="{bottom}"/>')
        parts.append(f'<text x="{x:.0f}" y="{bottom + 13}" text-anchor="middle" font-size="11">{step:,}</text>')
        step *= 10
    for at, bar in enumerate(bars):
        parts += _bar(bar, top + _TITLE + _ROW * at, low, high)
    return parts, bottom + 18 - top


def _bar(bar: Bar, y: int, low: float, high: float) -> list[str]:
    value, middle = bar.value, y + _ROW / 2 - 2
    length, first, last = (_length(number, low, high) for number in (value.median, value.low, value.high))
    kind = "ours" if bar.label.startswith("Frontdesk") else "bar"
    return [
        f'<text x="{_LABEL - 8}" y="{middle + 4:.0f}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{length:.1f}" height="{_ROW - 6}" rx="2"/>',
        f'<path class="spread" d="M{_LABEL + first:.1f} {middle:.0f}H{_LABEL + last:.1f}"/>',
        f'<text class="value" x="{_LABEL + max(length, last) + 8:.0f}" y="{middle + 4:.0f}">{value.median:,.0f}</text>',
    ]


def _length(value: float, low: float, high: float) -> float:
    """How long the bar of a value is; what lies under the scale gets the shortest that can be seen."""
    return max(math.log10(max(value, low) / low) / math.log10(high / low) * _SCALE, 2.0)
