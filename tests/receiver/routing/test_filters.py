"""Filters say true, false or why they failed; what cannot be bounded is refused when it is loaded."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.routing import filters
from receiver.routing.cel.evaluation import Evaluation
from receiver.routing.cel.expressions import ExpressionRefused
from receiver.routing.filters import Filter, FilterResult

RECORD: dict[str, Any] = {
    "Id": 7,
    "Tentative": False,
    "EstimatedCost": 120.5,
    "Price": 150,
    "Notes": None,
    "CoworkerFullName": "José 🥶 Núñez",
    "FromTime": "2026-03-01T09:00:00.1234567Z",
    "Tags": ["vip", "desk"],
    "Extra": {"Level": {"Name": "Gold"}},
    "Big": 2**70,
    "Rows": [{"Name": {"Last": "Núñez"}}],
}


def judge(source: str, record: dict[str, Any] | None = None) -> FilterResult:
    return Filter(source).judge(1001, "BookingCreate", RECORD if record is None else record)


@pytest.mark.parametrize(
    ("source", "is_true"),
    [
        ("data.Tentative == false && data.EstimatedCost > 100.0", True),
        ("data.EstimatedCost > 100", True),  # CEL compares numbers of all kinds
        ("data.Price > 100.5", True),
        ('action == "BookingCreate" && business_id == 1001', True),
        ("business_id in [1, 2]", False),
        ('data["CoworkerFullName"].startsWith("José")', True),
        ('data.CoworkerFullName.contains("🥶")', True),
        ("has(data.Gone)", False),
        ("has(data.Notes)", True),  # a null is there
        ("data.Notes == null", True),
        ('"Notes" in data', True),
        ('!("Gone" in data)', True),
        ("data.Gone == 1 || data.Price == 150", True),  # the other side decides
        ("data.Gone == 1 && data.Price == 1", False),
        ('data.Tags.exists(tag, tag == "vip")', True),
        ('data.Tags.filter(tag, tag.startsWith("d")).all(tag, tag == "desk")', True),
        ('data.Extra.Level.Name == "Gold"', True),
        ('timestamp(data.FromTime) > timestamp("2026-01-01T00:00:00Z")', True),
        ("size(data.Tags) == 2 // a comment with data.Gone in it", True),
        ("data.Big > 1", True),
        ("data.Price * 1.21 > 1.0", True),  # JSON writes 150.0 as 150
        ("data.EstimatedCost * 2 == 241", True),
        ("data.Price / 4 == 37.5", True),
        ("data.Price % 100 == 50", True),
        ("int(data.Price) / 4 == 37", True),
        ("data.Price - size(data.Tags) == 148", True),
        ("data.Tags[size(data.Tags) - 1] == 'desk'", True),
        ("data.Tags[0] == 'vip' && data.Price + 0x10 == 166.0", True),
        ("data.Price + 9223372036854775807 > 0", True),
        ("type(data.Price) == int && 1 + 1 == 2", True),  # who asks for the type gets it as it came
        ("string(data.Id + 1) == '8'", True),
        ("size('é🥶') == 2 && 'é'.size() == 1", True),  # characters, not bytes
        ('string(data.Tentative) == "false"', True),
        ('bool("true") && !bool(data.Tentative)', True),
        ('timestamp(1700000000) < timestamp(data.FromTime) && int(timestamp("1970-01-01T00:01:00Z")) == 60', True),
        ('timestamp(data.FromTime).getHours("Europe/Madrid") == 10', True),
        ("timestamp(data.FromTime).getHours('-09:30') == 23 && timestamp(data.FromTime).getDate('-09:30') == 28", True),
        ('timestamp("2026-03-01T01:30:00+02:00").getHours() == 23', True),  # in UTC, if no zone is named
        ('duration("90m").getMinutes() == 90 && duration("-90m").getHours() == -1', True),
        ('data.CoworkerFullName.matches("(?i)^josé")', True),
        ('data.CoworkerFullName.matches(r"^\\d+$")', False),
        ('data.Tags.exists(t, t.matches("^v")) && data.CoworkerFullName.matches("z$")', True),
        ('data.Rows.exists(row, row.Name.Last.matches("^N"))', True),
        ("true", True),
        ("size(data) == 11", True),  # the whole record
    ],
)
def test_filters_that_can_be_evaluated(source: str, is_true: bool) -> None:
    """CEL as its specification has it, over data, action and business_id."""
    assert judge(source) == FilterResult(is_true)


@pytest.mark.parametrize(
    ("source", "failure"),
    [
        ("data.Gone == 1", "there is no 'Gone' in it"),
        ("data.Notes > 1", "null, or of another type"),
        ('data.Notes.contains("x")', "contains() cannot work"),
        ('data.Notes.matches("x")', "not true or false"),
        ('!data.Notes.matches("x")', "null, or of another type"),
        ('data.Price.matches("1")', "not true or false"),
        ("data.Price", "the result is a number"),
        ("data.CoworkerFullName", "the result is a text"),
        ("data.Notes", "the result is null"),
        ("data.Extra", "the result is a mapping"),
        ("[timestamp(data.FromTime)][0]", "the result is something else"),
        ("int(data.Price) / int(data.Tentative ? 1 : 0) == 1", "out of range, or a division by zero"),
        ("data.EstimatedCost % 2 == 0", "write double() around the whole one, or int() on both sides of %"),
        ("data.EstimatedCost * int(data.Price) > 1", "whole and decimal numbers meet in it"),
        ("size(data.Price) == 1", "size() cannot work"),
        ("string(data.Tags) == 'x'", "string() cannot work"),
        ('timestamp(data.Tentative) > timestamp("2026-01-01T00:00:00Z")', "timestamp() cannot work"),
        ("data.Tags[5] == data.Tags[0]", "a list is shorter"),
        ("data[data.CoworkerFullName] == 1", "a key is missing"),
        ("int(data.CoworkerFullName) == 1", "int() cannot work"),
        ("timestamp(data.CoworkerFullName) > timestamp(data.FromTime)", "timestamp() cannot work"),
        ("data.Extra.Level.Gone.More == 1", "there is no 'Gone' in it"),
    ],
)
def test_a_filter_that_fails_is_false_and_says_why_without_the_payload(source: str, failure: str) -> None:
    """A missing field, a null, another type: never an exception, never a person's name in a log."""
    verdict = judge(source)

    assert not verdict.is_true
    assert failure in str(verdict.failure)
    assert "José" not in str(verdict.failure)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("data.x ==", "is not CEL at character 10: it ends too early"),
        ("data.x = 1", "write == to compare"),
        ("data.x\n  &&& data.y", "is not CEL at character 5 of line 2"),
        ("", "is not CEL: it is empty"),
        ("  ", "is not CEL: it is empty"),
        ("# not a comment in CEL", "is not CEL at character 1"),
        ("dta.x == 1", "unknown variable 'dta'; did you mean data?"),
        ("Price > 1", "unknown variable 'Price'; did you mean data.Price?"),
        (".data.x == 1", "unknown variable '.data'; did you mean data?"),
        ("now > 1", "unknown variable 'now'"),
        ("data.x.lower() == 'a'", "unknown function lower()"),
        ("data.x.startswith('a')", r"unknown function startswith(); did you mean startsWith()?"),
        ("exists(data.x)", "write exists() as data.Names.exists(item, condition)"),
        ("data.a.all(x, data.b.all(y, x == y))", "nested ones are refused"),
        ("data.a.all (x, (data.b) . exists (y, x == y))", "nested ones are refused"),
        ("data.a.map(x, [x].map(y, [y].map(z, z))) == []", "map() is refused"),
        (".".join(["data.a", *["filter(x, x)"] * 4]) + " == []", "has 4 comprehensions; at most 3"),
        ("data.a.all(x, x + x + x + x + x + x == 'a')", "more than 4 '+'"),
        ("data.a.map(x, x.b) == []", "map() is refused"),
        ("data.a.exists(data, data == 1)", "data is a variable already"),
        ("data.a.matches(data.b)", "with the pattern in quotes"),
        ("data.a.matches(b'x')", "with the pattern in quotes"),
        ("matches(data.a, 'x')", 'write matches() as data.Name.matches("pattern")'),
        ("data.a.exists(x, data.b.matches('x'))", "matches() on anything but the item"),
        ("data.a.exists(x, (x + data.b).matches('x'))", "matches() on anything but the item"),
        ("data.a.matches('(')", "the pattern '(' is not a regular expression"),
        ("data.a.matches('(?<=x)y')", "is not a regular expression"),
        ("data.a.matches('(a{1000}){1000}')", "is too large"),
        (r"data.a.matches('\\w{50}')", "is too large"),
        ("x" * 1001, "is 1001 characters long; 1000 are allowed"),
        ("(" * 13 + "true" + ")" * 13, "more than 12 brackets inside one another"),
        ("!" * 500 + "true", "has 500 operators, dots and brackets; 120 are allowed"),
        ('"\ud800" == data.a', "is not CEL"),
        ("data.a / 0 > 1", "divides by zero: / 0"),
        ("data.a % 0x0 > 1", "divides by zero: % 0x0"),
        ("size(data.a, data.b) > 1", "size() takes 1 argument, not 2"),
        ("data.a.size(1) > 1", "value.size() takes 0 arguments, not 1"),
        ("startsWith(data.a, 'x')", "there is no startsWith(); write it as value.startsWith()"),
        ("data.a.string() == 'x'", "there is no value.string(); write it as string(value)"),
        ("data.a.startsWith(1)", "value.startsWith() takes a text, not 1"),
        ("data.a.contains(null)", "value.contains() takes a text, not null"),
        ("timestamp(data.a).getHours('Europe/Madird') > 1", "takes a time zone in quotes, like 'Europe/Madrid'"),
        ("timestamp(data.a).getHours(data.zone) > 1", "takes a time zone in quotes"),
        ("timestamp(data.a).getHours('../../etc/passwd') > 1", "takes a time zone in quotes"),
        ("timestamp(data.a).getHours(1, 2) > 1", "takes 0 or 1 arguments, not 2"),
        (
            "data.a - timestamp(data.b) > duration('1d')",
            "duration('1d') fails for every event: a duration is written in",
        ),
        ("[data.a, timestamp('2026-03-01')] != []", "a time is written like"),
        ("data.a == 'b' + 1", "'b' + 1 fails for every event"),
        ("data.a.exists(x, x > int('one'))", "int('one') fails for every event"),
        ("data.a != size(7) ? true : false", "size(7) fails for every event"),
    ],
)
def test_what_cannot_be_bounded_or_does_not_exist_is_refused_when_it_is_loaded(source: str, sentence: str) -> None:
    """One sentence each, long before an event comes."""
    with pytest.raises(ExpressionRefused) as caught:
        Filter(source)

    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("1 + 1", "a number or a text"),
        ("(data.Price - 1)", "a number or a text"),
        ("-data.Price", "a number or a text"),
        ("((7))", "a number"),
        ('"true"', "a text"),
        ("null", "null"),
        ("data", "a mapping"),
        ("action", "a text"),
        ("business_id", "a number"),
        ("[data.Tentative]", "a list"),
        ('{"a": data.Tentative}', "a mapping"),
        ("size(data.Tags)", "a number"),
        ("data.Tags.size()", "a number"),
        ("data.Tags.filter(tag, tag == 'vip')", "a list"),
        ("timestamp(data.FromTime)", "a time"),
        ("timestamp(data.FromTime).getHours()", "a number"),
        ("data.Tentative ? data.Price > 1 : size(data.Tags)", "a number"),
        ("data.Tentative ? (data.Price > 1 ? true : 2) : false", "a number"),
    ],
)
def test_what_does_not_end_in_true_or_false_is_refused_when_it_is_loaded(source: str, kind: str) -> None:
    """It would fail on every event."""
    with pytest.raises(
        ExpressionRefused, match=f"^does not end in true or false, its result is {kind}; compare it with something$"
    ):
        Filter(source)


