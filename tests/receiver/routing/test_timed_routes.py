"""Routes whose deliveries start at a time of their record: `at` and `cancelled_by`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core import timestamps
from receiver.core.errors import RoutesError
from receiver.nexudus import actions
from receiver.routing import file
from receiver.routing.document.schema import schema
from receiver.routing.flow_rules import FURTHEST, NO_ENTITY, Occurrence
from receiver.routing.table import RoutingTable

REMIND = """\
routes:
  - name: remind
    action: [BookingCreate, BookingUpdate]
    business: 1001
    where: data.Tentative == false
    at: timestamp(data.FromTime) - duration("1h")
    cancelled_by: BookingDelete
    handler: log
"""
RECORD = {"Id": 5, "FromTime": "2031-03-02T11:15:00Z", "Tentative": False, "UpdatedOn": "2031-03-02T09:15:44.55Z"}


def parse(text: str) -> RoutingTable:
    return file.parse(text, file="routes.yaml", known_actions=actions.NAMES)


TABLE = parse(REMIND)
ROUTE = TABLE.routes[0]


def problems(keys: str) -> list[tuple[int, str]]:
    """Return what is wrong with a route with these keys."""
    with pytest.raises(RoutesError) as refused:
        parse("routes:\n  - action: BookingCreate\n    handler: log\n" + keys)
    return [(one.line, one.message) for one in refused.value.problems]


def at(**fields: Any) -> tuple[int, str | None]:
    """Return when a delivery starts, or why there is no time."""
    assert ROUTE.flow
    assert ROUTE.flow.at
    return ROUTE.flow.at.of(1001, "BookingCreate", RECORD | fields)


def test_a_time_is_worked_out_from_the_record() -> None:
    """To the millisecond; and what the last change of the record was, to the second."""
    assert timestamps.show(at()[0]) == "2031-03-02T10:15:00.000Z"
    assert timestamps.show(at(FromTime="2031-03-02T11:15:00.1239999Z")[0]) == "2031-03-02T10:15:00.123Z"
    assert timestamps.second(RECORD["UpdatedOn"]) == timestamps.second("2031-03-02T09:15:44+00:00") > 0
    assert [timestamps.second(one) for one in (None, 5, "soon", "0001-01-01T00:00:00Z")] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "timestamp() cannot work with a value of the record (null, another type or another format)"),
        ("tomorrow", "timestamp() cannot work with a value of the record (null, another type or another format)"),
        ("2031-03-02T11:15:00", "timestamp() cannot work with a value of the record (null, another type or another"),
        ([], "timestamp() cannot work with a value of the record (null, another type or another format)"),
        ("9999-12-31T23:59:59Z", "the year 9999 is more than ten years ahead"),
        ("0001-01-01T05:00:00Z", "the year 1 stands for no time"),
        ("0001-01-01T00:00:00Z", "a number is out of range, or a division by zero"),
    ],
)
def test_what_is_no_time_is_said(value: object, why: str) -> None:
    """The years 1 and 9999 are what .NET writes for no time."""
    due_ms, no_time = at(FromTime=value)
    assert due_ms == 0
    assert str(no_time).startswith(why)


def test_a_missing_field_is_no_time_and_months_ahead_are_fine() -> None:
    """Up to ten years."""
    assert ROUTE.flow
    assert ROUTE.flow.at
    assert ROUTE.flow.at.of(1, "BookingCreate", {}) == (0, "there is no 'FromTime' in it")
    far = datetime.now(UTC) + FURTHEST
    assert at(FromTime=far.isoformat())[1] is None
    assert at(FromTime=(far + timedelta(hours=2)).isoformat())[1] is not None


@given(record=st.dictionaries(st.sampled_from(["Id", "FromTime", "UpdatedOn"]), st.none() | st.text() | st.integers()))
def test_it_is_total(record: dict[str, Any]) -> None:
    """Whatever a record holds, there is a time or a reason."""
    assert ROUTE.flow
    found = ROUTE.flow.timed(Occurrence(1, "BookingCreate", record, None, timestamps.second(record.get("UpdatedOn"))))
    assert (found.ending, found.due_ms > 0) in {("no time", False), ("", True)}
    assert found.failure == (f"no time: {found.why}" if found.ending else NO_ENTITY)


def test_who_is_wanted_and_who_calls_off() -> None:
    """The action does so whatever `where` says; a record that `where` does not match, too; others do not."""

    def names(business_id: int, action: str, record: dict[str, Any]) -> list[list[str]]:
        found = TABLE.match(business_id, action, record)
        return [[route.name for route in some] for some in (found.routes, found.cancelled, found.unfit)]

    assert names(1001, "BookingUpdate", RECORD) == [["remind"], [], []]
    assert names(1001, "BookingUpdate", {"Tentative": True}) == [[], [], ["remind"]]
    assert names(1001, "BookingUpdate", {}) == [[], [], ["remind"]]
    assert names(1001, "BookingDelete", {}) == [[], ["remind"], []]
    assert names(1002, "BookingDelete", {}) == [[], [], []]
    assert TABLE.match(1001, "BookingUpdate", {}).failed == ("remind",)
    assert [route.name for route in TABLE.candidates(1001, "BookingDelete")] == ["remind"]


def test_an_action_that_is_named_twice_calls_off() -> None:
    """`Booking*` with `cancelled_by: BookingDelete` is what one writes. The webhooks of both are registered."""
    table = parse(REMIND.replace("[BookingCreate, BookingUpdate]", '"Booking*"'))
    matched = table.match(1001, "BookingDelete", RECORD)
    assert (matched.routes, [route.name for route in matched.cancelled]) == ((), ["remind"])
    assert TABLE.actions(actions.NAMES) == {"BookingCreate", "BookingUpdate", "BookingDelete"}


def test_the_switch_and_the_shadow_hold_for_both() -> None:
    """A route that is off or in the shadow calls nothing off."""
    for key in ("enabled: false", "shadow: true"):
        table = parse(f"{REMIND}    {key}\n")
        assert table.match(1001, "BookingDelete", RECORD).cancelled == ()
        assert table.match(1001, "BookingUpdate", {"Tentative": True}).unfit == ()


def test_it_is_explained() -> None:
    """When the delivery starts, or what the event calls off."""
    said = [
        TABLE.explain(1001, action, RECORD | more)[0].note
        for action, more in [
            ("BookingCreate", dict[str, Any]()),
            ("BookingCreate", {"FromTime": None}),
            ("BookingUpdate", {"Tentative": True}),
            ("BookingDelete", {}),
            ("CoworkerCreate", {}),
        ]
    ]
    assert said[0] == "its delivery starts at 2031-03-02T10:15:00.000Z"
    assert said[1].startswith("its delivery is discarded: no time: timestamp() cannot work with")
    assert said[2] == "its filter is false: data.Tentative == false; it calls off the delivery that waits"
    assert said[3] == "`cancelled_by` names BookingDelete; it calls off the delivery that waits"
    assert said[4] == "it wants BookingCreate, BookingUpdate, not CoworkerCreate"


@pytest.mark.parametrize(
    ("keys", "line", "said"),
    [
        (
            "    at: data.FromTime\n",
            4,
            "at: yields no time, its result is what the record holds, a text; write timestamp()",
        ),
        ("    at: timestamp(data.A) > timestamp(data.B)\n", 4, "at: yields no time, its result is true or false"),
        ('    at: duration("1h")\n', 4, "at: yields no time, its result is a duration"),
        ('    at: timestamp("2031-01-01T00:00:00Z")\n', 4, "at: the time is the same for every event"),
        ('    at: timestamp(data.A) - duration("1 hour")\n', 4, 'at: duration("1 hour") fails for every event'),
        ("    at: timestamp(daat.A)\n", 4, "at: unknown variable 'daat'; did you mean data?"),
        ("    at: timestam(data.A)\n", 4, "at: unknown function timestam(); did you mean timestamp()?"),
        ("    at: 5\n", 4, "at: must be text, not a number"),
        ("    at:\n", 4, "at: is empty"),
        ("    att: timestamp(data.A)\n", 4, "unknown key 'att' in a route; did you mean 'at'?"),
        (
            "    at: timestamp(data.A)\n    cancelled_by: BookingDelet\n",
            5,
            "cancelled_by: unknown action 'BookingDelet';",
        ),
        (
            "    at: timestamp(data.A)\n    canceled_by: BookingDelete\n",
            5,
            "unknown key 'canceled_by' in a route; did you",
        ),
        ("    at: timestamp(data.A)\n    delay: 3s\n", 2, "route: at: says when deliveries start; remove delay"),
        ("    at: timestamp(data.A)\n    debounce: 3s\n", 2, "route: at: says when deliveries start; remove debounce"),
        ("    at: timestamp(data.A)\n    order: data.B\n", 2, "route: at: deliveries of one entity follow one another"),
        ("    cancelled_by: BookingDelete\n", 2, "route: cancelled_by: calls off deliveries that wait for their time"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(keys: str, line: int, said: str) -> None:
    """With its line, and a suggestion where one is near."""
    ((found, message),) = problems(keys)
    assert (found, message[: len(said)]) == (line, said)


def test_what_works_together() -> None:
    """Limits count when it starts; `order: entity` is what holds anyway."""
    keys = "order: entity, limit: 3/m, concurrency: 2, per: entity, max_age: 1h, give_up: 1h"
    table = parse('routes: [{action: BookingCreate, handler: log, at: "timestamp(data.A)", ' + keys + "}]")
    flow = table.routes[0].flow
    assert flow
    assert (flow.has_lanes, flow.has_terms, flow.has_rules) == (False, True, True)


def test_editors_know_the_keys() -> None:
    """From the schema."""
    shape = schema(actions.NAMES)["$defs"]["RouteShape"]["properties"]
    assert shape["at"]["type"] == "string"
    assert {"cancelled_by", "at"} <= shape.keys()
    assert "$ref" in str(shape["cancelled_by"])
