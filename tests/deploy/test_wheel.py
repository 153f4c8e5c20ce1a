"""The wheel and the source archive: built twice they are the same, and the wheel comes up in an empty folder."""

import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from receiver.storage.embedded import embedded_server
from tests.support.processes import Process, environment, run

ROOT = Path(__file__).parents[2]


def _build(folder: Path) -> dict[str, Path]:
    """Return the wheel and the source archive, by the ends of their names."""
    argv = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stderr
    return {file.suffix: file for file in folder.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The packages, as they would be published."""
    return _build(tmp_path_factory.mktemp("dist"))


def test_two_builds_are_the_same(built: dict[str, Path], tmp_path: Path) -> None:
    """Byte by byte, so that anybody can see that what is published was made from this tree."""
    again = _build(tmp_path)

    assert sorted(built) == [".gz", ".whl"]
    assert {end: file.read_bytes() for end, file in again.items()} == {end: f.read_bytes() for end, f in built.items()}


def test_the_wheel_says_what_it_is(built: dict[str, Path]) -> None:
    """Whoever meets it in an index: for which Pythons, with which extras, and the README."""
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = wheel.namelist()
        (name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(wheel.read(name).decode())

    assert (metadata["Name"], metadata["Requires-Python"]) == ("frontdesk", "<3.15,>=3.11")
    assert metadata["Author"] == "The authors of Frontdesk"
    assert {"embedded", "otel"} <= {*(metadata.get_all("Provides-Extra") or [])}
    assert str(metadata.get_payload()).startswith("# Frontdesk\n")
    assert {name.split("/")[0] for name in names} == {"receiver", "workers", name.split("/")[0]}
    assert "receiver/py.typed" in names
    assert not [name for name in names if "test_" in name and "scaffold" not in name]


def test_the_wheel_comes_up_in_an_empty_folder(built: dict[str, Path], tmp_path: Path) -> None:
    """`init` writes a first routes.yaml, which `check` finds right; `up --demo` handles events by it."""
    site, here = tmp_path / "site", tmp_path / "here"
    here.mkdir()
    with zipfile.ZipFile(built[".whl"]) as wheel:
        wheel.extractall(site)
    settings = environment({"FRONTDESK_PORT": "0", "FRONTDESK_CONSOLE_PORT": "0"})
    python = ["env", f"PYTHONPATH={site}", sys.executable, "-P"]

    def printed(*arguments: str) -> str:
        ran = subprocess.run(
            [*python, *arguments], cwd=here, env=settings, capture_output=True, text=True, timeout=100, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert Path(printed("-c", "import receiver; print(receiver.__file__)").strip()).is_relative_to(site)
    assert printed("-m", "receiver", "init").startswith("wrote routes.yaml: ")
    printed("-m", "receiver", "check")
    up = Process([*python, "-m", "receiver", "up", "--demo"], log=tmp_path / "up.log", environ=settings, cwd=here)
    try:
        up.wait_for(r"event\.handled .*action=BookingCreate\b")
        assert up.stop() == 0
    finally:
        up.end()
        embedded_server.stop(here / "var", grace_s=2)


def test_a_routing_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """One sentence, status 1, and the file as it was."""
    (tmp_path / "routes.yaml").write_text("routes: []\n")

    ran = run("init", cwd=tmp_path)

    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "frontdesk: routes.yaml: already exists, and is left as it is; edit it, or move it away first\n"
    assert (tmp_path / "routes.yaml").read_text() == "routes: []\n"
