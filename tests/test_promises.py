"""Every promise names tests, and every test that is named is there."""

import ast
import re
from pathlib import Path

import pytest

from tests import promises
from tests.faults import campaigns

ROOT = Path(__file__).parents[1]
PROMISES = re.split(r"^(?=\d\. )", promises.__doc__ or "", flags=re.MULTILINE)[1:]


def test_there_are_nine() -> None:
    """As many as the design makes, in its order, each with a test of its own."""
    assert [int(promise[0]) for promise in PROMISES] == list(range(1, 10))
    assert all("::test_" in promise for promise in PROMISES)


@pytest.mark.parametrize(
    "named", re.findall(r"^    (\S+)::(\w+)$", promises.__doc__ or "", re.MULTILINE), ids="::".join
)
def test_each_test_is_there(named: tuple[str, str]) -> None:
    """Under that name, in that file."""
    file, name = named
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert name in {node.name for node in found}


def test_each_campaign_is_there() -> None:
    """In the short form, which is part of every check."""
    known = {campaign.name for campaign in campaigns.SHORT} | {"every one"}
    named = {name for line in re.findall(r"tests/faults: (.*)", promises.__doc__ or "") for name in line.split(", ")}
    assert named <= known
