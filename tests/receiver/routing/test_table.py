"""The table says who wants an event: the same as the plainest reading of its routes, at the price of those who do."""

import re
import sys
import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from receiver.nexudus import actions
from receiver.routing import file, route
from receiver.routing.filters import Filter
from receiver.routing.route import Route
from receiver.routing.table import BackfillSettings, RoutingTable


def parse(text: str) -> RoutingTable:
    return file.parse(text, file="routes.yaml", known_actions=actions.NAMES)


TABLE = parse("""\
routes:
  - {name: bookings, action: "Booking*", handler: log}
  - {name: doors, action: [BookingCreate, BookingDelete], business: 1001, handler: log}
  - {name: dear, action: "*", where: data.Price > 100, handler: log}
  - {name: mine, action: BookingCreate, where: business_id == 7 || action == "BookingCreate", handler: log}
  - {name: "off", action: "*", handler: log, enabled: false}
  - {name: everything, action: "*", handler: log, queue: bulk}
""")


def names(business_id: int, action: str, record: dict[str, Any]) -> list[str]:
    return [route.name for route in TABLE.match(business_id, action, record).routes]


def test_an_event_goes_to_every_route_that_wants_it_in_the_order_of_the_file() -> None:
    """By action, wildcard, business and filter."""
    assert names(1001, "BookingCreate", {"Price": 150}) == ["bookings", "doors", "dear", "mine", "everything"]
    assert names(1002, "BookingCreate", {"Price": 50}) == ["bookings", "mine", "everything"]
    assert names(1001, "BookingDelete", {"Price": 50}) == ["bookings", "doors", "everything"]
    assert names(1, "CoworkerCreate", {"Price": 50}) == ["everything"]


def test_actions_that_nexudus_adds_tomorrow_match_wildcards() -> None:
    """A name that the table of actions does not have."""
    assert names(1, "BookingTeleported", {"Price": 1}) == ["bookings", "everything"]
    assert names(1, "Ünknown🥶", {"Price": 1}) == ["everything"]


def test_the_action_none_matches_nothing() -> None:
    """Number 1 of eWebhookAction stands for no action; "*" does not mean it."""
    assert names(1001, "None", {"Price": 150}) == []


def test_a_filter_that_fails_is_false_and_named() -> None:
    """The other routes of the event are not touched."""
    matched = TABLE.match(1, "CoworkerCreate", {"Price": None})

    assert [route.name for route in matched.routes] == ["everything"]
    assert matched.failed == ("dear",)


def test_explain_says_of_each_route_why_not() -> None:
    """The first condition that does not hold, in words."""
    explained = {one.route: one for one in TABLE.explain(1002, "BookingCreate", {"Price": None})}

    assert explained["bookings"].matched
    assert explained["doors"].why_not == "it wants business 1001, not 1002"
    assert explained["dear"].failed
    assert explained["dear"].why_not == (
        "its filter failed: a value is null, or of another type than the expression asks for (data.Price > 100)"
    )
    assert explained["mine"].matched
    assert explained["off"].why_not == "the route is not enabled"
    explained = {one.route: one for one in TABLE.explain(1001, "BlogPostCreate", {"Price": 1})}
    assert explained["doors"].why_not == "it wants BookingCreate, BookingDelete, not BlogPostCreate"
    assert explained["dear"].why_not == "its filter is false: data.Price > 100"
    assert not explained["dear"].failed


def test_routes_are_found_by_name() -> None:
    """Also those that are not enabled."""
    assert TABLE.route("off") == TABLE.routes[4]
    assert TABLE.route("gone") is None


def test_the_registrar_is_told_which_actions_are_wanted() -> None:
    """Wildcards expanded over what is known; neither None nor what only disabled routes want."""
    some = parse(
        'routes: [{action: ["Team*", BookingCreate], handler: log}, {action: "*", handler: x, enabled: false}]'
    )

    assert some.actions(actions.CODES) == {"TeamCreated", "TeamUpdated", "TeamDeleted", "BookingCreate"}
    assert TABLE.actions(actions.CODES) == set(actions.NAMES)


_NAMES = st.sampled_from([*actions.NAMES[:12], "None", "Booking", "BookingTeleported", ""])
_PATTERNS = _NAMES | st.text("aBo*", max_size=8) | st.sampled_from(["*", "Booking*", "*Create", "*o*i*", "**"])


@given(st.lists(_PATTERNS, max_size=4), _NAMES | st.text("aBo", max_size=8))
def test_wildcards_match_as_a_regular_expression_would(patterns: list[str], action: str) -> None:
    """The oracle: each star is `.*`."""
    expected = action != "None" and any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), action) for pattern in patterns
    )

    assert route.matches(patterns, action) == expected


def test_a_hostile_wildcard_is_matched_without_backtracking() -> None:
    """Thirty stars against a long name; a naive regular expression would not come back."""
    assert not route.matches(["*a" * 30 + "b"], "a" * 2_000)


