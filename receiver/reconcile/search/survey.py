"""The survey: asks Nexudus what happened in gaps. One search a kind for the whole account, whatever the locations.

A kind that cannot be searched is named and left out, and the others go on.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from receiver.core.errors import CredentialsRefused, NexudusError
from receiver.nexudus.api.entities import BATCH_SIZE, PAGE_SIZE, Entities, Row
from receiver.nexudus.record_kinds import KINDS
from receiver.reconcile.rules.action_rules import RULES
from receiver.reconcile.rules.rule import KEPT, changes_ask, entity_of
from receiver.reconcile.search import early_updates, invoice_histories
from receiver.reconcile.search.candidates import (
    Candidate,
    GapIndex,
    Question,
    Survey,
    audit_questions,
    from_ids,
    from_rows,
    questions,
    reason_against,
)
from receiver.reconcile.search.id_sets import IdSets
from receiver.reconcile.search.listing import Lister, Listing, TooMany, Unreliable
from receiver.reconcile.search.record_locations import RecordLocations
from receiver.storage.shared.gap_ledger import Gap

_PASSING = (0, 408, 429)


def _is_passing(error: NexudusError) -> bool:
    return error.status in _PASSING or error.throttled or error.status >= 500


def _flaw(kind: str, listing: Listing, places: Mapping[int, int | None]) -> str:
    """Return what of a search cannot be used, in a sentence; empty: nothing. Customers of no location are nobody's."""
    if listing.ahead:
        return (
            f"{listing.ahead} records of {kind} have a time that is still to come, so it is unknown when they changed; "
            "is the clock of this machine right?"
        )
    homeless = sum(place is None for place in places.values())
    if homeless and kind != "Coworker":
        return f"{homeless} records of {kind} lead to no location, so it is unknown whose events they are"
    return ""


