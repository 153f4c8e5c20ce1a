"""routes.yaml becomes a table, or every problem with its file and line, in sentences for an operator."""

import hashlib
import os
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.errors import FileProblem, RoutesError
from receiver.nexudus import actions
from receiver.routing import file
from receiver.routing.document.shapes import RouteShape, keys_of
from receiver.routing.table import RoutingTable

FULL = """\
businesses: [1001, 1002]               # locations
defaults: {timeout: 20s, retry: [10s, 1m], queue: bulk}
queues: [doors, default]
routes:
  - name: announce-bookings
    action: [BookingCreate, BookingUpdate]
    business: 1001
    where: data.Tentative == false && data.EstimatedCost > 100.0
    handler: forward
    with: {url: "https://crm.example/hooks", secret: env/CRM_SECRET, deep: {1: [a, 2.5, ~, NO]}}
    queue: default
    timeout: 500ms
    retry: []
    enabled: yes
  - {action: "CoworkerInvoice*", handler: "accounting.sync:Post_Invoices", business: [1002, 1003]}
  - {action: "*", handler: log, enabled: false}
"""


def parse(text: str) -> RoutingTable:
    return file.parse(text, file="routes.yaml", known_actions=actions.NAMES)


def problems(text: str) -> list[tuple[int, str]]:
    with pytest.raises(RoutesError) as caught:
        parse(text)
    assert all(problem.file == "routes.yaml" for problem in caught.value.problems)
    assert all("\n" not in problem.message for problem in caught.value.problems)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def test_every_key_is_read() -> None:
    """The whole of the published example, and defaults for what is not said."""
    table = parse(FULL)

    announce, invoices, everything = table.routes
    assert (announce.name, announce.actions) == ("announce-bookings", ("BookingCreate", "BookingUpdate"))
    assert announce.businesses == frozenset({1001})
    assert announce.where is not None
    assert announce.where.source == "data.Tentative == false && data.EstimatedCost > 100.0"
    assert announce.handler == "forward"
    assert announce.options == {
        "url": "https://crm.example/hooks",
        "secret": "env/CRM_SECRET",
        "deep": {1: ["a", 2.5, None, "NO"]},
    }
    assert (announce.queue, announce.timeout_ms, announce.retry_ms, announce.enabled) == ("default", 500, (), True)
    assert (invoices.name, invoices.queue, invoices.timeout_ms) == ("post-invoices", "bulk", 20_000)
    assert invoices.businesses == frozenset({1002, 1003})
    assert invoices.retry_ms == (10_000, 60_000)
    assert (everything.name, everything.enabled, everything.options) == ("log", False, {})
    assert [route.line for route in table.routes] == [5, 15, 16]
    assert (table.businesses, table.queues) == ((1001, 1002), ("doors", "default", "bulk"))
    assert table.hash == hashlib.sha256(FULL.encode()).hexdigest()[:16]
    assert (table.text, table.file) == (FULL, "routes.yaml")


def test_two_keys_suffice() -> None:
    """Action and handler; the rest is the published defaults."""
    table = parse("routes:\n- action: BookingCreate\n  handler: log\n")

    (route,) = table.routes
    assert (route.name, route.where, route.businesses, route.enabled) == ("log", None, None, True)
    assert (route.queue, route.timeout_ms) == ("default", 30_000)
    assert route.retry_ms == (10_000, 60_000, 600_000, 3_600_000, 21_600_000)
    assert (table.businesses, table.queues) == ("all", ("default",))


def test_no_routes_are_no_mistake() -> None:
    """Everything is then unrouted; the queue of tomorrow's routes is there."""
    assert parse("routes: []").queues == ("default",)


