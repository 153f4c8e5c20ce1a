"""What `make` does before anything of ours runs."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.needs("make")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree whose virtual environment was made in it, as far as make can see."""
    for name in ("Makefile", "pyproject.toml", "deploy/requirements.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "installed").write_text(f"{tmp_path}\n")
    return tmp_path


def planned(tree: Path) -> str:
    """Return what `make` would do for the virtual environment."""
    ran = subprocess.run(
        ["make", "--dry-run", ".venv/installed"], cwd=tree, capture_output=True, text=True, check=True, timeout=60
    )
    return ran.stdout


def test_an_environment_that_stays_is_left_alone(tree: Path) -> None:
    """It is up to date."""
    assert "-m venv" not in planned(tree)


def test_one_that_was_moved_is_made_anew(tree: Path) -> None:
    """Its programs begin with the path of a Python that is not there any more."""
    moved = tree.with_name(f"{tree.name}-moved")
    tree.rename(moved)

    assert "-m venv --clear .venv" in planned(moved)
    assert f'echo "{moved}" > .venv/installed' in planned(moved)