@pytest.mark.parametrize("source", ["[1][7] == 1", "int('x') > 1"])
def test_what_fails_without_reading_anything_is_refused(source: str) -> None:
    """No event can mend it."""
    with pytest.raises(ExpressionRefused, match="^fails for every event, since it reads nothing of it: "):
        Filter(source)


@pytest.mark.parametrize(
    "source",
    [
        "true",
        "!(1 + 1 == 2)",
        "data.Tentative",
        "data.Rows[0].Name",
        '(data.Price + 1) > 2 ? "x" in data.Tags : !data.Tentative',
        "(1 + 1 == 2) && (data.Price - 1 > 0)",
        'data.CoworkerFullName.startsWith("J" + "o")',
        "dyn(data.Flag)",
        "[true, 7][0]",
        "type(data.Id) == int",
        "data.Tags.exists(tag, tag + 'x' == 'vipx')",
    ],
)
def test_what_may_end_in_true_or_false_is_left_to_each_event(source: str) -> None:
    """A field of a record may be anything."""
    assert Filter(source).source == source


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("data.A == data.B", ("A", "B")),
        ('data["A"] == data . B', ("A", "B")),
        ("data['A'] // data.C\n == 1", ("A",)),
        ('has(data.A) && "B" in data', ("A", "B")),
        ("data.A.B.C == 1", ("A",)),
        ('"data.X" == data.A', ("A",)),
        ("r'data.X\\' == data.A", ("A",)),
        ('"""data.X " data.Y""" == data.A', ("A",)),
        ("data.A.data.B == 1", ("A",)),
        ("data.L.exists(x, x.data == data.A)", ("A", "L")),
        ('action == "x"', ()),
        ("data[action] == 1", None),
        ('data["A" + "B"] == 1', None),
        ("size(data) > 1", None),
        ("data.exists(name, name == action)", None),
        ('data["\\u0041"] == 1', None),
        ("(data).A == 1", None),
        ("data == data", None),
    ],
)
def test_only_the_fields_that_an_expression_names_are_handed_over(source: str, fields: tuple[str, ...] | None) -> None:
    """None: all of them, because `data` stands there without one."""
    assert Filter(source).fields == fields