class Surveyor:
    """Surveys gaps through *entities*. *most*: rows of one search without asking a person; *check* raises when the
    survey must not go on; *asked* is called for each search with the kind that is asked for, *expect* with how many
    more pages will be read, *read* with how many were."""

    def __init__(
        self,
        entities: Entities,
        *,
        now_ms: int,
        most: int,
        check: Callable[[], None],
        asked: Callable[[str], None] = lambda _kind: None,
        expect: Callable[[int], None] = lambda _number: None,
        read: Callable[[int], None] = lambda _number: None,
        id_sets: IdSets | None = None,
        kept: Callable[[str], int | None] = lambda _entity: None,
    ) -> None:
        """*id_sets* None: the Ids of kinds are not compared. *kept*: see Places."""
        self._entities = entities
        self._id_sets = id_sets
        self._lister = Lister(entities, now_ms=now_ms, most=most, expect=expect, read=read)
        self._check = check
        self._asked = asked
        self._expect = expect
        self._kept = kept

    def survey(self, gaps: Collection[Gap], *, weak: bool = False) -> Survey:
        """Return what happened in *gaps*. *weak*: guesses, too. Raises CredentialsRefused, and what *check* raises."""
        found, within = Survey(), GapIndex(gaps)
        places = RecordLocations(self._entities, within.businesses, self._kept)
        actions = set(within.actions)
        for action in within.actions:
            if reason := reason_against(action, weak=weak, has_ids=self._id_sets is not None):
                found.cannot[action] = reason
                actions.discard(action)
        self._expect(len(audit_questions(actions)) + len(questions(actions)))
        by_ids = {action for action in actions if RULES[action].by_ids}
        for action in sorted(by_ids):
            self._compare(action, within, found)
        actions -= by_ids
        by_trail = self._ask_trail(audit_questions(actions), within, places, found)
        told = {action for action in by_trail if not RULES[action].has_both}
        for question in questions(actions - told):
            self._ask(question, within, places, found)
        found.candidates = self._first_only(found)
        by_entries = {(one.action, one.number, one.gap) for one in found.candidates if one.is_sourced}
        found.candidates = [
            one
            for one in found.candidates
            if one.is_sourced or not one.rule.has_both or (one.action, one.number, one.gap) not in by_entries
        ]
        found.candidates.sort(key=lambda one: one.order)
        return found

    def _ask_trail(
        self, asked: Iterable[Question], gaps: GapIndex, places: RecordLocations, found: Survey
    ) -> frozenset[str]:
        """Ask the audit trail, and return the actions that it told. Where it is refused, the records have to do."""
        told: set[str] = set()
        for question in asked:
            trail = Survey()
            self._ask(question, gaps, places, trail)
            if trail.interrupted or trail.crowded:
                found.interrupted |= trail.interrupted
                found.crowded |= trail.crowded
                told |= set(question.actions)
            elif not trail.cannot:
                found.candidates += trail.candidates
                found.earlier += trail.earlier
                told |= set(question.actions)
            else:
                found.cannot |= {action: why for action, why in trail.cannot.items() if RULES[action].ask is None}
        return frozenset(told)

    def _ask(self, question: Question, gaps: GapIndex, places: RecordLocations, found: Survey) -> None:
        """Ask one question, and put what it tells into *found*."""
        self._check()
        self._asked(question.ask.kind)
        try:
            listing = invoice_histories.rows(self._lister, question.ask, gaps.window(question), self._check)
            rows = self._whole(question, listing)
            located = places.of(question.ask.kind, rows)
            candidates = list(from_rows(question, rows, located, gaps))
            earlier = list(from_rows(question, rows, located, gaps.before()))
            doubted = list(from_rows(question, rows, located, gaps, doubted=True))
        except CredentialsRefused:
            raise
        except TooMany as error:
            found.crowded |= dict.fromkeys(question.actions, str(error))
        except Unreliable as error:
            found.cannot |= dict.fromkeys(question.actions, f"{error}; nothing was made of it")
        except NexudusError as error:
            (found.interrupted if _is_passing(error) else found.cannot).update(
                dict.fromkeys(question.actions, str(error))
            )
        else:
            found.candidates += candidates
            found.earlier += [one for one in earlier if one.is_sourced]
            self._settle(doubted, {row["Id"]: row for row in rows}, found)
            if flaw := _flaw(question.ask.kind, listing, located):
                found.cannot |= dict.fromkeys(question.actions, flaw)

    def _settle(self, doubted: Collection[Candidate], rows: Mapping[int, Row], found: Survey) -> None:
        """Take up which of *doubted* the audit trail tells of, and name what nothing tells."""
        if not doubted:
            return
        kind = next(iter(doubted)).kind
        actions = dict.fromkeys(one.action for one in doubted)
        try:
            if KINDS[kind].is_audited:
                found.candidates += early_updates.told(doubted, rows, self._changes(kind, doubted, rows))
                return
        except CredentialsRefused:
            raise
        except TooMany as error:
            found.crowded |= dict.fromkeys(actions, str(error))
            return
        except (Unreliable, NexudusError) as error:
            if isinstance(error, NexudusError) and _is_passing(error):
                found.interrupted |= dict.fromkeys(actions, str(error))
                return
        found.cannot |= early_updates.unknown(kind, doubted, rows, found.candidates)

    def _changes(self, kind: str, doubted: Iterable[Candidate], rows: Mapping[int, Row]) -> list[Row]:
        ask = changes_ask(kind)
        listing = self._lister.rows(ask, early_updates.window(doubted, rows))
        return self._whole(Question(ask, ()), listing)

    def _compare(self, action: str, gaps: GapIndex, found: Survey) -> None:
        """Compare the Ids of a kind with those of the last pass."""
        kind = entity_of(RULES[action])
        assert self._id_sets is not None  # noqa: S101 -- reason_against saw to it; for the type checker
        self._check()
        self._asked(kind)
        try:
            compared = self._id_sets.compare(kind)
        except CredentialsRefused:
            raise
        except Unreliable as error:
            found.cannot[action] = f"{error}; nothing was made of it"
        except NexudusError as error:
            (found.interrupted if _is_passing(error) else found.cannot)[action] = str(error)
        else:
            found.compared.append(compared)
            found.candidates += from_ids(action, compared, gaps)
            if compared.is_first:
                found.cannot[action] = f"the Ids of {kind} are remembered since now; deletes before cannot be known"

    def _whole(self, question: Question, listing: Listing) -> list[Row]:
        """Return the rows with what a search does not show: entries of the audit trail lack the record's Id."""
        rows = list(listing.rows.values())
        if question.ask.kind == "CoworkerPricePlanHistory":
            return [self._with_contract(row) for row in rows]
        if question.ask.kind != "AuditTrailEntry":
            return rows
        about = KINDS[question.ask.kind]
        whole: list[Row] = []
        for start in range(0, len(rows), BATCH_SIZE):
            self._check()
            some = [row["Id"] for row in rows[start : start + BATCH_SIZE]]
            batch = self._entities.many(about.name, about.path, some)
            for row in rows[start : start + BATCH_SIZE]:
                entry = batch.get(row["Id"]) or self._entities.one(about.name, about.path, row["Id"]) or row
                whole.append({name: value for name, value in entry.items() if name in KEPT})
        return whole

    def _with_contract(self, row: Row) -> Row:
        """Return an entry of the price plans' history with its new contract, which it names by its UniqueId."""
        about, unique = KINDS["CoworkerContract"], str(row.get("NewContractUniqueId") or "")
        params: dict[str, str | int] = {"CoworkerContract_UniqueId": unique, "page": 1, "size": 2}
        page = self._entities.page(about.name, about.path, params) if unique else None
        for contract in page.rows if page else ():
            if str(contract.get("UniqueId")).lower() == unique.lower():
                return {**row, "ContractId": contract["Id"], "BusinessId": contract.get("IssuedById")}
        return row

    def _first_only(self, found: Survey) -> list[Candidate]:
        """Leave out what is not the first of its customer, where that is what the action is about."""
        return [one for one in found.candidates if not one.rule.first_by or self._is_first(one, found)]

    def _is_first(self, one: Candidate, found: Survey) -> bool:
        about, kind = one.rule, KINDS[one.kind]
        try:
            record = self._entities.one(kind.name, kind.path, one.fetch)
            if record is None or not record.get("CoworkerId"):
                return False
            params = {about.first_by: record["CoworkerId"], "orderBy": "Id", "page": 1, "size": PAGE_SIZE}
            page = self._entities.page(kind.name, kind.path, params)
        except CredentialsRefused:
            raise
        except NexudusError as error:
            found.interrupted[one.action] = str(error)
            return False
        theirs = [row["Id"] for row in page.rows if row.get("CoworkerId") == record["CoworkerId"]]
        return not page.has_next and one.fetch in theirs and one.fetch == min(theirs)
