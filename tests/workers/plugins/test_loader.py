"""A name and options become a handler, or one sentence that names the handler and says what is wrong."""

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from receiver.core.errors import HandlerError
from tests.support.handled import an_event
from workers.plugins import loader

_NUMBERS = itertools.count()

Beside = Callable[[str], str]


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Beside]:
    """Write a module beside routes.yaml (in tmp_path) and return its name; everything imported is forgotten again."""
    modules, path = set(sys.modules), list(sys.path)

    def write(source: str) -> str:
        name = f"plug_{next(_NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    yield write
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def load(name: str, folder: Path, options: Mapping[str, Any] | None = None, **environ: str) -> loader.Handler:
    return loader.load(name, options or {}, environ=environ, folder=folder)


def refused(name: str, folder: Path, options: Mapping[str, Any] | None = None, **environ: str) -> str:
    with pytest.raises(HandlerError) as caught:
        load(name, folder, options, **environ)
    sentence = str(caught.value)
    assert sentence.startswith(f"handler {name!r}: ")
    assert "\n" not in sentence
    return sentence.removeprefix(f"handler {name!r}: ")


def a_distribution(folder: Path, name: str, entry_points: str) -> None:
    """Write what pip leaves of an installed package: enough for its entry points to be found."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[frontdesk.handlers]\n{entry_points}\n")


SLACK = """
from workers import Event

SEEN = []

def announce(event: Event, *, webhook_url: str, channel: str = "#general", times: int = 1) -> None:
    SEEN.append((event.id, webhook_url, channel, times))

async def later(event, *, pause: float = 0.5):
    pass
"""


def test_a_function_beside_routes_yaml_is_called_with_the_event_and_its_options(tmp_path: Path, beside: Beside) -> None:
    """`module:function`; what the options do not say, the function's own defaults do."""
    module = beside(SLACK)

    handler = load(f"{module}:announce", tmp_path, {"webhook_url": "https://x.example", "times": "3"})
    handler.call(an_event(id="e1"))

    assert sys.modules[module].SEEN == [("e1", "https://x.example", "#general", 3)]
    assert (handler.name, handler.is_async) == (f"{module}:announce", False)
    assert load(f"{module}:later", tmp_path).is_async


def test_the_built_in_handlers_come_through_the_entry_point_group(tmp_path: Path) -> None:
    """They are ordinary plugins, and listing them imports nothing."""
    assert {"archive", "forward", "log"} <= set(loader.installed())


