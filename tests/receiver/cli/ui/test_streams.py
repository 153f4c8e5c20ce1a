"""Commands say in one sentence what is wrong with their streams; what a terminal cannot show is shown by its code."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from receiver.storage.redis import connection
from tests.conftest import StartFrontdesk
from tests.support.events import entry, keep_all
from tests.support.journey import Journey
from tests.support.processes import Ran, command, environment, run

NAME = "José 🥶 Ångström"
ROUTES = "routes:\n  - {action: '*', handler: log}\n"


def _run(redirected: str, *arguments: str, settings: dict[str, str], cwd: Path | None = None) -> Ran:
    """Run a command under a shell's redirections."""
    environ = {**environment(settings), "PYTHONPATH": str(Path(__file__).parents[4])}
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirected}', "sh", *command(*arguments)],
        env=environ,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


@pytest.fixture
def told(tmp_path: Path, redis_url: str) -> dict[str, str]:
    """Settings for commands that need a store and routes."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        "FRONTDESK_URL_KEYS": "k" * 32,
    }


@pytest.mark.parametrize(
    "words",
    ["--help", "check --json", "routes", "routes schema", "events", "audit --json"],
)
def test_output_on_a_full_disk_is_one_sentence_and_a_failure(words: str, told: dict[str, str]) -> None:
    """What was asked for did not get there."""
    ran = _run(">/dev/full", *words.split(), settings=told)

    assert ran.status == 1
    assert ran.err.splitlines()[-1] == (
        "frontdesk: standard output: cannot be written: No space left on device; make room, or send it elsewhere"
    )
    assert "fault" not in ran.err


@pytest.mark.parametrize("redirected", ["<&-", ">&-", "2>&-", "2>/dev/full", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["replay --since 1h", "check"])
def test_a_stream_that_is_closed_stops_no_command(redirected: str, words: str, told: dict[str, str]) -> None:
    """The result is written where it can be."""
    usual = run(*words.split(), settings=told)
    ran = _run(redirected, *words.split(), settings=told)

    assert ran.status == usual.status
    assert "fault" not in ran.out + ran.err
    if ">&-" not in redirected.replace("2>&-", ""):
        assert ran.out == usual.out


def test_what_standard_output_cannot_say_is_escaped(told: dict[str, str]) -> None:
    """In JSON so that it is still what it was."""
    one = entry(json.dumps({"Id": 1, "FullName": NAME}).encode())
    with connection.connect(told["FRONTDESK_REDIS_URL"]) as client:
        keep_all(client, one)
    for encoding in ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "latin-1"}):
        settings = told | encoding
        shown = run("show", one.envelope.id, settings=settings)
        as_json = run("show", one.envelope.id, "--json", settings=settings)

        assert (shown.status, as_json.status) == (0, 0), shown.err + as_json.err
        assert "\\U0001f976" in shown.out or "\\ud83e\\udd76" in shown.out
        assert as_json.out.isascii()
        assert json.loads(as_json.out)["data"]["FullName"] == NAME


def test_a_path_that_is_not_utf_8_is_a_path(tmp_path: Path, redis_url: str, frontdesk: StartFrontdesk) -> None:
    """Of data and of routes: logged, reported to the store, shown, and watched."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    stack = Journey(folder, redis_url, frontdesk)
    settings = stack.settings | {"FRONTDESK_DATA_DIR": str(folder / "var")}
    receiver = frontdesk("serve", settings=settings)
    receiver.wait_for(r'"file": ?"[^"]*caf\\\\xe9/routes.yaml"')
    receiver.wait_for_http(f"http://127.0.0.1:{settings['FRONTDESK_PORT']}/readyz")
    (folder / "routes.yaml").write_text(ROUTES)
    receiver.wait_for(r'"routes": ?1,')

    assert json.loads(run("check", "--json", settings=settings).out)["ok"]
    assert receiver.stop() == 0
    assert "Traceback" not in receiver.output
