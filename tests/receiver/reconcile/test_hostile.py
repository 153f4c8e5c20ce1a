"""A Nexudus that lies, fails and hides: nothing is made up, nothing is made twice, no gap is closed that is not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from receiver.failures.route_versions import RouteVersions
from receiver.reconcile.backfill_run import MOST_TRIES
from receiver.reconcile.route_selection import RouteSelection
from tests.receiver.reconcile.outage import HOUR, MINUTE, Outage, table
from tests.support.entity_api import EntityApi, iso


def _ignores_the_filter(api: EntityApi) -> None:
    api.ignored |= {"from_team_createdon", "to_team_createdon"}


def _repeats_a_page(api: EntityApi) -> None:
    api.repeats.add("Team")


def _overstates_the_total(api: EntityApi) -> None:
    api.total_is["Team"] = 500


def _shows_no_times(api: EntityApi) -> None:
    api.ignored |= {"from_team_createdon", "to_team_createdon"}
    for record in api.records["Team"].values():
        record["CreatedOn"] = None


def _lacks_the_role(api: EntityApi) -> None:
    api.answers["Team"] = 403


def _has_lost_the_sign_in(api: EntityApi) -> None:
    api.answers["Team"] = 401


def _needs_another_filter(api: EntityApi) -> None:
    api.answers["Team"] = 400


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        (_ignores_the_filter, "Nexudus ignores the filter from_Team_CreatedOn"),
        (_repeats_a_page, "Nexudus repeats itself in the pages of a search of Team"),
        (_overstates_the_total, "Nexudus says that a search of Team finds 500 records, and shows 2 of them"),
        (_shows_no_times, "Nexudus shows a Team without CreatedOn in a search by it"),
        (_lacks_the_role, "the role Team-List"),
        (_has_lost_the_sign_in, "the role Team-List"),
        (_needs_another_filter, "Nexudus answered 400 to GET /api/spaces/teams"),
    ],
)
def test_a_search_that_cannot_be_believed_makes_nothing(
    outage: Outage, lie: Callable[[EntityApi], None], sentence: str
) -> None:
    """The gap says why it cannot be known; other kinds go on."""
    outage.api.put("Team", 1, outage.middle)
    outage.api.put("Team", 2, outage.begin - 900 * HOUR)
    outage.api.put("Tariff", 1, outage.middle)
    if lie is _overstates_the_total:
        outage.api.put("Team", 2, outage.middle)
    lie(outage.api)
    outage.gaps("TeamCreated", "TariffCreate")

    outage.fill()

    assert outage.made() == [(1001, "TariffCreate", 1)]
    assert outage.states() == {"TeamCreated": "cannot", "TariffCreate": "healed"}
    (reason,) = (one.cannot for one in outage.ledger.gaps() if one.action == "TeamCreated")
    assert sentence in reason


def test_a_filter_that_is_ignored_where_every_record_fits_is_seen_all_the_same(outage: Outage) -> None:
    """Guard 1: as many as without the filter, and as many in a time to come."""
    outage.api.put("Team", 1, outage.middle)
    outage.api.ignored |= {"from_team_createdon", "to_team_createdon"}
    outage.gaps("TeamCreated")

    outage.fill()

    assert (outage.made(), outage.one().state) == ([], "cannot")
    assert "it finds records where there can be none" in outage.one().cannot


def test_where_every_record_is_new_the_filter_is_believed(outage: Outage) -> None:
    """A young account: one call more settles it."""
    outage.api.put("Team", 1, outage.middle)
    outage.gaps("TeamCreated")

    report = outage.fill()

    assert (outage.made(), report.calls) == ([(1001, "TeamCreated", 1)], 4)


def test_a_filter_of_the_audit_trail_that_is_ignored_is_seen(outage: Outage) -> None:
    """Entries of other kinds would be deletes of this one."""
    outage.api.audit("Visitor", 3, outage.middle)
    outage.api.audit("Booking", 4, outage.middle)
    outage.api.ignored.add("audittrailentry_entityshortname")
    outage.gaps("VisitorDeleted")

    outage.fill()

    assert (outage.made(), outage.one().state) == ([], "cannot")
    assert "ignores the filter AuditTrailEntry_EntityShortName" in outage.one().cannot


def test_rows_that_move_between_pages_are_found(outage: Outage) -> None:
    """A record of the first page is deleted while the list is read, so the first of the second page slips onto it."""
    outage.api.page_size = 10
    for number in range(1, 31):
        outage.api.put("Team", number, outage.middle, BusinessId=1001)
    moved: list[int] = []

    def move(kind: str, number: int) -> None:
        if kind == "Team" and number == 2 and not moved:
            moved.append(1)
            del outage.api.records["Team"][1]

    outage.api.before_page = move
    outage.gaps("TeamCreated")

    with capture_logs() as logs:
        outage.fill()

    assert {number for _, _, number in outage.made()} == set(range(2, 31))
    assert (outage.one().state, outage.one().gone) == ("healed", 0)
    (told,) = [one for one in logs if one["event"] == "pages.moved"]
    assert told["kind"] == "Team"
    assert told["reason"] == (
        "records came or went while the pages of Nexudus were read; they are read again, and each record counts once"
    )


@pytest.mark.parametrize("year", [1970, 2099])
def test_impossible_times_make_nothing(outage: Outage, year: int) -> None:
    """One record of 1970 in an answer discredits it; one of the future is left out, and the gap says so."""
    outage.api.put("Team", 1, outage.begin - 90 * HOUR, outage.middle)
    outage.api.put("Team", 2, outage.begin - 90 * HOUR, UpdatedOn=f"{year}-01-01T00:00:00Z")
    if year == 1970:
        outage.api.ignored.add("from_team_updatedon")
    outage.gaps("TeamUpdated")

    outage.fill()

    assert outage.made() == ([(1001, "TeamUpdated", 1)] if year == 2099 else [])
    assert outage.one().state == "cannot"
    assert outage.one().cannot == (
        "Nexudus ignores the filter from_Team_UpdatedOn: it shows a Team of 1970-01-01 00:00 UTC; nothing was made of "
        "it"
        if year == 1970
        else "1 records of Team have a time that is still to come, so it is unknown when they changed; is the clock of "
        "this machine right?"
    )


def test_a_time_out_in_the_middle_leaves_the_gap_to_be_filled(outage: Outage) -> None:
    """Not closed, tried again, and nothing is made of half a list; after some tries it says that it cannot."""
    outage.api.page_size = 10
    for number in range(1, 31):
        outage.api.put("Team", number, outage.middle)
    outage.api.answers["Team"] = 503
    outage.gaps("TeamCreated")

    for tries in range(1, MOST_TRIES):
        outage.fill()
        assert (outage.one().state, outage.one().tries, outage.made()) == ("healing", tries, [])
    outage.fill()
    assert outage.one().state == "cannot"
    assert "503" in outage.one().cannot
    outage.api.answers.clear()
    outage.fill()

    assert (outage.one().state, outage.one().made, outage.one().cannot) == ("healed", 30, "")


def test_an_answer_that_never_comes_is_not_waited_for(outage: Outage) -> None:
    """Page 58 hangs: nothing of those before it is made, and the gap says so until a later run reads them all."""
    outage.api.page_size = 2
    for number in range(1, 121):
        outage.api.put("Team", number, outage.middle)
    outage.api.hang_at = ("Team", 58)
    outage.gaps("TeamCreated")

    outage.fill()

    assert (outage.made(), outage.one().state, outage.one().tries) == ([], "healing", 1)
    assert outage.one().cannot == (
        f"Nexudus gave no answer to GET /api/spaces/teams at {outage.api.url}: timed out; is it up, and is "
        "FRONTDESK_NEXUDUS_URL right? (try 1 of 5; the next one comes by itself)"
    )
    outage.api.hang_at = None
    outage.fill()
    assert (len(outage.made()), outage.one().state, outage.one().cannot) == (120, "healed", "")


def test_records_that_cannot_be_fetched_leave_the_gap_to_be_filled(outage: Outage) -> None:
    """What was listed and not read is no event, and the gap is not closed."""
    outage.api.put("Coworker", 1, outage.middle, InvoicingBusinessId=1001)

    def fail(_kind: str, _number: int) -> None:
        raise RuntimeError("the answer breaks off")

    outage.api.before_record = fail
    outage.gaps("CoworkerCreate")

    outage.fill()

    assert (outage.made(), outage.one().state, outage.one().found) == ([], "healing", 1)


def test_a_gap_of_a_year_is_filled_as_far_as_the_routes_say(outage: Outage) -> None:
    """And says that there is more before."""
    (gap,) = outage.gaps("TeamCreated")
    outage.ledger.write([replace(gap, from_ms=outage.end - 365 * 24 * HOUR)])
    outage.api.put("Team", 1, outage.end - 200 * 24 * HOUR)
    outage.api.put("Team", 2, outage.middle)

    outage.fill(window_ms=31 * 24 * HOUR)

    assert outage.made() == [(1001, "TeamCreated", 2)]
    assert outage.one().state == "cannot"
    assert "is older than reconcile.window; `frontdesk backfill` fetches it" in outage.one().cannot


def test_a_kind_with_very_many_rows_waits_for_a_person(outage: Outage) -> None:
    """It is not even read: what Nexudus says of its size is enough."""
    outage.api.put("Team", 1, outage.middle)
    outage.api.total_is["Team"] = 200_000
    outage.gaps("TeamCreated")

    report = outage.fill(limit=500)

    assert (outage.one().state, outage.made(), report.calls) == ("confirm", [], 1)
    assert outage.one().cannot == (
        "a search of Team finds 200000 records, more than 10000; `frontdesk backfill` reads them"
    )


def test_a_record_of_no_location_is_told_of(outage: Outage) -> None:
    """A booking whose resource is gone belongs to nobody that can be named."""
    outage.api.put("Booking", 1, outage.middle, ResourceId=5, BusinessId=None)
    outage.gaps("BookingCreate")

    outage.fill()

    assert (outage.made(), outage.one().state) == ([], "cannot")
    assert outage.one().cannot == "1 records of Booking lead to no location, so it is unknown whose events they are"


def test_a_record_whose_parent_was_deleted_is_where_its_kept_event_is(outage: Outage) -> None:
    """A message to a customer who was deleted since: one that a hook brought is known, and no flaw of the gap."""
    for number in (1, 2):
        outage.api.put("CoworkerMessage", number, outage.middle, CoworkerId=5, BusinessId=None)
    outage.gaps("CoworkerMessageCreate", businesses=(1001, 1002))
    outage.hook("CoworkerMessageCreate", {"Id": 1}, 1002, outage.middle)

    outage.fill()
    sentence = "1 records of CoworkerMessage lead to no location, so it is unknown whose events they are"
    assert [(one.state, one.cannot) for one in outage.ledger.gaps()] == [("cannot", sentence)] * 2
    outage.hook("CoworkerMessageCreate", {"Id": 2}, 1001, outage.middle)
    outage.fill()

    assert outage.made() == []
    assert [(one.state, one.known, one.cannot) for one in outage.ledger.gaps()] == [("healed", 1, "")] * 2


def test_what_can_only_be_guessed_is_named_unless_it_is_asked_for(outage: Outage) -> None:
    """And so is what nothing tells."""
    outage.api.put("Business", 1001, outage.begin - 90 * HOUR, outage.middle)
    outage.gaps("BusinessUpdate", "SendWelcomeEmail", "TariffDelete")

    outage.fill()
    reasons = {one.action: one.cannot for one in outage.ledger.gaps()}
    before = outage.made()
    outage.fill(weak=True)

    assert before == []
    assert outage.made() == [(1001, "BusinessUpdate", 1001)]
    assert "--include weak" in reasons["BusinessUpdate"]
    assert "no record of a welcome e-mail" in reasons["SendWelcomeEmail"]
    assert "reconcile: {deletes: daily}" in reasons["TariffDelete"]


def test_a_route_that_changed_since_is_the_route_of_now(outage: Outage) -> None:
    """Events are routed by the table of today, and the log says that it is another one."""
    outage.api.put("Team", 1, outage.middle)
    outage.gaps("TeamCreated")
    for route in ("{name: other, action: T*, handler: log}", "{name: other, action: TeamCreated, handler: log}"):
        outage.table = table(route, "{name: same, action: TeamCreated, handler: log}")
        RouteVersions(outage.store, lambda: outage.table, lambda _: "1").turn()

    with capture_logs() as logs:
        outage.fill(selection=RouteSelection(outage.table))

    assert [one.route for one in outage.events()[0].deliveries] == ["other", "same"]
    (told,) = [one for one in logs if one["event"] == "route.changed"]
    assert told["route"] == "other"
    assert told["reason"] == (
        "workers got another action after the gap began; what was missed goes to the route as it is now"
    )


def test_a_route_that_is_gone_since_gets_nothing(outage: Outage) -> None:
    """Nexudus is not even asked, and the gap says why."""
    outage.api.put("Team", 1, outage.middle)
    outage.gaps("TeamCreated", businesses=(1001, 1002))
    outage.table = table("{name: other, action: TeamCreated, business: 1002, handler: log}")

    outage.fill(selection=RouteSelection(outage.table))

    (gone, stays) = outage.ledger.gaps()
    assert (outage.made(), gone.state, stays.state) == ([], "cannot", "healed")
    assert gone.cannot == "no route wants TeamCreated of location 1001 any more"


def test_a_clock_that_jumped_makes_nothing_twice(outage: Outage) -> None:
    """The gap of a clock that was an hour wrong is filled again, an hour longer."""
    outage.api.put("Team", 1, outage.middle, outage.middle + MINUTE)
    outage.gaps("TeamCreated", "TeamUpdated")
    outage.fill()
    longer = [
        replace(one, id=f"{one.id}-later", from_ms=one.from_ms - HOUR, state=type(one.state)("healing"), made=0)
        for one in outage.ledger.gaps()
    ]

    again = outage.fill(longer)

    assert [(one.made, one.known, one.state, one.cannot) for one in again.gaps] == [(0, 1, "healed", "")] * 2
    assert len(outage.made()) == 2
    assert iso(outage.middle) == outage.api.records["Team"][1]["CreatedOn"]
