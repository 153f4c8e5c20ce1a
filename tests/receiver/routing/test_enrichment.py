"""`enrich` of routes.yaml: what it may say, what its names may be, and who evaluates a filter that uses them."""

import pytest

from receiver.core.errors import RoutesError
from receiver.nexudus import actions
from receiver.routing import file
from receiver.routing.enrichment import NoId
from receiver.routing.explanation import explain
from receiver.routing.filters import Filter
from receiver.routing.route import Route
from receiver.routing.table import RoutingTable

ROUTE = """\
routes:
  - action: BookingCreate
    handler: log
    enrich:
      member: {kind: Coworker, id: data.CoworkerId}
      room: {kind: spaces/resources, id: data.ResourceId}
"""


def parse(text: str) -> RoutingTable:
    return file.parse(text, file="routes.yaml", known_actions=actions.NAMES)


def a_route(where: str = "") -> Route:
    (route,) = parse(ROUTE + (f"    where: {where}\n" if where else "")).routes
    return route


def test_it_is_read_with_the_lines_of_its_records() -> None:
    """A kind is a name or a path."""
    route = a_route()

    assert [(one.name, one.kind, one.number.source) for one in route.enrich] == [
        ("member", "Coworker", "data.CoworkerId"),
        ("room", "spaces/resources", "data.ResourceId"),
    ]
    assert (route.option_lines["enrich.member"], route.option_lines["enrich.room"]) == (5, 6)


@pytest.mark.parametrize(
    ("enrich", "line", "sentence"),
    [
        ("[a]", 5, "enrich: must be a mapping, like {member: {kind: Coworker, id: data.CoworkerId}}, not a list"),
        ("{data: {kind: Coworker, id: data.X}}", 5, "'data' is a name already"),
        ("{event: {kind: Coworker, id: data.X}}", 5, "'event' is a name already"),
        ("{business: {kind: Coworker, id: data.X}}", 5, "'business' is a name already"),
        ("{in: {kind: Coworker, id: data.X}}", 5, "'in' is a word of CEL or of templates"),
        ("{loop: {kind: Coworker, id: data.X}}", 5, "'loop' is a word of CEL or of templates"),
        ("{Member: {kind: Coworker, id: data.X}}", 5, "'Member' cannot name a record"),
        ("{1: {kind: Coworker, id: data.X}}", 5, "'1' cannot name a record"),
        ("{m: Coworker}", 5, "enrich.m: must be a mapping"),
        ("{m: {kind: Coworker}}", 5, "needs `id`"),
        ("{m: {kind: Coworker, idd: data.X}}", 5, "unknown key 'idd' in an enriched record; did you mean 'id'?"),
        ("{m: {kind: 'spaces/../x', id: data.X}}", 5, "enrich.m.kind: 'spaces/../x' does not fit"),
        ("{m: {kind: Coworker, id: dat.X}}", 5, "enrich.m.id: unknown variable 'dat'; did you mean data?"),
        ("{m: {kind: Coworker, id: '[1]'}}", 5, "enrich.m.id: yields neither a text nor a number"),
        ("{m: {kind: Coworker, id: data.X}, n: {kind: Coworker, id: m.X}}", 5, "unknown variable 'm'"),
        ("{" + ", ".join(f"m{at}: {{kind: Coworker, id: data.X}}" for at in range(11)) + "}", 5, "may name 10"),
    ],
)
def test_what_it_cannot_say_is_refused_with_its_line(enrich: str, line: int, sentence: str) -> None:
    """And the filter of the route, whose names are not known then, does not add to it."""
    text = (
        f"routes:\n  - action: BookingCreate\n    handler: log\n    where: member.Email != ''\n    enrich: {enrich}\n"
    )
    with pytest.raises(RoutesError) as refused:
        parse(text)

    found = [(problem.line, problem.message) for problem in refused.value.problems]
    assert any(at == line and sentence in message for at, message in found), found
    assert not any("where" in message for _, message in found)


