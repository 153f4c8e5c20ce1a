"""Nothing is left out: every setting, command, option and key is explained, with an example that another test runs."""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import cyclopts
import pytest

import workers.api
from receiver.cli import main
from receiver.console.api.endpoint import BASE
from receiver.console.api.endpoints import ENDPOINTS
from receiver.console.asgi import OPERATIONS, PAGES
from receiver.console.framework.page import API
from receiver.core import settings
from receiver.core.settings import PREFIX, Settings
from receiver.routing.document.shapes import Defaults, Document, ExampleShape, LocationShape, RouteShape, keys_of
from receiver.simulator.faults import Knobs
from tests.documents.pages import ROOT, commands, page
from workers.handlers.archive import archive
from workers.handlers.forward import forward
from workers.handlers.log import log
from workers.handlers.notify import notify
from workers.handlers.sql import sql

OPERATE = page("docs/operate.md")
ROUTES = page("docs/routes.md")
COMMON = OPERATE.sections["Commands that look"]


def _names() -> Iterator[str]:
    """Yield every command, those below `routes` too."""
    for name in main.COMMANDS:
        yield name
        yield from (f"{name} {below}" for below in _app(name) if not below.startswith("-"))


def _app(name: str) -> cyclopts.App:
    app = main.build()
    for word in name.split():
        app = app[word]
    return app


def _options(name: str) -> set[str]:
    """Return the options of a command that are shown, without those that say the opposite."""
    shown = [each for each in _app(name).assemble_argument_collection() if each.show]
    return {each.names[0] for each in shown if each.names[0].startswith("--")}


def _examples(section: str) -> list[list[str]]:
    return [words for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) for words in commands(block)]


@pytest.mark.parametrize("name", sorted(_names()))
def test_every_command_has_its_section_and_each_option_is_explained_and_used(name: str) -> None:
    """Explained in its section, or with the options that several commands take; used in one of its examples."""
    section = OPERATE.sections[f"frontdesk {name}"]
    explained = re.sub(r"```.*?```", "", section, flags=re.DOTALL) + COMMON
    used = {word for words in _examples(section) for word in words}
    options = _options(name)

    assert any(words[:2] == ["frontdesk", name.split()[0]] for words in _examples(section))
    assert {option for option in options if f"`{option}" not in explained} == set(), "not explained"
    assert options - used == set(), "not used in an example"


def test_options_are_found() -> None:
    """Or else the test above would be content with nothing."""
    assert {"--threads", "--queue", "--burst"} < _options("work")
    assert "--business" in _options("routes explain")


def test_every_knob_of_the_simulator_is_explained() -> None:
    """In the section of its command."""
    assert [knob for knob in Knobs.model_fields if f"`{knob}`" not in OPERATE.sections["frontdesk simulate"]] == []


def test_no_section_is_about_a_command_that_is_gone() -> None:
    """Nor does a section name an option that its command does not take."""
    found = {heading.removeprefix("frontdesk ") for heading in OPERATE.sections if heading.startswith("frontdesk ")}

    assert found == {*_names()}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_explained_with_a_value_that_is_not_its_default(name: str) -> None:
    """A row of a table: an example, which is read without complaint, a sentence, and the default of env.example.

    A secret is called one.
    """
    full = PREFIX + name.upper()
    rows = re.findall(rf"^\| `{full}=(.+?)` \| (.+\.) \| (?:`(.+)`)? ?\|$", OPERATE.text, re.MULTILINE)
    ((value, sentence, default),) = rows

    assert getattr(settings.from_environ({full: value}), name) != Settings.model_fields[name].default
    assert f"\n#{full}={default}\n" in (ROOT / "deploy/env.example").read_text()
    assert len(sentence) > 15
    assert sentence.endswith(" Secret.") == (name in settings.SECRETS)


def _keys() -> Iterator[str]:
    for shape in (Document, Defaults, LocationShape, RouteShape, ExampleShape):
        yield from keys_of(shape)


@pytest.mark.parametrize("key", sorted(set(_keys())))
def test_every_key_of_routes_yaml_is_explained_and_used(key: str) -> None:
    """A row of a table, and an example on the same page, which passes `check`."""
    examples = "\n".join(block.text for block in ROUTES.blocks if block.language == "yaml")

    assert re.search(rf"^\| `{key}` \| \S.+ \|", ROUTES.text, re.MULTILINE)
    assert re.search(rf"(^|[\s{{,]){key}: ?", examples, re.MULTILINE)


