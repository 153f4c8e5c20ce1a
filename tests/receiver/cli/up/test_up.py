"""`frontdesk up` on real processes: everything starts, works, and ends together; what is wrong is one sentence."""

import socket
from pathlib import Path

import pytest

from receiver.storage.embedded import embedded_server
from tests.support.processes import Ran, free_port, run

ROUTES = "routes:\n  - {action: BookingCreate, handler: log}\n"


def _up(folder: Path, *arguments: str, **settings: str) -> Ran:
    names = {f"FRONTDESK_{name.upper()}": value for name, value in settings.items()}
    return run("up", *arguments, settings={"FRONTDESK_PORT": "0", "FRONTDESK_CONSOLE_PORT": "0"} | names, cwd=folder)


def _nothing_runs(folder: Path) -> bool:
    return not embedded_server.is_running(folder / "var")


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    """Exit status 1, and nothing is left running."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        ran = _up(tmp_path, port=str(port))

    assert (ran.status, ran.out) == (1, "")
    assert ran.err == (
        f"frontdesk: cannot listen at 127.0.0.1 port {port}: Address already in use; stop what listens there, or set "
        "FRONTDESK_HOST and FRONTDESK_PORT\n"
    )
    assert _nothing_runs(tmp_path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"host": "203.0.113.1"}, "cannot listen at 203.0.113.1 port 0: "),
        ({"host": "no such host"}, "cannot listen at no such host port 0: "),
        ({"host": "x" * 300}, f"cannot listen at {'x' * 300} port 0: "),
        ({"routs": "x"}, "FRONTDESK_ROUTS is not a setting of Frontdesk; did you mean FRONTDESK_ROUTES?"),
        ({"routes": "elsewhere.yaml"}, "elsewhere.yaml: there is no routing file; "),
        ({"data_dir": "/proc/nowhere"}, "FRONTDESK_DATA_DIR: cannot write to '/proc/nowhere': "),
        ({"redis_url": "http://hush@x"}, "FRONTDESK_REDIS_URL: must start with one of redis://"),
        ({"redis_url": f"redis://:hush@127.0.0.1:{free_port()}"}, "the server does not answer: "),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, settings: dict[str, str], sentence: str) -> None:
    """On standard error, without a secret, without a traceback; nothing is left running."""
    (tmp_path / "routes.yaml").write_text(ROUTES)

    ran = _up(tmp_path, **settings)

    assert ran.status == 1
    assert ran.err.startswith(f"frontdesk: {sentence}")
    assert (ran.err.count("\n"), "hush" in ran.err, "Traceback" in ran.err) == (1, False, False)
    assert _nothing_runs(tmp_path)


def test_without_a_routing_file_it_says_what_to_do(tmp_path: Path) -> None:
    """`up` elsewhere than in the project's own folder."""
    ran = _up(tmp_path)

    assert ran.status == 1
    assert "routes.yaml: there is no routing file; write one with frontdesk init" in ran.err
    assert "or start with frontdesk up --demo" in ran.err