def test_every_problem_is_reported_in_one_go_with_its_line() -> None:
    """As an operator makes them, all at once."""
    found = problems("""\
businesses: [1001, x, -1]
defauts: {}
defaults: {timeout: 3 weeks, retry: 5s, quee: x}
queues: [doors, doors, Default]
routes:
  - nme: x
    on: BookingCreate
    hander: log
  - action: [BookingCraete, None, Foo*, 12, "Booking*"]
    handler: 5
    business: [yes, 1]
    where: data.x ==
    with: [1]
    queue: Bad Queue
    timeout: 25h
    retry:
      - 10s
      - nope
      - 31d
    enabled: maybe
    order: data.x ==
    limit: 0/m
  - action: BookingCreate
    handler: log
  - {action: BookingCreate, handler: log}
  - {action: BookingCreate, handler: forward, name: log}
  - just text
  - action:
    handler:
    where:
  - {action: [], handler: "x y", name: "Bad Name", timeout: 0}
  - {handler: archive}
""")

    keys = ", ".join(keys_of(RouteShape))
    assert found == [
        (1, "businesses[1]: 'x' is not the number of a Nexudus location"),
        (1, "businesses[2]: -1 is not the number of a Nexudus location"),
        (2, "unknown key 'defauts' in routes.yaml; did you mean 'defaults'?"),
        (3, "defaults.timeout: '3 weeks' is not a duration; write 500ms, 30s, 10m, 6h, 7d or plain seconds"),
        (3, "defaults.retry: must be a list, like [a, b], not text"),
        (3, "unknown key 'quee' in defaults; did you mean 'queue'?"),
        (4, "queues[2]: 'Default' does not fit; a queue is 1 to 40 characters of a-z, 0-9, _ and -"),
        (4, "'doors' stands in the list already"),
        (6, "unknown key 'nme' in a route; did you mean 'name'?"),
        (7, "'on' is no key here (and YAML 1.1 reads it as true); write `action`"),
        (8, "unknown key 'hander' in a route; did you mean 'handler'?"),
        (9, "action[0]: unknown action 'BookingCraete'; did you mean 'BookingCreate'?"),
        (9, "action[1]: None is Nexudus's name for no action; no event has it"),
        (9, "action[2]: no action of Nexudus matches 'Foo*'"),
        (9, "action[3]: must be text, not a number; put it in quotes"),
        (10, "handler: must be text, not a number; put it in quotes"),
        (11, "business[0]: 'yes' is not the number of a Nexudus location"),
        (12, "where: the filter is not CEL at character 10: it ends too early"),
        (13, "with: must be a mapping, like {key: value}, not a list"),
        (14, "queue: 'Bad Queue' does not fit; a queue is 1 to 40 characters of a-z, 0-9, _ and -"),
        (15, "timeout: '25h' is not between 1ms and 1d"),
        (18, "retry[1]: 'nope' is not a duration; write 500ms, 30s, 10m, 6h, 7d or plain seconds"),
        (19, "retry[2]: '31d' is not between 0s and 30d"),
        (20, "enabled: must be true or false, not text"),
        (21, "order: the key is not CEL at character 10: it ends too early"),
        (22, "limit: a limit of 0 would let nothing through; to hold a route, use frontdesk pause"),
        (25, "would be called 'log' like the route on line 23; give this one a `name`"),
        (26, "name: route 'log' is already defined on line 23"),
        (27, "route: must be a mapping, like {key: value}, not text"),
        (28, "action: is empty; give it a value, or remove the key"),
        (29, "handler: is empty; give it a value, or remove the key"),
        (30, "where: is empty; give it a value, or remove the key"),
        (31, "name: 'Bad Name' does not fit; a name is 1 to 40 characters of a-z, 0-9 and -"),
        (31, "action: is an empty list; remove the key, or put something in"),
        (31, "handler: 'x y' is neither the name of a handler nor module:function"),
        (31, "timeout: 0 is not between 1ms and 1d"),
        (32, "a route needs `action`"),
    ]
    assert problems("routes:\n- {colour: red, action: BookingCreate, handler: log}") == [
        (2, f"unknown key 'colour' in a route; known keys: {keys}")
    ]


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("BookingCraete", "unknown action 'BookingCraete'; did you mean 'BookingCreate'?"),
        ("bookingcreate", "unknown action 'bookingcreate'; did you mean 'BookingCreate'?"),
        ("HelpDeskMessageCreated", "did you mean 'HelDeskMessageCreated'?"),  # Nexudus's own spelling
        ("Quux", "unknown action 'Quux'"),
        ('"Bokking*"', "no action of Nexudus matches 'Bokking*'; did you mean 'Booking"),
        ("None", "None is Nexudus's name for no action"),
        ('"BookingCreate "', "'BookingCreate ' is not an action"),
        ('"Booking?"', "'Booking?' is not an action"),
        ('""', "'' is not an action"),
        ("true", "must be text, not true or false"),
        ("{}", "must be text, not a mapping"),
    ],
)
def test_actions_that_nexudus_does_not_know(written: str, sentence: str) -> None:
    """With the nearest name; a wildcard must match something that exists."""
    ((line, message),) = problems(f"routes:\n  - handler: log\n    action: {written}\n")

    assert line == 3
    assert sentence in message


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("", 0, "is empty; it needs at least `routes:`"),
        ("# nothing yet\n", 0, "is empty; it needs at least `routes:`"),
        ("---\n...\n", 0, "is empty"),
        ("- action: BookingCreate\n", 0, "does not begin with keys"),
        ("just text", 0, "does not begin with keys"),
        ("{}", 1, "`routes` is missing; it holds the list of routes"),
        ("businesses: all\n", 1, "`routes` is missing"),
        ("routes:\n", 1, "routes: is empty"),
        ("routes: {a: 1}", 1, "routes: must be a list, like [a, b], not a mapping"),
        ("businesses: every\nroutes: []", 1, "businesses: 'every' is neither a list of locations nor the word all"),
        ("businesses: []\nroutes: []", 1, "businesses: is an empty list"),
        ("routes:\n\t- action: x", 2, "the line is indented with a tab; use spaces"),
        ("routes:\n- action: x\n\thandler: y", 3, "the line is indented with a tab; use spaces"),
        ("routes: [\x07]", 1, "character '\\x07' is not allowed in YAML; remove it"),
        ("routes: []\nroutes: []", 2, "key 'routes' is already given on line 1"),
        ("routes:\n- action: X\n  handler: a\n  handler: b", 4, "key 'handler' is already given on line 3"),
        ("routes: []\n---\nroutes: []", 2, "a second document begins here"),
        ("routes:\n- action: *\n  handler: log", 2, 'must be in quotes: "*"'),
        ("routes:\n- action: *x\n  handler: log", 2, "*x is an alias to YAML, and no &x comes before it"),
        ("routes:\n- where: !data.x", 2, "a tag to YAML (!data.x); put the whole value in quotes"),
        ("routes: !!python/object/apply:os.system [ls]", 1, "a tag to YAML"),
        ("routes:\n- where: 'a' == data.b", 2, "quote the whole value"),
        ("routes:\n- where: a ? b : c", 2, "put the value in quotes"),
        ("routes:\n- where: @x", 2, "put the value in quotes"),
        ("routes:\n- action: [a, b", 2, "is not YAML"),
        ("routes:\n  - action: X\n   handler: log", 3, "not indented like the list"),
        ("base: &b {a: 1}\nroutes: [{<<: *b}]", 2, "merge keys (<<) are not read"),
        ("? [a]\n: 1", 1, "a key must be a word"),
        ("routes: " + "[" * 30 + "]" * 30, 1, "is nested more than 20 levels deep"),
        ("[" * 100_000, 1, "is nested more than 20 levels deep"),
        ("routes:\n- {action: BookingCreate, handler: '_'}", 2, "give the route a `name`"),
        ("routes:\n- {action: BookingCreate, handler: log, with: {1: 2}}", 2, "with: key 1 must be a word"),
        (
            "routes:\n- {action: BookingCreate, handler: 'a:b:c'}",
            2,
            "neither the name of a handler nor module:function",
        ),
        ("routes:\n- {action: BookingCreate, handler: log, business: true}", 2, "business: True is not the number"),
        ("routes:\n- {action: BookingCreate, handler: log, business: 010}", 2, "business: '010' is not the number"),
        ("routes:\n- {action: BookingCreate, handler: log, timeout: 1:30}", 2, "timeout: '1:30' is not a duration"),
        ("routes:\n- {action: BookingCreate, handler: log, retry: [1e999]}", 2, "retry[0]: '1e999' is not a duration"),
    ],
)
def test_text_that_is_no_routing_file(text: str, line: int, sentence: str) -> None:
    """The first problem leads to the mistake."""
    found = problems(text)

    assert any(line == at and sentence in message for at, message in found), found