_DEEP: Any = 1
for _ in range(200):
    _DEEP = [_DEEP]


@pytest.mark.parametrize(
    ("source", "record", "failure"),
    [
        ("data.A == 1", {"A": _DEEP}, "nested more than 16 levels"),
        ("data.A.size() > 1", {"A": list(range(257))}, "more than 256 items"),
        ("data.A.size() > 1", {"A": {str(n): n for n in range(257)}}, "more than 256 items"),
        ("size(data) > 1", {str(n): n for n in range(257)}, "more than 256 items"),
        ("data.A.size() > 1", {"A": [list(range(250))] * 9}, "more than 2000 values"),
        ("data.A == ''", {"A": "x" * 65_537}, "more than 65536 characters"),
        ("data.A == '' || data.B.exists(x, x == '')", {"A": "x" * 16_385, "B": []}, "more than 16384 characters"),
    ],
)
def test_what_is_handed_over_is_bounded(source: str, record: dict[str, Any], failure: str) -> None:
    """Too deep, too long, too much: the filter fails, the process does not."""
    assert failure in str(judge(source, record).failure)
    assert judge("data.Other == 1", {**record, "Other": 1} if len(record) < 200 else {"Other": 1}).is_true


def test_the_largest_that_is_allowed_is_evaluated() -> None:
    """The bounds themselves are inside."""
    deep: Any = 1
    for _ in range(15):
        deep = [deep]

    assert judge("data.A != 1 && data.B.size() == 256", {"A": deep, "B": list(range(256))}).is_true
    assert judge("data.A.size() == 65536", {"A": "x" * 65_536}).is_true


