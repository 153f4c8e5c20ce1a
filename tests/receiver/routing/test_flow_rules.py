"""What a route lets its deliveries wait for: how it is written, what is refused, and the keys it works out."""

from typing import Any

import pytest

from receiver.core.errors import RoutesError
from receiver.nexudus.actions import CODES
from receiver.routing import file
from receiver.routing.filters import Filter
from receiver.routing.flow_rules import Flow, Key, Occurrence
from receiver.routing.route import Route


def route(keys: str) -> Route:
    """The route that says this."""
    text = f"routes: [{{action: BookingCreate, handler: log, {keys}}}]"
    return file.parse(text, file="routes.yaml", known_actions=CODES).routes[0]


def flow(keys: str) -> Flow:
    """What it says of waiting."""
    found = route(keys).flow
    assert found is not None
    return found


def happening(entity: str | None = "Booking:5", **record: Any) -> Occurrence:
    """A booking."""
    return Occurrence(1001, "BookingCreate", record, entity)


def test_what_says_nothing_of_waiting_waits_for_nothing() -> None:
    """Most routes; they pay nothing for the others."""
    assert route("queue: default").flow is None


def test_all_of_it_can_be_said() -> None:
    """In the words of the file."""
    said = flow("order: entity, limit: 100/m, concurrency: 4, per: data.CoworkerId, delay: 10m, give_up: 12h")

    assert (said.order, said.delay_ms, said.give_up_ms) == (Key(), 600_000, 43_200_000)
    assert said.limit is not None
    assert (said.limit.count, said.limit.period_ms, said.concurrency) == (100, 60_000, 4)
    assert said.per == Key(Filter("data.CoworkerId"))
    assert (said.has_terms, said.has_rules) == (True, True)
    assert (flow("limit: 10/s").has_terms, flow("order: entity").has_rules) == (False, False)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ("limit: 0/m", "limit: a limit of 0 would let nothing through; to hold a route, use frontdesk pause"),
        ("limit: 5", "limit: '5' is not a limit; write a number for each second, minute or hour: 10/s, 100/m, 5000/h"),
        ("limit: 1/d", "limit: '1/d' is not a limit; write a number"),
        ("limit: 99999/h", "limit: 99999 is more than 10000; say it for a shorter time"),
        ("concurrency: 0", "concurrency: a concurrency of 0 would let nothing through; to hold a route, use"),
        ("concurrency: -1", "concurrency: must be a whole number, not -1"),
        ("concurrency: true", "concurrency: must be a whole number, not true or false"),
        ("concurrency: 2.5", "concurrency: must be a whole number, not a number"),
        ("per: entity", "per: says what limit and concurrency count by, and the route has neither"),
        ("debounce: 30s, delay: 1m", "debounce: waits already; remove delay"),
        ("debounce: 0s", "debounce: '0s' is not between 1ms and 30d"),
        ("delay: 31d", "delay: '31d' is not between 1ms and 30d"),
        ("give_up: never", "give_up: 'never' is not a duration"),
        ("order: 5", "order: must be text, not a number"),
        ("order: dta.Id", "order: "),
        ("order: data", "order: yields neither a text nor a number, its result is a mapping"),
        ("order: '[data.Id]'", "order: yields neither a text nor a number, its result is a list"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(keys: str, sentence: str) -> None:
    """With its line, before anything runs by it."""
    with pytest.raises(RoutesError) as refused:
        route(keys)

    (problem,) = refused.value.problems
    assert sentence in problem.message
    assert problem.line == 1


@pytest.mark.parametrize(
    "key",
    ["string(data.Id)", "int(data.Id)", "string(data.Id) + action", "data.Id % 4", "action", "'all'", "data.Id == 7",
     "data.Team != '' ? string(data.Team) : string(data.Id)"],
)  # fmt: skip
def test_a_key_may_be_whatever_yields_a_text_or_a_number(key: str) -> None:
    """Not only what ends in true or false, as a filter has to: of the order, and of what limits count by."""
    event = happening(Id=5, Team="blue")

    ordered, counted = flow(f'order: "{key}"').terms(event), flow(f'limit: 10/s, per: "{key}"').terms(event)

    assert (ordered.failure, counted.failure) == (None, None)
    assert ordered.lane
    assert counted.per


def test_equal_keys_are_one_and_others_are_not() -> None:
    """Of an entity, a text or a number, however JSON writes it; nothing of the record can be read in it."""
    by_owner = flow("order: data.Owner")

    def lane(value: object) -> str:
        return by_owner.terms(happening(Owner=value)).lane

    assert lane("Ada") == lane("Ada") != lane("ada")
    assert lane(5) == lane(5.0) != lane("50")
    assert len({lane(value) for value in ("", "a" * 60_000, "\ud800", 10**15, -1, True)}) == 6
    assert {len(lane(value)) for value in ("", "a" * 60_000)} == {16}
    assert flow("order: entity").terms(happening()).lane != flow("order: entity").terms(happening("Booking:6")).lane


@pytest.mark.parametrize("record", [{}, {"Owner": None}, {"Owner": []}, {"Owner": {"a": 1}}, {"Owner": "x" * 70_000}])
def test_without_a_key_a_delivery_runs_for_itself(record: dict[str, Any]) -> None:
    """It is neither ordered nor debounced, so nothing unrelated is held or discarded for it; and why is said."""
    found = flow("order: data.Owner, debounce: 30s").terms(happening(**record))

    assert (found.lane, found.debounced, found.delay_ms) == ("", False, 0)
    assert found.failure
    assert flow("order: entity").terms(happening(None)).failure == "the record has no whole number as its Id"


def test_debounced_events_are_of_one_entity_unless_the_route_says_otherwise() -> None:
    """And wait for the quiet time."""
    by_entity = flow("debounce: 30s").terms(happening())
    by_owner = flow("debounce: 30s, order: data.Owner").terms(happening(Owner="Ada"))

    assert (by_entity.debounced, by_entity.delay_ms) == (True, 30_000)
    assert by_entity.lane == flow("order: entity").terms(happening()).lane
    assert by_owner.lane != by_entity.lane
