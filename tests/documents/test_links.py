"""Links between the documents lead somewhere, and so do the names of pages in the code."""

import re
from pathlib import Path

import pytest

from tests.documents.pages import ROOT, Page, page, pages

_SOURCE = re.compile(r"`((?:receiver|workers|tests)/[\w./-]*)`")
_NAMED = re.compile(r"(?<![\w/.])(?:docs|deploy)/[\w./-]+\w")


def _sources() -> list[Path]:
    return [path for folder in ("receiver", "workers") for path in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("source", pages(), ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading(source: Page) -> None:
    """Links to the web are not followed."""
    for link in source.links:
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        path = (source.path.parent / target).resolve() if target else source.path
        assert path.exists(), link
        if anchor:
            assert anchor in page(str(path.relative_to(ROOT))).anchors, link


@pytest.mark.parametrize("source", pages(), ids=lambda page: page.name)
def test_every_path_that_a_page_names_is_there(source: Page) -> None:
    """`deploy/env.example`, `docs/routes.md`."""
    assert [path for path in _NAMED.findall(source.text) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("source", pages(), ids=lambda page: page.name)
def test_every_module_that_a_page_names_is_there(source: Page) -> None:
    """`receiver/routing/`, `workers/api.py`."""
    assert [path for path in _SOURCE.findall(source.text) if not (ROOT / path).exists()] == []


def test_the_map_names_every_folder() -> None:
    """The tree of CONTRIBUTING.md: each folder has a row, or a word in the row of the folder above it."""
    section = page("CONTRIBUTING.md").sections["The tree"]
    rows = dict(re.findall(r"^\| `(\S+)/` \| (.+) \|$", section, re.MULTILINE))
    folders = [
        file.parent.relative_to(ROOT) for name in ("receiver", "workers") for file in ROOT.glob(f"{name}/**/*.py")
    ]
    missing = {
        str(folder)
        for folder in {*folders}
        if str(folder) not in rows
        and f"`{folder.name}/`" not in rows.get(str(folder.parent), "")
        and not any(row.startswith(f"{folder}/") for row in rows)
    }

    assert missing == set()


def test_every_page_that_the_code_names_is_there() -> None:
    """In error messages, log lines and docstrings."""
    named = {(path, name) for path in _sources() for name in _NAMED.findall(path.read_text())}

    assert len(named) > 3
    assert [(path, name) for path, name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", ["docs", "deploy"])
def test_every_page_can_be_reached_from_the_readme(name: str) -> None:
    """By links, over other pages; the index of the decisions counts as one."""
    reached, todo = set[str](), ["README.md"]
    while todo:
        source = todo.pop()
        reached.add(source)
        for link in page(source).links:
            path = (page(source).path.parent / link.partition("#")[0]).resolve()
            if path.suffix == ".md" and path.exists() and (found := str(path.relative_to(ROOT))) not in reached:
                todo.append(found)

    assert {each.name for each in pages() if each.name.startswith(name)} <= reached
