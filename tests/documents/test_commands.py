"""Every command in the documents is run, against a stack like the one they tell of."""

import contextlib
import subprocess
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import cyclopts
import orjson
import pytest

from receiver.cli import main
from tests.documents.demo import ENDING, ENDLESS, Demo, listening
from tests.documents.pages import ROOT, Page, page, pages, quoted_commands

RUN = (("README.md", "docs/routes.md", "docs/handlers.md", "docs/api.md"), ("docs/operate.md",))
"""Pages whose commands are run, all of them, in two demos; what they write in capitals is filled in."""

ELSEWHERE = {
    *("docker", "kubectl", "helm", "systemctl", "systemd-run", "install", "openssl", "python3", "pip", "curl", "cp"),
    *("/opt/frontdesk/bin/pip", "valkey-cli", "valkey-server", "frontdesk", "rq", "make", ".venv/bin/python"),
}
"""Programs of the other pages: they need another machine, or do what must not be done here. Ours are parsed."""


def _run(demo: Demo, words: list[str]) -> str | None:
    """Run one command; return what is wrong with it."""
    program, *arguments = demo.fill_in(words)
    if program in {"make", "rq", "curl"}:
        return _run_tool(program, arguments)
    assert program == "frontdesk", words
    if arguments[0] in ENDLESS and not ENDING & {*arguments}:
        demo.follow(*arguments)
        return None
    ran = demo.run(*arguments)
    is_right = ran.status == 0 or (arguments[0] == "plan" and ran.status == 2)
    is_right |= arguments == ["watch", "--once"] and "holds the lock 'registrar-leader'" in ran.err  # the demo's watch
    if not is_right or "Traceback" in ran.out + ran.err:
        return f"{' '.join(words)}: {ran}"
    unknown = _undocumented(arguments, ran.out) if "--json" in arguments else set()
    return f"{' '.join(words)}: keys that operate.md does not name: {unknown}" if unknown else None


def _undocumented(arguments: list[str], out: str) -> set[str]:
    """Return the keys of what a command printed that the table of keys lacks; those of records are Nexudus's."""
    name = " ".join(arguments[:2]) if arguments[1] in {"explain", "diff"} else arguments[0]
    rows = page("docs/operate.md").sections["JSON for programs"].splitlines()
    (row,) = (row for row in rows if row.startswith("| `") and f"`{name}`" in row.split("|")[1])
    if name == "show":
        row += next(row for row in rows if row.startswith("| `events`"))
    objects = [orjson.loads(line) for line in out.splitlines() if line.startswith("{")]
    below = [each for one in objects for value in one.values() if isinstance(value, list) for each in value]
    found = {key for one in [*objects, *below] if isinstance(one, dict) for key in one}
    return {key for key in found if f"`{key}`" not in row}


def _run_tool(program: str, arguments: list[str]) -> str | None:
    """Run RQ's command or curl; of make, see what it would do."""
    programs = {"make": ["make", "-n"], "rq": [sys.executable, "-m", "rq.cli"], "curl": ["curl"]}
    argv = [*programs[program], *arguments]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)
    return f"{program} {arguments}: {ran.stdout}{ran.stderr}" if ran.returncode else None


@pytest.mark.needs("curl")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("names", RUN, ids=lambda names: names[0])
def test_the_commands_do_what_the_page_says(names: Sequence[str], tmp_path: Path) -> None:
    """They end with 0, or go on until they are stopped; nothing prints a traceback."""
    files = {file: text for name in names for file, text in page(name).files.items()}
    with listening() as port:
        demo = Demo(tmp_path, files, port)
        try:
            failed = [wrong for name in names for words in page(name).commands if (wrong := _run(demo, words))]
        finally:
            status = demo.process.stop()

    assert failed == []
    assert status == 0


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_command_line_takes_every_command(page: Page) -> None:
    """Those of blocks, options and all; those between backticks, which may lack what a sentence need not say."""
    app = main.build()
    for words in page.commands:
        if words[0] == "frontdesk":
            _parse(app, words)
    for words in quoted_commands(page.prose):
        with contextlib.suppress(cyclopts.MissingArgumentError):
            _parse(app, words)


def _parse(app: cyclopts.App, words: list[str]) -> None:
    """Capitals stand for a word or a folder."""
    app.parse_args([word.replace("DIRECTORY", "/") for word in words[1:]], print_error=False, exit_on_error=False)


@pytest.mark.parametrize(
    "page", [each for each in pages() if each.name not in {*chain(*RUN)}], ids=lambda page: page.name
)
def test_other_pages_name_programs_that_are_known(page: Page) -> None:
    """A program that could be run here belongs to a page whose commands are run."""
    assert {words[0] for words in page.commands} - ELSEWHERE == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_make_has_every_target(page: Page) -> None:
    """And tests that are to be run are there."""
    for program, *arguments in page.commands:
        if program == "make":
            assert _run_tool(program, arguments) is None
        if program == ".venv/bin/python":
            assert arguments[:2] == ["-m", "pytest"]
            paths = [word.partition("::")[0] for word in arguments if word.startswith("tests/")]
            assert [path for path in paths if not (ROOT / path).exists()] == []


def test_most_of_the_commands_are_found() -> None:
    """Or else the patterns have stopped finding them."""
    assert sum(len(page(name).commands) for names in RUN for name in names) > 60
    assert len([words for words in page("deploy/RUNBOOK.md").commands if words[0] == "frontdesk"]) > 15