def test_listing_does_not_import_and_a_plugin_of_another_package_is_found(
    tmp_path: Path, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed package is imported only when a route names its handler."""
    module = beside("def greet(event, *, word: str = 'hi'): ...")
    broken = beside("raise RuntimeError('at import')")
    a_distribution(tmp_path, "greetings", f"greet = {module}:greet\nbroken = {broken}:x")
    monkeypatch.syspath_prepend(str(tmp_path))

    assert {"greet", "broken"} <= set(loader.installed())
    assert module not in sys.modules
    assert load("greet", tmp_path).name == "greet"
    assert "RuntimeError: at import" in refused("broken", tmp_path)


def test_two_packages_that_offer_one_name_are_both_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of the two would run must not depend on the order of a path."""
    a_distribution(tmp_path, "crm-one", "crm = one:crm")
    a_distribution(tmp_path, "crm-two", "crm = two:crm")
    monkeypatch.syspath_prepend(str(tmp_path))

    sentence = refused("crm", tmp_path)

    assert "offered twice" in sentence
    assert "crm-one 1.0 (one:crm)" in sentence
    assert "crm-two 1.0 (two:crm)" in sentence


def test_an_entry_point_that_names_no_function_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is named: its author has to mend it."""
    a_distribution(tmp_path, "half", "half = half_a_plugin")
    monkeypatch.syspath_prepend(str(tmp_path))

    assert "'half_a_plugin' in half 1.0 is not module:function" in refused("half", tmp_path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param("forwrd", "is not installed; did you mean 'forward'? installed: archive", id="near"),
        pytest.param("zzz", "is not installed; installed: archive, forward", id="far"),
        pytest.param("slack", "write 'slack:' and the name of its function", id="file-there"),
        pytest.param("", "is not installed", id="empty"),
        pytest.param("a b:c", "is not written as module:function", id="malformed"),
        pytest.param("os; import x:y", "is not written as module:function", id="hostile"),
        pytest.param(":f", "is not written as module:function", id="no-module"),
        pytest.param("slak:f", "no module 'slak' beside routes.yaml or among the installed ones; did you mean 'slack'?",
                     id="near-module"),
        pytest.param("slack:anounce", "the module 'slack' has no 'anounce'; did you mean 'announce'?", id="name"),
        pytest.param("slack.sub:f", "no module 'slack.sub'", id="not-a-package"),
    ],
)  # fmt: skip
def test_what_cannot_be_found_is_said_with_the_nearest_name(
    name: str, sentence: str, tmp_path: Path, beside: Beside
) -> None:
    """Where, what, remedy."""
    (tmp_path / "slack.py").write_text("def announce(event): ...")

    assert sentence in refused(name, tmp_path)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        pytest.param("def f(): ...", "takes no event", id="no-event"),
        pytest.param("def f(*, event): ...", "takes no event", id="event-as-option"),
        pytest.param("def f(event, url): ...", "takes 'url' by position; write '*, ' before it", id="positional"),
        pytest.param("def f(event, url=None): ...", "takes 'url' by position", id="positional-default"),
        pytest.param("def f(event, *args): ...", "takes *args", id="args"),
        pytest.param("def f(event, **options): ...", "takes **options", id="kwargs"),
        pytest.param("class f:\n def __init__(self, event): ...", "is a class", id="class"),
        pytest.param("def f(event): yield", "is a generator", id="generator"),
        pytest.param("async def f(event): yield", "is a generator", id="async-generator"),
        pytest.param("f = 5", "is an int, not a function", id="number"),
        pytest.param("class F:\n def __call__(self, event): ...\nf = F()", "is a F object", id="object"),
        pytest.param("f = dict.fromkeys", "by position", id="builtin"),
        pytest.param("f = iter", "has no signature|takes", id="no-signature"),
    ],
)
def test_what_cannot_be_a_handler_is_refused(source: str, sentence: str, tmp_path: Path, beside: Beside) -> None:
    """Before any event comes, not at its first delivery."""
    shown = refused(f"{beside(source)}:f", tmp_path)

    assert any(part in shown for part in sentence.split("|"))


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import functools\ndef g(event, *, a, b=2): ...\nf = functools.partial(g, a=1)", id="partial"),
        pytest.param(
            "import functools\ndef g(event, *, b=2): ...\n@functools.wraps(g)\ndef f(*a, **k): return g(*a, **k)",
            id="wraps",
        ),
        pytest.param("def f(event, /, *, b=2): ...", id="positional-only"),
        pytest.param("class C:\n def m(self, event, *, b=2): ...\nf = C().m", id="method"),
        pytest.param(
            "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
            " from workers import Event\ndef f(event: Event, *, b: int = 2) -> None: ...",
            id="event-for-type-checkers",
        ),
        pytest.param(
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n from workers import Event\n"
            "def f(event: Event, *, b: int = 2) -> None: ...",
            id="event-for-type-checkers-of-3.14",
            marks=pytest.mark.skipif(sys.version_info < (3, 14), reason="older Pythons refuse to import it"),
        ),
    ],
)  # fmt: skip
def test_functions_come_in_many_forms(source: str, tmp_path: Path, beside: Beside) -> None:
    """All of these can be called with an event and an option."""
    handler = load(f"{beside(source)}:f", tmp_path, {"b": 3})

    handler.call(an_event())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param({"webhook_url": "u", "chanel": "x"}, "unknown option 'chanel'; did you mean 'channel'? it takes "
                     "(event, *, webhook_url: str, channel: str = '#general', times: int = 1)", id="unknown-near"),
        pytest.param({"webhook_url": "u", "zzz": 1}, "unknown option 'zzz'; it takes (event, ", id="unknown-far"),
        pytest.param({"webhook_url": "u", "event": 1}, "unknown option 'event'", id="the-event-itself"),
        pytest.param({}, "option 'webhook_url' is missing; it takes (event, ", id="missing"),
        pytest.param({"webhook_url": 5}, "option 'webhook_url': input should be a valid string", id="wrong-type"),
        pytest.param({"webhook_url": "u", "times": "x"}, "option 'times': input should be a valid integer", id="word"),
        pytest.param({"webhook_url": "u", "times": True}, "option 'times': input should be a number", id="bool"),
        pytest.param({"webhook_url": None}, "option 'webhook_url': input should be a valid string", id="null"),
    ],
)  # fmt: skip
def test_wrong_options_are_named_with_the_signature(
    options: dict[str, Any], sentence: str, tmp_path: Path, beside: Beside
) -> None:
    """The whole remedy is in the sentence: the right name, and what the handler takes."""
    assert sentence in refused(f"{beside(SLACK)}:announce", tmp_path, options)


def test_options_are_converted_as_annotated(tmp_path: Path, beside: Beside) -> None:
    """Everything that pydantic knows: paths, durations, nested models, constraints, secrets."""
    module = beside(
        "from pathlib import Path\nfrom typing import Annotated, Literal\n"
        "from pydantic import BaseModel, Field, SecretStr\n"
        "class Who(BaseModel):\n name: str\n tags: list[int] = []\n"
        "def f(event, *, at: Path, who: Who, level: Literal['a', 'b'], n: Annotated[int, Field(gt=0)], key: SecretStr,"
        " free=None):\n global SEEN\n SEEN = (at, who, level, n, key, free)\n"
    )
    options: dict[str, Any] = {"at": "x/y", "who": {"name": "Zoë", "tags": ["1"]}, "level": "b", "n": 2, "key": "hush"}

    load(f"{module}:f", tmp_path, options | {"free": [1, {"a": None}]}).call(an_event())

    at, who, level, n, key, free = sys.modules[module].SEEN
    assert (at, who.name, who.tags, level, n, free) == (Path("x/y"), "Zoë", [1], "b", 2, [1, {"a": None}])
    assert key.get_secret_value() == "hush"
    assert "option 'who.tags.0'" in refused(f"{module}:f", tmp_path, options | {"who": {"name": "Z", "tags": ["x"]}})
    assert "option 'n': input should be greater than 0" in refused(f"{module}:f", tmp_path, options | {"n": 0})


@pytest.mark.parametrize("annotation", ["'Nowhere'", "object()", "nowhere.Class", "Client"])
def test_an_option_whose_type_means_nothing_is_refused_when_it_is_given(
    annotation: str, tmp_path: Path, beside: Beside
) -> None:
    """A default of such a type is the plugin's own business."""
    source = f"from __future__ import annotations\nclass Client: ...\ndef f(event, *, client: {annotation} = None): ..."
    module = beside(source)

    load(f"{module}:f", tmp_path)
    assert "option 'client'" in refused(f"{module}:f", tmp_path, {"client": "x"})


def test_references_are_followed_at_any_depth(tmp_path: Path, beside: Beside) -> None:
    """`env/NAME` and `file/PATH`, relative to routes.yaml or absolute; text that only contains them stays."""
    module = beside("def f(event, *, a, b, c, d):\n global SEEN\n SEEN = (a, b, c, d)")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "crm").write_text("from-file\n")

    handler = load(
        f"{module}:f",
        tmp_path,
        {
            "a": "env/CRM_KEY",
            "b": {"Authorization": "env/CRM_KEY", "deep": [{"x": "file/secrets/crm"}]},
            "c": f"file/{tmp_path}/secrets/crm",
            "d": ["Bearer env/CRM_KEY", "./env/CRM_KEY", "environment", "env", 5, None],
        },
        CRM_KEY="from-env",
    )
    handler.call(an_event())

    a, b, c, d = sys.modules[module].SEEN
    assert (a, c) == ("from-env", "from-file")
    assert b == {"Authorization": "from-env", "deep": [{"x": "from-file"}]}
    assert d == ["Bearer env/CRM_KEY", "./env/CRM_KEY", "environment", "env", 5, None]
    assert "from-env" not in repr(handler).replace(repr(handler.call), "")


