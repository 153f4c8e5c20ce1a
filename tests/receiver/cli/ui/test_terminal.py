"""Commands that change or remove something ask on a terminal, and are refused without one and without --yes."""

import subprocess
from pathlib import Path

import pytest
import redis

from receiver.storage.redis import connection, keys
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import entry, keep_all
from tests.support.processes import command, environment, run
from tests.support.terminal import Terminal


def _settings(redis_url: str, folder: Path) -> dict[str, str]:
    (folder / "routes.yaml").write_text("routes: [{action: 'Booking*', handler: log}]")
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_DATA_DIR": str(folder),
        "FRONTDESK_ROUTES": str(folder / "routes.yaml"),
    }


def _one_done(client: redis.Redis) -> str:
    one = entry(b'{"Id":1,"CoworkerId":7}', routes=("log",))
    keep_all(client, one)
    acknowledge(client, *claim_all(client))
    return one.envelope.id


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "ID"),
        ("replay", "ID", "--json"),
        ("replay", "--since", "1h"),
        ("release",),
        ("release", "--json"),
        ("erase", "--coworker", "7"),
        ("erase", "--coworker", "7", "--json"),
        ("drain", "--forget", "abc/000"),
    ],
    ids=" ".join,
)
def test_without_a_terminal_and_without_yes_nothing_is_changed(
    redis_url: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """However the events were named, and as JSON too: one sentence, and no act is recorded."""
    with connection.connect(redis_url) as client:
        event_id = _one_done(client)
        client.hset(keys.SPOOLS, "abc/000", "{}")
        named = [event_id if one == "ID" else one for one in arguments]

        ran = run(*named, settings=_settings(redis_url, tmp_path))

        assert (ran.status, ran.out) == (1, "")
        assert ran.err.startswith(f"frontdesk: {arguments[0]}")
        assert ran.err.endswith(
            "asks before it changes anything, and there is no terminal to ask on; repeat with --yes\n"
        )
        assert (client.llen("rq:queue:default"), client.exists(keys.ACTS), client.hlen(keys.SPOOLS)) == (0, 0, 1)


def test_a_closed_standard_input_is_no_terminal(redis_url: str, tmp_path: Path) -> None:
    """As some schedulers start what they run; a dry run needs no answer."""
    with connection.connect(redis_url) as client:
        event_id = _one_done(client)
    environ = environment(_settings(redis_url, tmp_path))
    closed = ["sh", "-c", 'exec "$@" <&-', "sh", *command("replay", event_id)]

    asked = subprocess.run(closed, env=environ, capture_output=True, timeout=60, check=False)
    dry = subprocess.run([*closed, "--dry-run"], env=environ, capture_output=True, timeout=60, check=False)

    assert (asked.returncode, asked.stderr.decode().count("\n")) == (1, 1)
    assert b"repeat with --yes" in asked.stderr
    assert (dry.returncode, dry.stdout) == (0, b"1 events would be replayed: 1 deliveries.\n")


def test_on_a_terminal_a_named_event_is_asked_about_too(redis_url: str, tmp_path: Path) -> None:
    """Whoever says no changes nothing, and JSON is no answer."""
    with connection.connect(redis_url) as client:
        event_id = _one_done(client)
        argv = command("replay", event_id, "--json")
        with Terminal(argv, _settings(redis_url, tmp_path)) as terminal:
            terminal.answer("Replay 1 events, which makes 1 deliveries? [y/N] ", "n")
            ended, seen = terminal.end()

        assert (ended, client.llen("rq:queue:default")) == (0, 0), seen