def test_every_filter_of_the_documentation_has_the_result_that_stands_beside_it() -> None:
    """docs/routes.md is what operators write by."""
    text = Path("docs/routes.md").read_text().partition("\n## Filters")[2].partition("\n## ")[0]
    record = json.loads(text.partition("```json\n")[2].partition("```")[0])
    rows = re.findall(r"^\| `(.+?)` \| (true|false|fails) \|", text, re.MULTILINE)
    found = {source: judge(source, record) for source, _ in rows}

    assert len(rows) > 10
    assert {source: "fails" if one.failure else str(one.is_true).lower() for source, one in found.items()} == dict(rows)


class _Interrupt(BaseException):
    """Stands for what interrupts a thread on purpose."""


class _Program:
    """A CEL program whose evaluation raises what the test wants."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def execute(self, _context: object) -> object:
        raise self.error


def test_a_panic_of_the_extension_is_a_failure_and_an_interrupt_is_not() -> None:
    """pyo3's PanicException is no Exception; KeyboardInterrupt, SystemExit and their kin pass through."""
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    one = Filter("data.A == 1")

    one._evaluations = (Evaluation(_Program(panic("it panicked")), {}),)  # type: ignore[arg-type]
    assert one.judge(1, "x", {}) == FilterResult(is_true=False, failure="the CEL library failed on it")
    for interrupt in (KeyboardInterrupt, SystemExit, _Interrupt):
        one._evaluations = (Evaluation(_Program(interrupt()), {}),)  # type: ignore[arg-type]
        with pytest.raises(interrupt):
            one.judge(1, "x", {})