def test_a_reference_to_nothing_names_what_is_missing(tmp_path: Path, beside: Beside) -> None:
    """An unset variable is never taken for its own name."""
    module = beside("def f(event, *, a): ...")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    cases = {
        "env/NOT_THERE": "option 'a': env/NOT_THERE: the environment variable NOT_THERE is not set",
        "env/EMPTY": "the environment variable EMPTY is empty",
        "env/not a name": "does not name an environment variable",
        "env/": "does not name an environment variable",
        "file/nowhere": "option 'a': file/nowhere cannot be read: No such file",
        "file/empty": "option 'a': file/empty is empty",
        "file/binary": "is not UTF-8 text",
        "file/large": "larger than 65536 bytes",
        "file/": "is not a file",
        "file/a\0b": "cannot be read",
    }

    shown = {value: refused(f"{module}:f", tmp_path, {"a": value}, EMPTY="") for value in cases}

    assert [sentence in shown[value] for value, sentence in cases.items()] == [True] * len(cases), shown
    assert "option 'a.x[1]': env/NOPE" in refused(f"{module}:f", tmp_path, {"a": {"x": [1, "env/NOPE"]}})


def test_a_pipe_is_not_read_and_a_loop_is_not_followed(tmp_path: Path, beside: Beside) -> None:
    """Neither blocks nor recurses for ever: YAML's aliases can make a list that holds itself."""
    import os

    module = beside("def f(event, *, a): ...")
    os.mkfifo(tmp_path / "pipe")
    loop: list[object] = []
    loop.append(loop)

    assert "is not a file" in refused(f"{module}:f", tmp_path, {"a": "file/pipe"})
    assert "nested more than 32 deep" in refused(f"{module}:f", tmp_path, {"a": loop})


