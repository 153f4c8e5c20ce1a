"""The conditions of gaps that alerts report. Pure."""

from collections.abc import Iterator
from typing import Final

from receiver.core import durations
from receiver.core.sanitize import counted
from receiver.observation.alerts.alert_condition import AlertCondition
from receiver.observation.status_snapshot import StatusSnapshot
from receiver.storage.shared.gap_ledger import GapState

_MINUTE_MS: Final = 60_000
_GAP_PATIENCE_MS: Final = 60 * _MINUTE_MS
"""A gap begins a quarter of an hour before the last good look, and takes some minutes to close and to fill."""


def found(snapshot: StatusSnapshot) -> Iterator[AlertCondition]:
    """Yield the conditions of gaps."""
    if snapshot.gap_ms > _GAP_PATIENCE_MS:
        undone = snapshot.gaps.get(GapState.OPEN, 0) + snapshot.gaps.get(GapState.HEALING, 0)
        yield AlertCondition(
            "gap",
            f"{counted(undone, 'gap')} in what hooks bring, the oldest since {_minutes(snapshot.gap_ms)}",
            "`frontdesk gaps` says why. It closes when the hook is well again (`frontdesk hooks`), and is then filled.",
        )
    if waiting := snapshot.gaps.get(GapState.CONFIRM, 0):
        yield AlertCondition(
            "gap-confirm",
            f"{counted(waiting, 'gap')} can be filled when somebody agrees",
            "More was missed than `reconcile.limit` allows, or a route says `backfill: confirm`. `frontdesk backfill "
            "--dry-run` counts, `frontdesk backfill` fills them.",
        )
    if lost := snapshot.gaps.get(GapState.CANNOT, 0):
        yield AlertCondition(
            "gap-cannot",
            f"What happened in {counted(lost, 'gap')} cannot be known",
            "`frontdesk gaps --state cannot` says why. A missing role can be given, and a failure passes; then "
            "run `frontdesk backfill`.",
        )


def _minutes(milliseconds: int) -> str:
    return durations.show(milliseconds // _MINUTE_MS * _MINUTE_MS)
