"""The pages as their tests read them: blocks of code, commands, headings, links."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
_SECTION = re.compile(r"^(?=#{2,3} )", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block. *file* is the name behind the language: the examples of its page find it under that name."""

    language: str
    file: str
    text: str


class Page:
    """One Markdown page of the repository."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.text = path.read_text(encoding="utf-8")
        self.blocks = blocks(self.text)

    @property
    def prose(self) -> str:
        """The page without its blocks."""
        return _BLOCK.sub("", self.text)

    @property
    def commands(self) -> list[list[str]]:
        """Every command of the `sh` blocks, as words; comments and line continuations are gone."""
        return [words for block in self.blocks if block.language == "sh" for words in commands(block.text)]

    @property
    def files(self) -> dict[str, str]:
        """The blocks that have a file name."""
        return {block.file: block.text for block in self.blocks if block.file}

    @property
    def sections(self) -> dict[str, str]:
        """The text of each section of the second and third level, by its heading."""
        found = {}
        for part in _SECTION.split(self.text)[1:]:
            heading, _, body = part.partition("\n")
            found[heading.lstrip("# ")] = body
        return found

    @property
    def links(self) -> list[str]:
        """The targets of all links."""
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """The anchors that GitHub makes of the headings."""
        return {anchor(heading) for heading in _HEADING.findall(self.prose)}


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a text."""
    return [Block(*found) for found in _BLOCK.findall(text)]


def commands(block: str) -> Iterator[list[str]]:
    """Yield the commands of a `sh` block as words."""
    for line in block.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def quoted_commands(prose: str) -> list[list[str]]:
    """Return the commands of ours that stand between backticks."""
    quoted = [" ".join(part.split()) for part in re.findall(r"`([^`]+)`", prose)]
    return [shlex.split(part) for part in quoted if part.startswith("frontdesk ") and "..." not in part]


def anchor(heading: str) -> str:
    """Return the anchor of a heading: lower case, spaces as hyphens, no other signs."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@cache
def page(name: str) -> Page:
    """Return one page by its path from the root."""
    return Page(ROOT / name)


@cache
def pages() -> tuple[Page, ...]:
    """Return every page of the repository."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
    return tuple(page(str(path.relative_to(ROOT))) for path in sorted(found))
