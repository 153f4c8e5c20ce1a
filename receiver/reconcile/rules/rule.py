"""What a rule of back-fill is: what it asks, when it makes an event, and how sure that is. Pure.

A rule sees one row of a search and says at which moment the thing happened, or that it did not. `action_rules` has all
of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from receiver.nexudus import actions
from receiver.nexudus.record_times import moment

Row = Mapping[str, Any]
Inside = Callable[[int], bool]
"""Whether a moment is within the gap."""

NEVER_UPDATED_MS: Final = 5_000
"""A record that was just created may show an UpdatedOn some moments later, and was not updated."""

CREATING_MS: Final = 1_000
"""So much later is usual. Between the two only the audit trail tells whether it was updated."""


class Sure(StrEnum):
    """*exact*: Nexudus keeps the very fact and its time. *good*: the record's state tells it, and repeats collapse into
    one. *weak*: the state fits, but may be older or have another cause. *no*: nothing at Nexudus tells it."""

    EXACT = "exact"
    GOOD = "good"
    WEAK = "weak"
    NO = "no"


class Stage(StrEnum):
    """Where an event stands among those of one record at one moment; in this order."""

    CREATE = "1"
    UPDATE = "2"
    DELETE = "3"


@dataclass(frozen=True, slots=True)
class Ask:
    """One search: the records of a kind whose *ranged* field lies in the window. *filters* are further ones."""

    kind: str
    ranged: str
    filters: tuple[tuple[str, str], ...] = ()

    @property
    def is_open(self) -> bool:
        """Asked without an end: a record that changes meanwhile would leave the window, and its page."""
        return self.ranged == "UpdatedOn"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done for one action.

    *ask*: the search; *happened*: the moment (Unix ms) at which a row says that it happened, or None. *words* say when
    an event is made, or why there is none. *key*: the field that tells two occurrences of one record apart; empty:
    there can only be one. *body*: the field of a row that holds the Id of the record that becomes the event, when that
    is of another kind (*body_kind*). *number*: the field with the Id that the event's record gets.
    *audit*: the property whose entries in the audit trail tell the same exactly; *has_both*: the records tell what the
    trail does not, too.
    *doubted*: the moment at which a row says that it may have happened, which only the audit trail can tell.
    *first_by*: the filter that finds all records of the same customer, of which only the first counts.
    *by_ids*: only a comparison of Ids tells it.
    """

    action: str
    sure: Sure
    words: str
    ask: Ask | None = None
    happened: Callable[[Row, Inside], int | None] = lambda _row, _inside: None
    doubted: Callable[[Row, Inside], int | None] = lambda _row, _inside: None
    stage: Stage = Stage.UPDATE
    key: str = ""
    body: str = "Id"
    body_kind: str = ""
    number: str = ""
    audit: str = ""
    audit_fits: Callable[[Row], bool] = lambda _row: True
    has_both: bool = False
    first_by: str = ""
    by_ids: bool = False

    def happened_by_audit(self, entry: Row) -> int | None:
        """Return the moment at which an entry of the audit trail says that it happened, or None."""
        return moment(entry.get("CreatedOn")) if self.audit_fits(entry) else None

    @property
    def is_bare(self) -> bool:
        """Nexudus tells nothing but the Id any more."""
        return self.by_ids or (
            self.stage is Stage.DELETE and self.ask is not None and self.ask.kind == "AuditTrailEntry"
        )


KEPT: Final = frozenset(
    {
        "Id", "UniqueId", "CreatedOn", "UpdatedOn", "BusinessId", "InvoicingBusinessId", "IssuedById",
        "CoworkerInvoiceBusinessId", "FloorPlanBusinessId", "FloorPlanId", "ResourceId", "CoworkerId",
        "HelpDeskMessageId", "CommunityThreadId", "OriginalBookingId", "CancelledOn", "Active", "StartDate",
        "Cancelled", "CancellationDate", "RenewalDate", "CreditNote", "Refunded", "RefundedOn", "Paid",
        "PaidOn", "Description", "Credit", "CoworkerInvoiceId", "FromTime", "ToTime", "Arrived", "ArrivalDate",
        "Notified", "AccessControlDebounceTime", "NewContractUniqueId", "EntityId", "OldValue", "NewValue",
    }
)  # fmt: skip
"""The fields of a row that rules and locations look at; the rest of a row is not kept while it waits for its turn."""


def entity_of(rule: Rule) -> str:
    """Return the kind of record that the event of a rule has."""
    if rule.body_kind:
        return rule.body_kind
    return rule.ask.kind if rule.ask else actions.entity_kind(rule.action)


def changes_ask(kind: str) -> Ask:
    """Return the search of the audit trail for every change of records of a kind."""
    filters = (("AuditTrailEntry_EntityShortName", kind), ("AuditTrailEntry_AuditType", "2"))
    return Ask("AuditTrailEntry", "CreatedOn", filters)


def audit_ask(rule: Rule) -> Ask:
    """Return the search of the audit trail that tells what a rule with an *audit* property is about."""
    every = changes_ask(entity_of(rule))
    return replace(every, filters=(*every.filters, ("AuditTrailEntry_PropertyName", rule.audit)))