def test_secret_values_never_appear_in_messages(tmp_path: Path, beside: Beside) -> None:
    """Not where pydantic quotes its input, not where the plugin's own check does."""
    module = beside(
        "from typing import Annotated\nfrom pydantic import AfterValidator, HttpUrl\n"
        "def own(value):\n raise ValueError(f'{value} is no good')\n"
        "def shout(value):\n raise RuntimeError(value)\n"
        "def f(event, *, a: Annotated[str, AfterValidator(own)] = '', b: int = 0, c: HttpUrl = '', n: list[int] = [],"
        " d: Annotated[str, AfterValidator(shout)] = ''): ..."
    )
    (tmp_path / "hush").write_text("hush-hush-file\n")

    messages = [
        refused(f"{module}:f", tmp_path, options, KEY="hush-hush-env")
        for options in (
            {"a": "env/KEY"}, {"a": "file/hush"}, {"b": "env/KEY"}, {"c": "env/KEY"}, {"d": "env/KEY"},
            {"n": ["env/KEY"]}, {"a": "env/KEY", "zzz": 1},
        )
    ]  # fmt: skip

    assert "hush-hush" not in " ".join(messages)
    assert "option 'a': *** is no good" in messages[0]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        pytest.param("import json\n\nimport nowhere\n", ":3: ModuleNotFoundError: No module named 'nowhere'",
                     id="import"),
        pytest.param("def f(event):\n    return 1 +\n", ":2: SyntaxError", id="syntax"),
        pytest.param("x = 1\nx.y\n", ":2: AttributeError", id="attribute"),
        pytest.param("import json\njson.loads('{')\n", ":2: JSONDecodeError", id="deep-in-a-library"),
        pytest.param("import sys\nsys.exit('bye')\n", ":2: SystemExit: bye", id="exit"),
        pytest.param("raise KeyboardInterrupt\n", ":1: KeyboardInterrupt", id="interrupt"),
        pytest.param("class Odd(BaseException): ...\n\nraise Odd('strange')\n", ":3: Odd: strange", id="base"),
        pytest.param("def again(): again()\nagain()\n", ":1: RecursionError", id="recursion"),
        pytest.param("class E(Exception):\n def __str__(self): raise SystemExit\nraise E\n", ":3: E: (its message",
                     id="unreadable"),
    ],
)  # fmt: skip
def test_an_import_that_fails_is_shown_with_the_plugins_own_line(
    source: str, sentence: str, tmp_path: Path, beside: Beside
) -> None:
    """It harms nothing else, and a second look tells the same: no half module stays behind."""
    module = beside(source)

    for _ in range(2):
        shown = refused(f"{module}:f", tmp_path)
        assert f"importing {module!r} failed at {tmp_path}/{module}.py{sentence}" in shown
        assert module not in sys.modules


