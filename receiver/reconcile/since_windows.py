"""Which times a person's `--since` looks at. Pure.

What a hook brought while it was healthy is known by its event. When that is over (FRONTDESK_RETENTION), nothing tells
any more that it was brought; the ledger still says that the hook was healthy, so such times are left out. A route
that a person names gets them all the same: that is the first load of a new system.
"""

from collections.abc import Iterable, Mapping, Sequence

from receiver.storage.shared.gap_ledger import Gap, Pair, PairHealth

Span = tuple[int, int]
"""From when to when, in Unix milliseconds."""


def solid(
    pair: Pair, coverage: Mapping[Pair, PairHealth], gaps: Iterable[Gap], expired_ms: int
) -> tuple[Span, tuple[Span, ...]] | None:
    """Return the time in which a hook was looked after and whose events are over, with the gaps in it; None: none."""
    health = coverage.get(pair)
    if health is None or health.first_ms >= expired_ms:
        return None
    holes = [(gap.from_ms, gap.to_ms or expired_ms) for gap in gaps if gap.pair == pair]
    return (health.first_ms, expired_ms), tuple(sorted(holes))


def to_look_at(wanted: Span, solid: tuple[Span, Sequence[Span]] | None) -> list[Span]:
    """Return the parts of *wanted* that are not *solid*."""
    if solid is None:
        return [wanted]
    (begin, end), holes = solid
    parts = [(wanted[0], begin - 1), *((max(one, begin), min(other, end)) for one, other in holes), (end, wanted[1])]
    cut = [(max(one, wanted[0]), min(other, wanted[1])) for one, other in parts]
    return [(one, other) for one, other in cut if one < other]
