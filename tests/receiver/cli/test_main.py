"""What every command has in common: a wrong call is one sentence and exit status 1, never a traceback."""

from importlib import import_module
from pathlib import Path

import cyclopts
import pytest

from receiver.cli import main
from tests.support.processes import run


def broken() -> None:
    """A command with a fault of ours."""
    raise KeyError("martha@example.com")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("events", "--limit", "-1", "--json"), "Must be >= 1"),
        (("events", "--limit", "0"), "Must be >= 1"),
        (("simulate", "--port", "99999"), "Must be <= 65535"),
        (("simulate", "--port", "-1"), "Must be >= 0"),
    ],
)
def test_a_number_out_of_range_is_one_sentence(arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    """Said before anything is connected to or listened at."""
    ran = run(*arguments, settings={"FRONTDESK_DATA_DIR": str(tmp_path)})

    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("frontdesk: ")
    assert sentence in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("routes", "nosuch"),
            "routes: 'nosuch' is not one of its commands; the commands are ",
        ),
        (("routes", "explian"), "routes: 'explian' is not one of its commands; did you mean explain?"),
        (("events", "\x1b[31mx"), "events: '\\\\x1b[31mx' is one word too many; see frontdesk events --help"),
        (("plan", "--nosuch"), "--nosuch"),
        (("evnets",), "events"),
    ],
)
def test_a_word_that_no_command_understands_is_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    """It says what was not understood, and where to look."""
    ran = run(*arguments)

    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert sentence in ran.err
    assert "\x1b" not in ran.err


def test_a_fault_of_ours_is_one_sentence_without_what_it_quotes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback tells a person nothing, and its message may hold a payload."""
    monkeypatch.setitem(main.COMMANDS, "broken", (f"{__name__}:broken", "A command with a fault."))

    with pytest.raises(SystemExit) as ended:
        main.main(["broken"])

    shown = capsys.readouterr()
    assert ended.value.code == 1
    assert shown.err.startswith("frontdesk: a fault of Frontdesk: KeyError at ")
    assert shown.err.count("\n") == 1
    assert "martha" not in shown.out + shown.err


def test_every_command_is_listed_with_what_it_does_and_explains_itself() -> None:
    """The list has one line for each; `COMMAND --help` has the whole text and its options."""
    listed = run("--help").out
    explained = run("replay", "--help").out

    for name, (_, sentence) in main.COMMANDS.items():
        assert name in listed
        assert sentence.split()[0] in listed
    assert "A route that is still busy with an event" in explained


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_every_argument_and_option_has_a_sentence(name: str) -> None:
    """None is left out of the docstring, or lost in it by a wrong form."""
    module, _, attribute = main.COMMANDS[name][0].partition(":")
    found = getattr(import_module(module), attribute)
    commands = [found]
    if isinstance(found, cyclopts.App):
        commands = [found.default_command, *(found[one].default_command for one in found if not one.startswith("-"))]

    for command in commands:
        app = cyclopts.App()
        app.default(command)
        arguments = app.assemble_argument_collection(parse_docstring=True)
        silent = [one.names for one in arguments if one.show and not one.children and not one.parameter.help]
        assert silent == []
