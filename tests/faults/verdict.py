"""What is asserted of a campaign on Frontdesk, precisely. Everything else in the table is there to be looked at.

- Everything came to its end in time, every event was taken in the end, no answer of a receiver was anything but
  202; only while neither the store nor the spool's disk would take anything, it was 503.
- Of every event answered 202: it is kept, once; its id leads to it; every route that wants it has succeeded, by the
  handlers' own notes and by the store's record.
- A handler ran again for a number it was done with only in the crash window: the process that had run it was killed
  before it could have that recorded, or the store has a death of that very delivery on record. Without a blow that
  kills what runs handlers, never. A store that fails over may forget claims and records that had not reached the
  replica: what they were of may run again, which the table counts.
- By counters, states and lists of the store, nothing is unaccounted for.
- Every handler ran first within 30 s of the answer. While the store is away from a receiver that lives: all but a small
  share of its answers came within 300 ms. The share is measured against that of the quiet at the beginning; see
  `TARDY_SHARE`. Both are asserted in the long form only, which has the machine to itself: `make test` runs beside other
  tests, and never judges by the clock.
"""

from collections.abc import Iterator, Sequence

from tests.faults.blows import Blow
from tests.faults.ledger import Row

TARDY_SHARE = 0.05
"""How many more of the answers than in the quiet may take longer than 300 ms during an outage."""


def complaints(blows: Sequence[Blow], rows: Sequence[Row], *, by_the_clock: bool = True) -> list[str]:
    """Return what is not as promised, in words; *by_the_clock*: also what took too long."""
    pairs = list(zip(blows, rows, strict=True))
    found = [f"{row.fault}: {complaint}" for blow, row in pairs for complaint in _of_row(row, blow)]
    if by_the_clock:
        found += [f"{row.fault}: {row.late} handlers ran later than 30 s after the answer" for row in rows if row.late]
    found += [
        f"{row.fault}: {complaint}"
        for blow, row in pairs
        if blow.outage and by_the_clock
        for complaint in _of_outage(row, rows[0])
    ]
    repeated, excused = sum(row.repeated for row in rows), sum(row.excused for row in rows)
    if any(blow.forgets for blow in blows):
        return found
    if repeated > excused:
        found.append(f"{repeated} runs were repeated, and only {excused} of them in the crash window")
    if repeated and not any(blow.crashes for blow in blows):
        found.append(f"{repeated} runs were repeated, though nothing died that runs handlers")
    return found


def _of_row(row: Row, blow: Blow) -> Iterator[str]:
    if row.missing:
        yield f"{len(row.missing)} events are missing, such as {row.missing[:3]}"
    if row.doubled:
        yield f"{len(row.doubled)} events are kept twice, such as {row.doubled[:3]}"
    if row.lost_ids:
        yield f"{len(row.lost_ids)} ids were answered that lead nowhere, such as {row.lost_ids[:3]}"
    if row.never:
        yield f"{row.never} events were never taken, whatever the tries"
    if row.refusals and not (blow.full and set(row.refusals) == {503}):
        yield f"answers other than 202: {dict(row.refusals)}"


def _of_outage(row: Row, quiet: Row) -> Iterator[str]:
    share = row.tardy / max(row.answers, 1)
    usual = quiet.tardy / max(quiet.answers, 1)
    if share > usual + TARDY_SHARE:
        yield f"{row.tardy} of {row.answers} answers took longer than 300 ms, the slowest {row.slowest_ms:.0f} ms"
