"""The image is built from what is pinned, holds the whole program, and runs as nobody in particular."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import program

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@pytest.mark.needs("hadolint")
def test_the_linter_finds_nothing() -> None:
    """hadolint, which also reads the shell of each RUN."""
    ran = subprocess.run(
        [program("hadolint"), "--format", "json", "--failure-threshold", "ignore", DOCKERFILE],
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert json.loads(ran.stdout) == []


def test_every_package_is_pinned_and_its_hash_checked() -> None:
    """No RUN installs anything else, and no index is named: the builder's own is used."""
    text = DOCKERFILE.read_text()
    installs = [line.strip(" \\&") for line in text.splitlines() if "pip install" in line]

    assert installs == [
        "RUN /opt/frontdesk/bin/pip install --require-hashes -r deploy/requirements.lock",
        "RUN /opt/frontdesk/bin/pip install --no-deps --no-build-isolation .",
    ]
    assert "index" not in text


def test_it_does_not_run_as_root() -> None:
    """By number, so that Kubernetes can see that it is not 0; the data folder is its own."""
    lines = DOCKERFILE.read_text().splitlines()

    assert "USER 10001:10001" in lines
    assert lines.index("USER 10001:10001") < lines.index('ENTRYPOINT ["frontdesk"]')


def test_the_builder_gets_nothing_but_what_is_copied() -> None:
    """No history, no data directory, no secrets; and all that the Dockerfile copies."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for line in DOCKERFILE.read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }

    assert copied == allowed


def test_the_built_package_holds_every_file_of_the_program(tmp_path: Path) -> None:
    """Lua scripts, samples, templates: what an editable install finds in the tree must be in the wheel too."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT],
        check=True,
        capture_output=True,
        timeout=100,
    )
    (wheel,) = tmp_path.glob("frontdesk-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    in_tree = {
        path.relative_to(ROOT).as_posix()
        for room in ("receiver", "workers")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert packed == in_tree