def test_aliases_are_followed_and_bombs_are_not() -> None:
    """Ten levels of ten would be ten thousand million values."""
    text = "routes:\n- {action: BookingCreate, handler: log, retry: &r [1s, 2s]}\n"
    text += "- {action: BookingUpdate, handler: log, name: b, retry: *r}\n"
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 11))

    assert parse(text).routes[1].retry_ms == (1_000, 2_000)
    found = problems(f"l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n{levels}")
    assert any("more than 200000 values, aliases included" in message for _, message in found)


def test_a_file_is_read(tmp_path: Path) -> None:
    """With or without a byte-order mark, with any line ends; the messages name it."""
    path = tmp_path / "routes.yaml"
    path.write_bytes("\ufeffroutes:\r\n- action: BookingCreate\r\n  handler: log\r\n".encode())

    assert file.read(path, known_actions=actions.NAMES).routes[0].line == 2
    path.write_text("routes: 1")
    with pytest.raises(RoutesError, match=f"^{path}:1: routes: must be a list"):
        file.read(path, known_actions=actions.NAMES)


def _no_file(path: Path) -> None:
    path.unlink(missing_ok=True)


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _latin(path: Path) -> None:
    path.write_bytes("routes:\n# Kündigung\n".encode("latin-1"))


def _huge(path: Path) -> None:
    path.write_bytes(b"#" * 2_000_000)


