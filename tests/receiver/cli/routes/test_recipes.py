"""Recipes are listed, printed, and added to routes.yaml without touching what is there."""

import json
from pathlib import Path

import pytest

from receiver.cli.routes import recipes
from receiver.core.errors import RoutesError, UsageError
from receiver.nexudus import actions
from receiver.routing import file as routes_file
from tests.support.processes import run

OWN = """\
# my routes
queues: [doors]
routes:
    - action: BookingCreate   # mine
      handler: log

# the end
businesses: all
"""


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_a_table_of_its_own(name: str) -> None:
    """Its first line says what it does; its route has its name."""
    whole = recipes.added("", recipes.read(name), file="routes.yaml")
    table = routes_file.parse(whole, file="routes.yaml", known_actions=actions.NAMES)

    assert [route.name for route in table.routes] == [name]
    assert recipes.read(name).startswith("# ")
    assert all(f"{each}" in recipes.read(name).split("\n- ")[0] for each in recipes._shown(name)["environment"])


def test_there_are_as_many_as_one_looks_through() -> None:
    """Some twelve."""
    assert 10 <= len(recipes.names()) <= 20


def test_a_recipe_is_added_and_nothing_else_is_changed() -> None:
    """Comments, indentation and the keys behind the list stay; so do twelve added one after another."""
    text = OWN
    for name in recipes.names():
        text = recipes.added(text, recipes.read(name), file="routes.yaml")
    table = routes_file.parse(text, file="routes.yaml", known_actions=actions.NAMES)

    assert [route.name for route in table.routes] == ["log", *recipes.names()]
    assert text.startswith(OWN.partition("\n\n# the end")[0])
    assert text.endswith("\n# the end\nbusinesses: all\n")
    assert [line for line in OWN.splitlines() if line not in text.splitlines()] == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "daily-archive"),
        ("# nothing yet\n", "daily-archive"),
        ("queues: [a]\n", "daily-archive"),
        ("routes:\n- action: BookingCreate\n  handler: log", "daily-archive"),
        ("routes:\n  - {action: BookingCreate, handler: log}\n", "daily-archive"),
    ],
)
def test_whatever_the_file_looks_like(text: str, name: str) -> None:
    """Also one without routes, without indentation, without a line break at its end."""
    whole = recipes.added(text, recipes.read(name), file="routes.yaml")

    table = routes_file.parse(whole, file="routes.yaml", known_actions=actions.NAMES)
    assert table.routes[-1].name == name
    assert whole.startswith(text.rstrip())


def test_what_cannot_be_added_to_is_left_alone(tmp_path: Path) -> None:
    """A list in brackets, a file with mistakes, a name that is there already, a recipe that is none."""
    with pytest.raises(UsageError, match="are not a list with a line for each"):
        recipes.added("routes: [{action: BookingCreate, handler: log}]", recipes.read("daily-archive"), file="r")
    with pytest.raises(RoutesError):
        recipes.added("routes: [", recipes.read("daily-archive"), file="r")
    (tmp_path / "routes.yaml").write_text(OWN)

    first = run("recipes", "daily-archive", "--append", settings={}, cwd=tmp_path)
    once = (tmp_path / "routes.yaml").read_text()
    again = run("recipes", "daily-archive", "--append", settings={}, cwd=tmp_path)
    unknown = run("recipes", "daily-archiv", settings={}, cwd=tmp_path)

    assert (first.status, again.status, unknown.status) == (0, 1, 1)
    assert "route 'daily-archive' is already defined" in again.err
    assert (tmp_path / "routes.yaml").read_text() == once
    assert "did you mean 'daily-archive'?" in unknown.err


def test_they_are_listed_and_printed(tmp_path: Path) -> None:
    """For people and for programs; what must be set is said."""
    listed = run("recipes", "--json", settings={}, cwd=tmp_path)
    printed = run("recipes", "bookings-to-teams", settings={}, cwd=tmp_path)
    added = run("recipes", "bookings-to-teams", "--append", settings={}, cwd=tmp_path)

    rows = [json.loads(line) for line in listed.out.splitlines()]
    assert [row["name"] for row in rows] == [*recipes.names()]
    assert {"name", "title", "environment"} == set(rows[0])
    assert printed.out == recipes.read("bookings-to-teams")
    assert "set TEAMS_URL in the environment of the workers" in added.out
