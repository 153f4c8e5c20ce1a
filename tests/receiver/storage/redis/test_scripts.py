"""Scripts name what they include of what scripts share, and no more."""

import re
from importlib.resources import files

import pytest
import redis

from receiver.storage.redis import keys, scripts

_FOLDER = files(scripts.__name__)
_NAMES = sorted(file.name.removesuffix(".lua") for file in _FOLDER.iterdir() if file.name.endswith(".lua"))
_SHARED = sorted(file.name.removesuffix(".lua") for file in _FOLDER.joinpath("shared").iterdir())


def _code(path: str) -> str:
    lines = _FOLDER.joinpath(path).read_text().splitlines()
    return "\n".join(line.partition("--")[0] for line in lines)


def _declared(part: str) -> set[str]:
    """The names that a shared file offers: what it declares at its left margin."""
    found = re.findall(r"^local (?:function )?(\w+)", _code(f"shared/{part}.lua"), re.MULTILINE)
    assert found, part
    return set(found)


def _used(path: str) -> set[str]:
    code = re.sub(r"'[^']*'", "", _code(path))
    declared_here = set(re.findall(r"local (?:function )?(\w+)", code))
    return set(re.findall(r"(?<![.:\w])[A-Za-z_]\w*", code)) - declared_here


def _names(text: str) -> set[str]:
    """What a text declares at its left margin; each once."""
    found = re.findall(r"^local (?:function )?(\w+)", text, re.MULTILINE)
    assert len(found) == len(set(found))
    return set(found)


def _locals(text: str) -> set[str]:
    return set(re.findall(r"local (?:function )?(\w+)", text))


def _words(text: str) -> set[str]:
    return set(re.findall(r"(?<![.:\w])[A-Za-z_]\w*", re.sub(r"'[^']*'", "", text)))


def _header(path: str, head: str) -> list[str]:
    lines = _FOLDER.joinpath(path).read_text().splitlines()
    return [name for line in lines if line.startswith(head) for name in line.removeprefix(head).split(", ")]


_OF = {name: part for part in _SHARED for name in _declared(part)}
_FILES = [f"{name}.lua" for name in _NAMES] + [f"shared/{name}.lua" for name in _SHARED]


def test_no_two_shared_files_offer_the_same_name() -> None:
    assert len(_OF) == sum(len(_declared(part)) for part in _SHARED)


@pytest.mark.parametrize("path", _FILES)
def test_a_file_names_exactly_what_it_uses(path: str) -> None:
    """What is missing would be an unknown global at the first call that needs it."""
    named = _header(path, "-- include: ") + _header(path, "-- on demand: ")
    assert sorted(named) == sorted({_OF[name] for name in _used(path) if name in _OF})


@pytest.mark.parametrize("name", _NAMES)
def test_the_server_takes_every_script(client: redis.Redis, name: str) -> None:
    """Its compiler bounds the locals and upvalues of a function."""
    client.script_load(scripts.source(name))


@pytest.mark.parametrize("name", _NAMES)
def test_a_script_is_linked_with_what_it_reaches(name: str) -> None:
    """What it uses is there, before it; a function on demand brings what only it uses; nothing is created in vain."""
    source = scripts.source(name)
    own = re.sub(r"^\s*--.*\n|^\n", "", _FOLDER.joinpath(f"{name}.lua").read_text(), flags=re.MULTILINE).rstrip("\n")
    assert source.endswith(own)
    outside, *opened = re.split(r"^(?=local function open_)", source.removesuffix(own), flags=re.MULTILINE)

    there = _names(outside)
    assert _words(outside + own) & _OF.keys() - {f"open_{part}" for part in _SHARED} <= there | _locals(own)
    for part in opened:
        assert _words(part) & _OF.keys() <= there | _locals(part)
    assert [one for one in there if len(re.findall(rf"\b{one}\b", source)) == 1] == []


def test_the_prefix_of_lists_is_spelt_once() -> None:
    assert [path for path in _FILES if keys.INDEX in _code(path)] == ["shared/indexes.lua"]