def test_the_line_is_that_of_the_packages_innermost_module(tmp_path: Path, beside: Beside) -> None:
    """Not the `__init__.py` that imports it, not the library that it calls."""
    package = tmp_path / "plug_package"
    package.mkdir()
    (package / "__init__.py").write_text("from plug_package import inner\n")
    (package / "inner.py").write_text("import json\n\n\njson.loads('{')\n")

    assert f"failed at {package}/inner.py:4: JSONDecodeError" in refused("plug_package:f", tmp_path)
    assert f"failed at {package}/inner.py:4: JSONDecodeError" in refused("plug_package.inner:f", tmp_path)


def test_modules_beside_routes_yaml_import_each_other_and_shadow_nothing(tmp_path: Path, beside: Beside) -> None:
    """A `calendar.py` that lies there replaces Python's own for nobody, and cannot be a handler's module."""
    helper = beside("NAME = 'helper'")
    module = beside(
        f"import calendar\nimport {helper}\n"
        f"def f(event):\n global SEEN\n import {helper} as again\n SEEN = (again.NAME, calendar.isleap(2028))"
    )
    for shadow in ("calendar", "redis", "colorsys"):
        (tmp_path / f"{shadow}.py").write_text("def f(event): ...")

    load(f"{module}:f", tmp_path).call(an_event())

    assert sys.modules[module].SEEN == ("helper", True)
    assert "'calendar' beside routes.yaml has the name of one of Python's own; rename" in refused(
        "calendar:f", tmp_path
    )
    assert "'colorsys' beside routes.yaml has the name of one of Python's own" in refused("colorsys:f", tmp_path)
    import redis

    assert f"has the name of one in use, {redis.__file__}; rename" in refused("redis:f", tmp_path)


def test_packages_beside_routes_yaml_are_found_with_and_without_an_init_file(tmp_path: Path, beside: Beside) -> None:
    """As Python finds them."""
    for package, init in (("plug_regular", True), ("plug_namespace", False)):
        (tmp_path / package / "deep").mkdir(parents=True)
        (tmp_path / package / "deep" / "inner.py").write_text("from . import sibling\ndef f(event): ...\n")
        (tmp_path / package / "deep" / "sibling.py").write_text("")
        if init:
            (tmp_path / package / "__init__.py").write_text("")
            (tmp_path / package / "deep" / "__init__.py").write_text("")

    names = [load(f"{package}.deep.inner:f", tmp_path).name for package in ("plug_regular", "plug_namespace")]

    assert names == ["plug_regular.deep.inner:f", "plug_namespace.deep.inner:f"]


def test_a_plugin_that_is_installed_later_is_found(
    tmp_path: Path, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is installed is remembered, but a name that is missing is looked for again."""
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "is not installed" in refused("later", tmp_path)
    module = beside("def f(event): ...")

    a_distribution(tmp_path, "later", f"later = {module}:f")

    assert load("later", tmp_path).name == "later"


def test_check_raises_what_load_would_raise(tmp_path: Path, beside: Beside) -> None:
    """`frontdesk check` and a worker judge alike."""
    module = beside(SLACK)

    loader.check(f"{module}:announce", {"webhook_url": "u"}, environ={}, folder=tmp_path)

    with pytest.raises(HandlerError, match="'webhook_url' is missing"):
        loader.check(f"{module}:announce", {}, environ={}, folder=tmp_path)