_ROUTES = st.builds(
    lambda number, patterns, businesses, limit, enabled: Route(
        name=f"r{number}",
        actions=tuple(patterns),
        businesses=None if businesses is None else frozenset(businesses),
        where=None if limit is None else Filter(f"data.Price > {limit}"),
        handler="log",
        options={},
        queue="default",
        timeout_ms=1,
        retry_ms=(),
        enabled=enabled,
        line=number,
    ),
    st.integers(0, 10**6),
    st.lists(_PATTERNS, min_size=1, max_size=3),
    st.none() | st.sets(st.integers(1, 3), min_size=1),
    st.none() | st.integers(0, 3),
    st.booleans(),
)
_EVENTS = st.tuples(st.integers(1, 3), _NAMES, st.sampled_from([None, "x", 0, 1, 2, 3, 4]))


@given(st.lists(_ROUTES, max_size=8), st.lists(_EVENTS, max_size=12))
def test_match_is_what_a_plain_reading_of_the_routes_gives(
    routes: list[Route], events: list[tuple[int, str, Any]]
) -> None:
    """Many events through one table, so that what it remembers is used; `explain` agrees with `match`."""
    never = BackfillSettings("never", window_ms=0, limit=0, deletes="off")
    one = RoutingTable(tuple(routes), ("default",), "all", "0" * 16, "", "routes.yaml", never)

    for business_id, action, price in events:
        wanted = [
            route
            for route in routes
            if route.enabled
            and action != "None"
            and any(re.fullmatch(".*".join(map(re.escape, p.split("*"))), action) for p in route.actions)
            and (route.businesses is None or business_id in route.businesses)
        ]
        expected = [
            route.name
            for route in wanted
            if route.where is None
            or (isinstance(price, int) and price > int(route.where.source.removeprefix("data.Price > ")))
        ]
        failed = [route.name for route in wanted if route.where is not None and not isinstance(price, int)]
        matched = one.match(business_id, action, {"Price": price})
        assert [route.name for route in matched.routes] == expected
        assert list(matched.failed) == failed
        explained = one.explain(business_id, action, {"Price": price})
        assert [(why.route, why.matched) for why in explained] == [
            (route.name, route in matched.routes) for route in routes
        ]


def _calls(one: RoutingTable, business_id: int) -> int:
    """Count the Python functions that are called to match one event."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        one.match(business_id, "BookingCreate", {"Price": 1})
    finally:
        sys.setprofile(None)
    return count


def test_a_thousand_other_routes_cost_nothing() -> None:
    """The work for an event is that of the routes which its action and business lead to."""
    wanted = "  - {name: wanted, action: BookingCreate, business: 1, where: data.Price == 1, handler: log}\n"
    others = "".join(
        f"  - {{name: o-{n}, action: {action}, business: {n}, where: data.Price == 2, handler: log}}\n"
        for n, action in zip(range(2, 1_002), ["BookingCreate", '"*"', "TeamCreated", '"B*"'] * 250, strict=True)
    )
    alone, crowd = parse(f"routes:\n{wanted}"), parse(f"routes:\n{wanted}{others}")
    for one in (alone, crowd):
        one.match(1, "BookingCreate", {"Price": 1})  # it remembers from now on

    assert [route.name for route in crowd.match(1, "BookingCreate", {"Price": 1}).routes] == ["wanted"]
    assert _calls(crowd, 1) == _calls(alone, 1)


def test_what_is_remembered_is_bounded() -> None:
    """Someone who could send any business and action would not fill the memory."""
    one = parse("routes: [{action: '*', handler: log}]")

    def most_memory(business_ids: range) -> int:
        tracemalloc.reset_peak()
        for business_id in business_ids:
            one.match(business_id, "BookingCreate", {})
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        peaks = [most_memory(range(first, first + 40_000)) for first in range(0, 160_000, 40_000)]
    finally:
        tracemalloc.stop()
    assert max(peaks) < 2 * peaks[0]


def test_a_route_in_the_shadow_is_told_apart() -> None:
    """It wants the event, and is not among those that get it."""
    shadowed = parse("""\
routes:
  - {name: live, action: "*", handler: log}
  - {name: watching, action: "*", where: data.Price > 100, handler: log, shadow: true}
  - {name: "off", action: "*", handler: log, shadow: true, enabled: false}
""")

    matched = shadowed.match(1, "BookingCreate", {"Price": 150})
    live, watching, off = shadowed.explain(1, "BookingCreate", {"Price": 150})

    assert [route.name for route in matched.routes] == ["live"]
    assert [route.name for route in matched.shadow] == ["watching"]
    assert [(one.matched, one.shadow) for one in (live, watching, off)] == [(True, False), (True, True), (False, False)]
    assert shadowed.match(1, "BookingCreate", {"Price": 50}).shadow == ()
    assert "BookingCreate" in shadowed.actions(actions.NAMES), "it needs its webhooks all the same"
