"""`frontdesk new-handler`: a plugin package that works, to be filled with what its author needs."""

import importlib.util
import keyword
import re
import shlex
import shutil
import sys
from importlib import resources
from pathlib import Path
from string import Template
from typing import Annotated

import cyclopts

from receiver.cli.ui import output
from receiver.core.errors import UsageError
from workers.plugins import loader

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40


def new_handler(name: Annotated[str, cyclopts.Parameter(show_default=False)], /) -> None:
    """Write a plugin package with a handler, its test and a README into the folder ./NAME.

    Parameters
    ----------
    name
        What routes.yaml calls the handler: lower-case letters, digits and single hyphens, at most 40.
    """
    folder = write(name, Path.cwd())
    output.say(f"wrote {', '.join(sorted(file.name for file in folder.iterdir()))} into {name}/")
    output.say(f"next: {next_step(name)}")
    output.say(f"then name it in routes.yaml: handler: {name}; {name}/README.md shows how")


def next_step(name: str) -> str:
    """Return the command that installs the package beside this Frontdesk and runs its test, by what is there for it."""
    python = shlex.quote(sys.executable)
    there = {module: importlib.util.find_spec(module) is not None for module in ("pip", "hatchling", "pytest")}
    install = f"{python} -m pip install" if there["pip"] else f"uv pip install --python {python}"
    isolation = " --no-build-isolation" if there["hatchling"] else ""
    pytest = "" if there["pytest"] else f"{install} pytest && "
    return f"{install} --no-deps{isolation} -e ./{name} && {pytest}{python} -m pytest {name}"


def write(name: str, parent: Path) -> Path:
    """Write the package into the new folder *name* in *parent* and return it. Raises UsageError and leaves nothing."""
    _refuse_bad(name)
    snake = name.replace("-", "_")
    words = {"name": name, "function": snake, "module": f"frontdesk_{snake}"}
    folder = parent / name
    try:
        folder.mkdir()
    except FileExistsError:
        raise UsageError(f"new-handler: {name} is there already; choose another name or move it away") from None
    except OSError as error:
        raise UsageError(f"new-handler: cannot make the folder {name}: {error.strerror}") from None
    try:
        for target, text in _rendered(words).items():
            (folder / target).write_text(text, encoding="utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # ours: it was not there before
        raise UsageError(f"new-handler: cannot write into {name}: {error.strerror}") from None
    return folder


def _refuse_bad(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise UsageError(
            f"new-handler: {output.plain(name)[:80]!r} cannot name a handler; use lower-case letters, digits and "
            f"single hyphens, a letter first, at most {_LONGEST} characters: crm-sync"
        )
    if keyword.iskeyword(name):
        raise UsageError(f"new-handler: {name} is a word of Python's own; try {name}-handler")
    if name in loader.installed():
        raise UsageError(f"new-handler: a handler {name} is installed already; two of one name would refuse to load")
    if importlib.util.find_spec(f"frontdesk_{name.replace('-', '_')}") is not None:
        raise UsageError(f"new-handler: a module frontdesk_{name.replace('-', '_')} is installed already")


def _rendered(words: dict[str, str]) -> dict[str, str]:
    names = {"handler.py": f"{words['module']}.py", "test_handler.py": f"test_{words['module']}.py"}
    rendered = {}
    for template in sorted((resources.files("receiver") / "scaffold").iterdir(), key=lambda file: file.name):
        target = template.name.removesuffix(".template")
        if target != template.name:
            rendered[names.get(target, target)] = Template(template.read_text(encoding="utf-8")).substitute(words)
    return rendered
