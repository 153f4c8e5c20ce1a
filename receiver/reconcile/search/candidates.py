"""Candidates: what happened in gaps by what Nexudus shows, before it is known whether a hook brought it. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from receiver.nexudus.record_times import second
from receiver.reconcile.rules.action_rules import RULES
from receiver.reconcile.rules.rule import Ask, Row, Rule, Sure, audit_ask, entity_of
from receiver.reconcile.search.id_sets import Compared
from receiver.reconcile.search.listing import Window
from receiver.storage.shared.gap_ledger import Gap

NEAR_BEFORE_MS: Final = 2 * 60_000
NEAR_AFTER_MS: Final = 30 * 60_000
"""A hook's event without a field that tells when it happened is the same if it came so shortly before or after."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that happened: *action* at *business_id*, at *moment_ms*, to the record whose Id is *number*.

    *key* tells it apart from other occurrences of the same action and record. *is_sourced*: the row that tells it is
    not the record itself, so that only the time compares it with what hooks brought. *gap*: the id of the gap that it
    is in. *kind* and *fetch*: which record of the API becomes the event.
    """

    action: str
    business_id: int
    number: int
    kind: str
    fetch: int
    moment_ms: int
    key: str
    gap: str
    is_sourced: bool = False

    @property
    def rule(self) -> Rule:
        """The rule that found it."""
        return RULES[self.action]

    @property
    def order(self) -> tuple[int, str, int, str]:
        """Sorts by time; create before update before delete."""
        return self.moment_ms, self.rule.stage.value, self.number, self.action


class GapIndex:
    """Gaps by (business, action): which of them holds a moment?"""

    def __init__(self, gaps: Iterable[Gap]) -> None:
        self._by_pair: dict[tuple[int, str], list[Gap]] = {}
        for gap in gaps:
            if gap.to_ms is not None:
                self._by_pair.setdefault(gap.pair, []).append(gap)

    @property
    def actions(self) -> frozenset[str]:
        """The actions that have a gap somewhere."""
        return frozenset(action for _, action in self._by_pair)

    @property
    def businesses(self) -> frozenset[int]:
        """The locations that have a gap."""
        return frozenset(business for business, _ in self._by_pair)

    def of(self, business_id: int, action: str) -> Sequence[Gap]:
        """Return the gaps of a hook."""
        return self._by_pair.get((business_id, action), ())

    def before(self) -> "GapIndex":
        """Return the time before each gap in which something happened whose event may have come in the gap."""
        some = (gap for gaps in self._by_pair.values() for gap in gaps)
        return GapIndex(
            replace(gap, from_ms=gap.from_ms - NEAR_AFTER_MS, to_ms=_second(gap.from_ms) - 1) for gap in some
        )

    def window(self, question: "Question") -> Window:
        """Return the smallest window that holds all gaps of a question; and what is before, where that matters."""
        gaps = [gap for (_, action), some in self._by_pair.items() if action in question.actions for gap in some]
        is_sourced = any(question.is_sourced(RULES[action]) for action in question.actions)
        begin = min(gap.from_ms for gap in gaps) - (NEAR_AFTER_MS if is_sourced else 0)
        return Window(begin, max(gap.to_ms or 0 for gap in gaps))


@dataclass(frozen=True, slots=True)
class Question:
    """One search and the actions that it is for; *is_audit*: of a property in the audit trail."""

    ask: Ask
    actions: tuple[str, ...]
    is_audit: bool = False

    def is_sourced(self, rule: Rule) -> bool:
        """Whether its rows are not the records that become the events of a rule."""
        return self.is_audit or (rule.body != "Id" and not rule.is_bare)


def questions(actions: Iterable[str]) -> list[Question]:
    """Return the searches that *actions* need. A search by UpdatedOn finds what was created, too."""
    wanted = sorted(actions, key=list(RULES).index)
    by_ask: dict[Ask, list[str]] = {}
    for action in wanted:
        ask = RULES[action].ask
        if ask is not None:
            by_ask.setdefault(ask, []).append(action)
    for ask in list(by_ask):
        wider = Ask(ask.kind, "UpdatedOn")
        if ask.ranged == "CreatedOn" and not ask.filters and wider in by_ask:
            by_ask[wider] += by_ask.pop(ask)
    return [Question(ask, tuple(names)) for ask, names in by_ask.items()]


def audit_questions(actions: Iterable[str]) -> list[Question]:
    """Return the searches of the audit trail that tell some of *actions* exactly."""
    wanted = sorted((action for action in actions if RULES[action].audit), key=list(RULES).index)
    by_ask: dict[Ask, list[str]] = {}
    for action in wanted:
        by_ask.setdefault(audit_ask(RULES[action]), []).append(action)
    return [Question(ask, tuple(names), is_audit=True) for ask, names in by_ask.items()]


def reason_against(action: str, *, weak: bool, has_ids: bool) -> str:
    """Return why nothing is made for an action, in a sentence; empty: it is."""
    rule = RULES.get(action)
    if rule is None:
        return f"Frontdesk does not know what {action} is about"
    if rule.sure is Sure.NO:
        return f"{rule.words}, so what was missed of {action} cannot be known"
    if rule.sure is Sure.WEAK and not weak:
        return f"{action} can only be guessed; `frontdesk backfill --include weak` does"
    if rule.by_ids and not has_ids:
        return f"no list and no audit trail tells of {action}; `reconcile: {{deletes: daily}}` finds it from then on"
    return ""


def from_rows(
    question: Question, rows: Iterable[Row], places: Mapping[int, int | None], gaps: GapIndex, *, doubted: bool = False
) -> Iterator[Candidate]:
    """Yield what *rows* tell of the gaps. *places*: the location of each row, by its Id.

    *doubted*: only what may have happened.
    """
    for row in rows:
        business_id = places.get(row["Id"])
        if business_id is None:
            continue
        for action in question.actions:
            yield from _of_row(question, RULES[action], row, business_id, gaps, doubted)


def _of_row(
    question: Question, rule: Rule, row: Row, business_id: int, gaps: GapIndex, doubted: bool
) -> Iterator[Candidate]:
    if question.is_audit and doubted:
        return
    happened = rule.doubted if doubted else rule.happened
    for gap in gaps.of(business_id, rule.action):
        begin_ms = _second(gap.from_ms)

        def inside(at_ms: int, begin: int = begin_ms, end: int = gap.to_ms or 0) -> bool:
            return begin <= at_ms <= end

        at_ms = rule.happened_by_audit(row) if question.is_audit else happened(row, inside)
        fetch = _number(row.get("EntityId" if question.is_audit else rule.body))
        number = _number(row.get(rule.number)) if rule.number else fetch
        if at_ms is None or not inside(at_ms) or not fetch or not number:
            continue
        is_sourced = question.is_sourced(rule)
        key = f"{question.ask.kind}:{row['Id']}" if is_sourced else key_of(rule, row)
        yield Candidate(rule.action, business_id, number, entity_of(rule), fetch, at_ms, key, gap.id, is_sourced)
        return


def from_ids(action: str, compared: Compared, gaps: GapIndex) -> Iterator[Candidate]:
    """Yield the deletes that a comparison of Ids tells, each at the end of its gap: when it was is not known."""
    for number, business_id in sorted(compared.deleted.items()):
        for gap in gaps.of(business_id, action)[-1:]:
            yield Candidate(action, business_id, number, compared.kind, number, gap.to_ms or 0, "", gap.id)


def _second(at_ms: int) -> int:
    """Return the beginning of a second: times of the API are cut to it."""
    return at_ms // 1_000 * 1_000


def _number(value: object) -> int:
    """Return an Id, which some fields hold as a text; 0 for what is none."""
    if type(value) is int:
        return max(value, 0)
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19 else 0


def key_of(rule: Rule, record: Row) -> str:
    """Return what tells this occurrence apart from others of the same action and record."""
    return second(record.get(rule.key)) if rule.key else ""


@dataclass(slots=True)
class Survey:
    """What a survey found. *cannot*: by action, why it cannot be known; *interrupted*: by action, what cut it off;
    *crowded*: by action, why a person has to ask for it; *compared*: sets of Ids to remember when events are made.
    *earlier*: what happened shortly before the gaps; its events may have come later, and are not those of *candidates*.
    """

    candidates: list[Candidate] = field(default_factory=list)
    earlier: list[Candidate] = field(default_factory=list)
    cannot: dict[str, str] = field(default_factory=dict)
    interrupted: dict[str, str] = field(default_factory=dict)
    crowded: dict[str, str] = field(default_factory=dict)
    compared: list[Compared] = field(default_factory=list)
