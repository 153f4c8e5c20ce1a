"""Two tables over the same events: who gets what by which, counted by route."""

from receiver.nexudus import actions
from receiver.routing import file
from receiver.routing.table import RoutingTable
from receiver.routing.table_diff import EXAMPLES, Comparison

OLD = """\
routes:
  - {name: bookings, action: "Booking*", handler: log}
  - {name: dear, action: "*", where: data.Price > 100, handler: log}
  - {name: going, action: CoworkerCreate, handler: log}
"""
NEW = """\
routes:
  - {name: bookings, action: "Booking*", business: 1001, handler: forward, with: {url: "https://x.example"}}
  - {name: dear, action: "*", where: data.Price > 50, handler: log}
  - {name: watching, action: "*", handler: log, shadow: true}
"""


def parse(text: str) -> RoutingTable:
    return file.parse(text, file="routes.yaml", known_actions=actions.NAMES)


def test_what_each_route_gains_and_loses_is_counted_with_examples() -> None:
    """And what no route handles any more, or handles now; settings that changed by their names."""
    compared = Comparison(parse(OLD), parse(NEW))
    compared.add("a", 1001, "BookingCreate", {"Price": 70})
    compared.add("b", 1002, "BookingCreate", {"Price": 20})
    compared.add("c", 1002, "CoworkerCreate", {"Price": 20})
    compared.add("d", 1002, "TeamCreated", {"Price": 60})
    compared.add("e", 1002, "TeamCreated", {})

    by_name = {route.route: route for route in compared.routes}
    bookings, dear, watching, going = (by_name[name] for name in ("bookings", "dear", "watching", "going"))
    assert (bookings.before, bookings.after, bookings.lost.examples) == (2, 1, ["b"])
    assert bookings.changed == ("handler", "with")
    assert (dear.before, dear.after, dear.gained.examples, dear.failed, dear.changed) == (0, 2, ["a", "d"], 1, ())
    assert (watching.is_old, watching.is_new, watching.after, watching.shadow) == (False, True, 0, 5)
    assert (going.is_new, going.lost.count) == (False, 1)
    assert (compared.handled.examples, compared.unhandled.examples) == (["d"], ["b", "c"])
    assert (compared.events, compared.is_same) == (5, False)


def test_equal_tables_differ_in_nothing() -> None:
    """However the file is laid out."""
    compared = Comparison(parse(OLD), parse(OLD.replace("{name", "{ name")))
    compared.add("a", 1001, "BookingCreate", {"Price": 70})

    assert compared.is_same
    assert not any(route.changed for route in compared.routes)


def test_only_a_few_examples_are_held() -> None:
    """A week of events must fit into memory."""
    compared = Comparison(parse(OLD), parse("routes: []"))
    for number in range(100):
        compared.add(str(number), 1001, "BookingCreate", {})

    (lost,) = [route.lost for route in compared.routes if route.route == "bookings"]
    assert (lost.count, lost.examples) == (100, [str(number) for number in range(EXAMPLES)])


def test_what_a_route_does_otherwise_is_told_by_its_keys() -> None:
    """Also what its deliveries wait for; an expression is what is written."""
    route = 'routes: [{{name: a, action: BookingCreate, handler: log, order: "data.ResourceId"{more}}}]'

    def changed(more: str) -> tuple[str, ...]:
        return Comparison(parse(route.format(more="")), parse(route.format(more=more))).routes[0].changed

    assert changed("") == ()
    assert changed(", shadow: true, nexudus: write, timeout: 5s") == ("timeout", "shadow", "nexudus")
    assert changed(", delay: 5s, limit: 10/s") == ("delay", "limit")