@pytest.mark.parametrize("handler", [log, archive, forward, notify, sql], ids=lambda handler: handler.__name__)
def test_every_built_in_handler_is_explained_with_its_options(handler: Callable[..., Any]) -> None:
    """And all of them are used in the example below."""
    section = ROUTES.sections["Built-in handlers"]
    options = [name for name, each in inspect.signature(handler).parameters.items() if each.kind is each.KEYWORD_ONLY]

    assert f"**`{handler.__name__}`**" in section
    assert [option for option in options if f"`{option}`" not in section or f"{option}: " not in section] == []


def test_everything_that_handlers_may_import_is_explained() -> None:
    """The declared API, and each attribute of an event."""
    text = page("docs/handlers.md").text

    names = {*workers.__all__, *workers.api.__all__}
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", text)] == []
    assert [name.name for name in fields(workers.Event) if f"`event.{name.name}`" not in text] == []


def _signature(name: str) -> str:
    """Return how something of the API is called, without types."""
    target: Any = workers
    for part in name.split("."):
        target = getattr(target, part)
    if target is workers.TargetDown:  # an exception without a signature of its own
        return f"{name}(*args)"
    found = inspect.signature(target)
    shown = [each.replace(annotation=each.empty) for each in found.parameters.values() if each.name != "self"]
    shown = [
        each.replace(kind=each.POSITIONAL_OR_KEYWORD) if each.kind is each.POSITIONAL_ONLY else each for each in shown
    ]
    return f"{name}{found.replace(parameters=shown, return_annotation=found.empty)}"


def test_the_api_of_handlers_is_what_the_page_promises() -> None:
    """Names and signatures: whoever changes one sees it here. Each method of Nexudus has an async twin."""
    (promised,) = [block.text.splitlines() for block in page("docs/handlers.md").blocks if block.language == "text"]
    methods = {name for name in vars(workers.Nexudus) if not name.startswith("_")}
    named = {line.partition("(")[0] for line in promised}

    assert [_signature(line.partition("(")[0]) for line in promised] == promised
    assert {name.partition(".")[0] for name in named} == {*workers.__all__}
    assert {name for own in named if (name := own.partition(".")[2])} == {
        name for name in methods if f"a{name}" in methods
    }
    assert len(methods) == 2 * sum("." in name for name in named)


def test_every_answer_of_the_console_is_listed() -> None:
    """Pages and acts as JSON."""
    text = page("docs/api.md").text
    pages = {f"{API}{'/overview' if one.path == '/' else one.path}" for one in PAGES}

    assert {path for path in pages if f"| `{path}` |" not in text.partition("| POST |")[0]} == set()
    assert {act.path for act in OPERATIONS if f"| `{API}{act.path}` |" not in text.partition("| POST |")[2]} == set()
    assert set(re.findall(rf"^\| `({API}/\S+)` \|", text, re.MULTILINE)) == pages | {
        API + act.path for act in OPERATIONS
    }


def test_every_endpoint_of_the_api_is_listed_with_who_may_use_it() -> None:
    """As its document says it, and no other."""
    section = page("docs/api.md").sections["The API"]
    rows = {
        f"| `{one.method} {BASE}{one.path}` | {'viewers' if one.may_view else 'admins'} | {one.summary} |"
        for one in ENDPOINTS
    }

    assert {row for row in section.splitlines() if row.startswith("| `")} == rows


def test_every_tool_that_changes_something_is_named() -> None:
    """And what is not offered is not."""
    section = page("docs/api.md").sections["Assistants"]
    changing = {one.name for one in ENDPOINTS if one.tool and not one.may_view}

    assert {name for name in changing if f"`{name}`" not in section} == set()
    assert {one.name for one in ENDPOINTS if f"`{one.name}`" in section and not one.tool} == set()


@pytest.mark.parametrize("file", sorted((ROOT / "docs/decisions").glob("*.md")), ids=lambda file: file.stem)
def test_every_decision_says_what_it_cost_and_what_decided_it(file: Path) -> None:
    """Context, choice, price, figures, in this order; the index leads to it."""
    index = page("docs/decisions/README.md")
    if file.name != "README.md":
        assert [*page(str(file.relative_to(ROOT))).sections] == ["Context", "Choice", "Price", "Figures"]
        assert file.name in index.links