def test_a_filter_may_name_the_records_and_nothing_else() -> None:
    """With a suggestion for what was meant."""
    with pytest.raises(RoutesError, match="unknown variable 'mebmer'; did you mean member"):
        a_route("mebmer.Email != ''")
    with pytest.raises(RoutesError, match="unknown variable 'member'"):
        parse("routes:\n  - {action: BookingCreate, handler: log, where: member.Email != ''}\n")


def test_a_filter_that_names_a_record_is_left_to_the_worker() -> None:
    """The receiver takes the event for every record, and asks no record for it."""
    table = parse(ROUTE + "    where: member.Email != '' && data.Price > 10.0\n")
    (route,) = table.routes
    explained = explain(route, 1, "BookingCreate", {})

    assert table.match(1, "BookingCreate", {"Price": 1}).routes == (route,)
    assert table.match_any(1, "BookingCreate") is not None
    assert (explained.matched, explained.asks_worker) == (True, True)
    assert (route.where_at_receipt, route.where_at_work) == (None, route.where)


def test_a_filter_that_names_none_is_the_receivers() -> None:
    """Whatever the route enriches."""
    table = parse(ROUTE + "    where: data.Price > 10.0\n")

    assert table.match(1, "BookingCreate", {"Price": 1}).routes == ()
    assert table.routes[0].where_at_work is None
    assert not explain(table.routes[0], 1, "BookingCreate", {"Price": 11}).asks_worker


@pytest.mark.parametrize(
    ("where", "member", "expected"),
    [
        ('member.Email != ""', {"Email": "a@b.example"}, True),
        ('member.Email != ""', {"Email": ""}, False),
        ('member.Email != ""', {}, "there is no 'Email' in it"),
        ('member.Email != ""', None, "a value is null, or of another type than the expression asks for"),
        ("member == null", None, True),
        ("member != null", {"Email": "x"}, True),
        ('member != null && has(member.Email) && member.Email == "x"', None, False),
        ("member.Debt * 2 > data.Price", {"Debt": 10}, True),
        ("size(member.Tags) == 2", {"Tags": ["a", "b"]}, True),
        ("size(member.Tags) == 2", {"Tags": ["x"] * 300}, "a list or mapping in it has more than 256 items"),
        ("size(member.Notes) > 1", {"Notes": "x" * 70_000}, "the fields hold more than 65536 characters"),
        ("size(member) == 1", {"Email": 1}, True),
    ],
)
def test_it_reads_records_within_the_same_bounds(where: str, member: object, expected: object) -> None:
    """Null is a record that is not there."""
    records = {"member": member}
    verdict = Filter(where, records=["member"]).judge(1, "BookingCreate", {"Price": 12.5}, records)

    assert (verdict.failure or verdict.is_true) == expected


def test_only_the_fields_that_are_named_are_read() -> None:
    """A record of a member is large, and the rest of it must not break the bounds."""
    member = {"Email": "x", "Notes": "x" * 100_000}

    assert Filter('member.Email == "x"', records=["member"]).judge(1, "A", {}, {"member": member}).is_true


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        (7.0, 7),
        (None, None),
        (0, None),
        ("7", NoId),
        (7.5, NoId),
        (-1, NoId),
        (True, NoId),
        (2**60, NoId),
        ([7], NoId),
    ],
)
def test_an_id_is_a_whole_number_or_there_is_none(value: object, expected: object) -> None:
    """The sentence holds nothing of the record."""
    (member, _) = a_route().enrich
    if expected is NoId:
        with pytest.raises(NoId, match=r"^the id of 'member' is not the number of a record \(data.CoworkerId\)$"):
            member.id_for(1, "BookingCreate", {"CoworkerId": value})
    else:
        assert member.id_for(1, "BookingCreate", {"CoworkerId": value}) == expected
    with pytest.raises(NoId, match="the id of 'member' cannot be told: there is no 'CoworkerId' in it"):
        member.id_for(1, "BookingCreate", {})
