"""The kinds of rules that most actions share: a record is new, has changed, or was deleted. Pure."""

from collections.abc import Callable

from receiver.nexudus.record_kinds import KINDS
from receiver.nexudus.record_times import moment
from receiver.reconcile.rules.rule import NEVER_UPDATED_MS, Ask, Inside, Row, Rule, Stage, Sure


def created(row: Row, _inside: Inside) -> int | None:
    return moment(row.get("CreatedOn"))


def updated(row: Row, _inside: Inside) -> int | None:
    created, updated = moment(row.get("CreatedOn")), moment(row.get("UpdatedOn"))
    return updated if created is not None and updated is not None and updated > created + NEVER_UPDATED_MS else None


def updated_at_once(row: Row, _inside: Inside) -> int | None:
    created, updated = moment(row.get("CreatedOn")), moment(row.get("UpdatedOn"))
    is_doubtful = created is not None and updated is not None and 0 < updated - created <= NEVER_UPDATED_MS
    return updated if is_doubtful else None


def at(field: str, *flags: str) -> Callable[[Row, Inside], int | None]:
    """Happened at *field*, if all of *flags* are true."""
    return lambda row, _inside: moment(row.get(field)) if all(row.get(flag) is True for flag in flags) else None


def became_true(row: Row) -> bool:
    return str(row.get("NewValue")).strip().lower() in ("true", "1")


def create(action: str, kind: str, sure: Sure = Sure.EXACT, words: str = "CreatedOn is in the gap") -> Rule:
    """Return the rule of a record that is new."""
    return Rule(action, sure, words, Ask(kind, "CreatedOn"), created, stage=Stage.CREATE)


def update(action: str, kind: str, sure: Sure = Sure.GOOD, more: str = "") -> Rule:
    """Return the rule of a record that changed."""
    trail = ", or up to 5 s and the audit trail has the change" if KINDS[kind].is_audited else ""
    words = f"UpdatedOn is in the gap and over 5 s later than CreatedOn{trail}{more}"
    return Rule(action, sure, words, Ask(kind, "UpdatedOn"), updated, updated_at_once, key="UpdatedOn")


def audited(action: str, kind: str) -> Rule:
    """Return the rule of a record that was deleted, and that the audit trail knows."""
    filters = (("AuditTrailEntry_EntityShortName", kind), ("AuditTrailEntry_AuditType", "3"))
    words = "the audit trail has an entry of the delete; the event has the Id, and the record that was kept last"
    ask = Ask("AuditTrailEntry", "CreatedOn", filters)
    return Rule(action, Sure.EXACT, words, ask, created, stage=Stage.DELETE, body="EntityId", body_kind=kind)


def by_ids(action: str, kind: str) -> Rule:
    """Return the rule of a record that was deleted, and that only a comparison of Ids can miss."""
    words = "no list and no audit trail tells of it; with `reconcile: {deletes: daily}` the Ids are compared each day"
    return Rule(action, Sure.GOOD, words, Ask(kind, "CreatedOn"), stage=Stage.DELETE, by_ids=True)


def no(action: str, words: str) -> Rule:
    """Return the rule of what nothing at Nexudus tells."""
    return Rule(action, Sure.NO, words)