@pytest.mark.parametrize(
    ("make", "line", "sentence"),
    [
        (_no_file, 0, "cannot be read: No such file or directory"),
        (_folder, 0, "is not a file"),
        (_pipe, 0, "is not a file"),
        (_loop, 0, "cannot be read: "),
        (_latin, 2, "is not UTF-8 from here on; save the file as UTF-8"),
        (_huge, 0, "is larger than 1048576 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path, make, line: int, sentence: str) -> None:  # type: ignore[no-untyped-def]
    """Never a traceback, never a wait."""
    path = tmp_path / "routes.yaml"
    make(path)

    with pytest.raises(RoutesError) as caught:
        file.read(path, known_actions=actions.NAMES)

    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(path), line)
    assert sentence in problem.message


def test_a_name_with_a_null_character_is_one_problem() -> None:
    """As a setting could hold it."""
    with pytest.raises(RoutesError, match="null character in its name"):
        file.read(Path("a\0b"), known_actions=actions.NAMES)


_FRAGMENTS = st.sampled_from(
    ["routes:", "- action:", "  handler: log", "businesses:", "defaults:", "queues:", "name: x", "where: ", "with: {"]
) | st.sampled_from("BookingCreate None 1001 -1 1e9 10s null true on << &a *a !x é🥶".split())  # noqa: SIM905
_FRAGMENTS |= st.sampled_from(["\n", "\n  ", "\t", ": ", "- ", "---\n", "...\n", '"*"', *"[]{},'\"|>?%#@"])


def refused(text: str) -> tuple[FileProblem, ...]:
    """Return what is wrong with a text; nothing when it is a table."""
    try:
        table = parse(text)
    except RoutesError as error:
        return error.problems
    assert all(route.actions and route.handler for route in table.routes)
    return ()


@given(st.text(max_size=200) | st.lists(_FRAGMENTS, max_size=40).map("".join))
def test_reading_is_total_over_any_text(text: str) -> None:
    """A table, or RoutesError with problems of one line each; never anything else."""
    lines = len(text.splitlines()) + 1

    for problem in refused(text):
        assert problem.message
        assert "\n" not in problem.message
        assert 0 <= problem.line <= lines


_VALUES = st.recursive(
    st.sampled_from(["BookingCreate", "log", "10s", "data.x == 1", "all", "", "x y", "a:b"]) | st.none() | st.booleans()
    | st.integers(-5, 10**12) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["url", "queue", "retry"]), inner),
    max_leaves=6,
)  # fmt: skip
_KEYS = st.sampled_from([*keys_of(RouteShape), "order", "on", "x"])


@given(st.lists(st.dictionaries(_KEYS, _VALUES, max_size=8), max_size=4), st.dictionaries(_KEYS, _VALUES, max_size=2))
def test_reading_is_total_over_any_values(routes: list[dict[str, object]], defaults: dict[str, object]) -> None:
    """Right keys with wrong values in every combination (JSON is YAML)."""
    text = orjson.dumps({"routes": routes, "defaults": defaults}).decode()

    assert all(problem.line == 1 for problem in refused(text))


TESTED = """\
routes:
  - name: dear
    action: "Booking*"
    handler: log
    shadow: true
    tests:
      - {record: {Price: 150, Tentative: false}}
      - record: samples/cheap.json
        action: BookingUpdate
        business: 1001
        match: false
"""


def test_tests_of_a_route_are_read_with_their_lines() -> None:
    """A record in the file itself, or the path of one."""
    (route,) = parse(TESTED).routes

    first, second = route.tests
    assert route.shadow
    assert (first.record, first.action, first.business_id, first.match, first.line) == (
        {"Price": 150, "Tentative": False},
        None,
        None,
        True,
        7,
    )
    assert (second.record, second.action, second.business_id, second.match, second.line) == (
        "samples/cheap.json",
        "BookingUpdate",
        1001,
        False,
        8,
    )


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("{match: true}", "a test needs `record`"),
        ("{record: 7}", "tests.record: must be a record, like {Id: 1}, or the path of a file with one, not a number"),
        ("{record: {1: 2}}", "tests.record: key 1 must be a word"),
        ("{record: a.json, action: 'Booking*'}", "tests.action: 'Booking*' matches several actions; a test has one"),
        ("{record: a.json, action: BookingCraete}", "unknown action 'BookingCraete'; did you mean 'BookingCreate'?"),
        ("{record: a.json, expect: true}", "unknown key 'expect' in a test; known keys: record, action,"),
        ("{record: a.json, match: maybe}", "tests.match: must be true or false, not text"),
        ("{record: a.json, business: x}", "tests.business: 'x' is not the number of a Nexudus location"),
        ("a.json", "must be a mapping, like {key: value}, not text"),
    ],
)
def test_a_wrong_test_is_told_with_its_line(test: str, message: str) -> None:
    """The line of the test, not of its route."""
    found = problems(f"routes:\n  - action: BookingCreate\n    handler: log\n    tests:\n      - {test}\n")

    assert [line for line, _ in found] == [5]
    assert message in found[0][1]


def test_shadow_is_a_switch() -> None:
    """Nothing else."""
    assert problems("routes:\n  - {action: BookingCreate, handler: log, shadow: maybe}\n") == [
        (2, "shadow: must be true or false, not text")
    ]