def test_a_filter_is_shared_between_threads() -> None:
    """Compiled in one thread, evaluated in many at once."""
    one = Filter('data.Name.matches("^b") && data.Id > 1')
    wrong: list[FilterResult] = []

    def evaluate(number: int) -> None:
        for _ in range(200):
            verdict = one.judge(1, "x", {"Name": "bob" if number % 2 else "eve", "Id": 5})
            if verdict != FilterResult(is_true=bool(number % 2)):
                wrong.append(verdict)

    threads = [threading.Thread(target=evaluate, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)
_SOURCES = [
    "data.A == data.B",
    "data.A > 1 || data.B.contains('x')",
    "data.A.exists(x, x > data.B)",
    "data.A + data.B != data.A",
    "data[data.A] == data.B",
    'data.A.matches("^[a-z]+$") && !has(data.B.C)',
    "timestamp(data.A) > timestamp(data.B) || int(data.A) > 1",
    "data.A.filter(x, x + x != data.B).size() > 1",
    "data in [data.A, data.B]",
    "data.A * 2 + data.B / 3 - size(data.A) > 1 || string(data.A) == 'x'",
    "timestamp(data.A).getHours('Europe/Madrid') + timestamp(data.B).getDayOfYear('-12:00') > 1",
]


@pytest.mark.parametrize("source", _SOURCES)
@given(a=_JSON, b=_JSON)
def test_a_filter_is_total_over_any_record(source: str, a: Any, b: Any) -> None:
    """Whatever JSON can hold, lone surrogates and numbers beyond 64 bits included."""
    verdict = Filter(source).judge(1, "x", {"A": a, "B": b})

    assert isinstance(verdict.is_true, bool)
    assert not (verdict.is_true and verdict.failure)


@given(st.text(max_size=80) | st.text("data.AB()[]{}\"'\\+-=&|!<>?:,xin 01mapfilterexists\n", max_size=80))
def test_compiling_is_total_over_any_text(source: str) -> None:
    """A filter or a refusal of one line."""
    try:
        Filter(source)
    except ExpressionRefused as refused:
        assert "\n" not in str(refused)  # noqa: PT017  # either ending is right


HOSTILE = """
import sys, threading
from receiver.routing.filters import Filter

deep = []
for _ in range(200_000):
    deep = [deep]
wide = {"Word": "a" * 65_000, "Items": list(range(250)), "Texts": ["b" * 60] * 250, "Deep": deep}
sources = [
    "data.Deep == data.Items",
    "size(data) > 1",
    '!data.Word.matches("(?:[a-z]{1,50}){1,20}x")',
    '!data.Word.matches("(?:a?){1200}a{1200}b")',
    '!data.Word.matches("(a*)*b") && !data.Word.matches("(a|aa)+$b")',
    "(data.Texts + data.Texts + data.Texts + data.Texts).filter(x, x != '').filter(x, x in data.Texts).size() == 1",
    "data.Items.all(x, data.Texts + data.Texts + data.Texts + data.Texts + data.Texts != [])",
    'data.Items.all(x, data.Texts.size() in data.Items && x in data.Items)',
    'data.Items.filter(x, x in data.Items).filter(x, x in data.Items).filter(x, x in data.Items).size() == 250',
    " && ".join(["true"] * 110),
    "!" * 120 + "true",
    "-" * 120 + "1",
    "+".join(["1"] * 121),
    " == ".join(["1"] * 61),
    "data" + ".A" * 120,
    "[" + ",".join(["1"] * 490) + "] == data.Items",
    "true?true:" * 60 + "true",
    "[" * 12 + "]" * 12 + " == []",
    "!(" * 12 + "true" + ")" * 12,
]
def run():
    for source in sources:
        try:
            print(Filter(source).judge(1, "x", wide).failure)
        except ValueError as refused:
            print("refused", refused)
    print("alive")
threading.stack_size(128 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_hostile_filters_and_data_neither_crash_nor_hang_the_process() -> None:
    """Run in a process of its own, on a thread with a small stack: a crash would be its exit status."""
    ended = subprocess.run([sys.executable, "-c", HOSTILE], capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "alive"
    assert f"a field is nested more than {filters.MAX_DEPTH} levels deep" in ended.stdout
