"""Records that were touched within seconds of their creation: Nexudus itself does that, and so may a person. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from receiver.nexudus.record_times import moment
from receiver.reconcile.rules.rule import CREATING_MS, NEVER_UPDATED_MS, Row, Stage
from receiver.reconcile.search.candidates import Candidate
from receiver.reconcile.search.listing import Window

_SECOND_MS = 1_000


def window(doubted: Iterable[Candidate], rows: Mapping[int, Row]) -> Window:
    """Return the time in which the audit trail may tell of *doubted*. *rows*: their records by Id."""
    listed = list(doubted)
    return Window(
        min(_created_ms(rows[one.number]) for one in listed), max(one.moment_ms for one in listed) + _SECOND_MS
    )


def told(doubted: Iterable[Candidate], rows: Mapping[int, Row], changes: Iterable[Row]) -> list[Candidate]:
    """Return those whose record was changed, by the audit trail, from its creation until it was touched last."""
    changed: dict[Any, list[int]] = {}
    for entry in changes:
        changed.setdefault(entry.get("EntityId"), []).append(moment(entry.get("CreatedOn")) or 0)
    return [
        one
        for one in doubted
        if any(
            _created_ms(rows[one.number]) <= at_ms <= one.moment_ms + _SECOND_MS
            for at_ms in changed.get(one.number, ())
        )
    ]


def unknown(
    kind: str, doubted: Iterable[Candidate], rows: Mapping[int, Row], candidates: Collection[Candidate]
) -> dict[str, str]:
    """Return by action what nothing tells, in a sentence; nothing is lost of records whose creation is made now."""
    made = {one.number for one in candidates if one.kind == kind and one.rule.stage is Stage.CREATE}
    number = Counter(
        one.action
        for one in doubted
        if one.number not in made and one.moment_ms - _created_ms(rows[one.number]) > CREATING_MS
    )
    within = NEVER_UPDATED_MS // _SECOND_MS
    return {
        action: f"{count} records of {kind} were touched within {within} s of their creation; nothing tells whether"
        " that was an update"
        for action, count in number.items()
    }


def _created_ms(record: Row) -> int:
    return moment(record.get("CreatedOn")) or 0
