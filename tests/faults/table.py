"""The rows as a table for people."""

from collections.abc import Callable, Sequence

from tests.faults.ledger import Row

_COLUMNS: dict[str, Callable[[Row], str]] = {
    "sent": lambda row: str(row.sent),
    "202": lambda row: str(row.taken),
    "stored": lambda row: str(row.stored),
    "handled": lambda row: str(row.handled),
    "missing": lambda row: str(len(row.missing)),
    "doubled": lambda row: str(len(row.doubled)),
    "repeated": lambda row: f"{row.repeated}" + (f" ({row.excused} by crash)" if row.excused else ""),
    "interrupted": lambda row: str(row.interrupted),
    "late": lambda row: str(row.late),
    "spooled": lambda row: str(row.spooled),
    "refused": lambda row: ", ".join(f"{count} x {status}" for status, count in sorted(row.refusals.items())) or "0",
    "no answer": lambda row: str(row.unanswered),
    "> 300 ms": lambda row: str(row.tardy),
    "slowest ms": lambda row: f"{row.slowest_ms:.0f}",
}


def text(title: str, rows: Sequence[Row]) -> str:
    """Return the table, a line for each row, columns aligned."""
    lines = [[title, *_COLUMNS]]
    lines += [[row.fault, *(cell(row) for cell in _COLUMNS.values())] for row in rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(_aligned(line, widths) for line in lines)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
    return "  ".join([line[0].ljust(widths[0]), *numbers])
