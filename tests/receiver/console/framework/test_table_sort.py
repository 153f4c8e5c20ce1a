"""Sorting tables by a column of the query."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.console.framework.table_sort import Sorting, sorting
from receiver.core.errors import UsageError

TABLES = {"rows": ("name", "-count"), "others": ("age",)}
ROWS: list[dict[str, Any]] = [
    {"name": "b", "count": 2},
    {"name": "A", "count": None},
    {"name": "c", "count": 10},
    {"name": None, "count": 1},
]


def _by(asked: str) -> Sorting:
    return sorting(TABLES, "/pages/{page}", {"page": "a/b"}, {"sort": asked, "q": "x&y"})


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("", ["b", "A", "c", None]),
        ("name", ["A", "b", "c", None]),
        ("-name", ["c", "b", "A", None]),
        ("count", ["c", "b", None, "A"]),
        ("-count", [None, "b", "c", "A"]),
        ("age", ["b", "A", "c", None]),
    ],
)
def test_rows_come_in_the_order_asked_for(asked: str, names: list[str | None]) -> None:
    """The largest first where the column says so; what has no value comes last, whatever the order."""
    assert [row["name"] for row in _by(asked).rows("rows", ROWS)] == names


def test_the_link_of_a_column_keeps_the_filter_and_turns_the_order_round() -> None:
    """The address can be shared: everything is in it."""
    assert _by("name").link("count") == "/pages/a%2Fb?q=x%26y&sort=count"
    assert _by("name").link("name") == "/pages/a%2Fb?q=x%26y&sort=-name"
    assert _by("-name").link("name") == "/pages/a%2Fb?q=x%26y&sort=name"
    assert [_by(asked).direction("count") for asked in ("count", "-count", "name")] == ["descending", "ascending", None]
    assert [_by(asked).direction("name") for asked in ("name", "-name")] == ["ascending", "descending"]


@pytest.mark.parametrize("asked", ["colour", "--name", "-", "name,count", "<script>"])
def test_a_column_that_is_not_there_is_refused(asked: str) -> None:
    """With the names of those that are."""
    with pytest.raises(UsageError, match="is not one of name, count, age"):
        _by(asked)


@given(
    st.lists(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.lists(st.text()))
    )
)
def test_values_of_every_kind_can_be_sorted(values: list[Any]) -> None:
    """No row is lost, and none is added."""
    rows = [{"name": value} for value in values]
    assert sorted(map(repr, _by("name").rows("rows", rows))) == sorted(map(repr, rows))
