"""The templates on the page of routes render to what stands beside them."""

import json
import re
from dataclasses import replace

import pytest

from receiver.core.events import Business
from tests.documents.pages import blocks, page
from tests.support.handled import an_event
from workers.templates import Template, TemplateFailed
from workers.templates.template_filters import FILTERS

SECTION = page("docs/routes.md").sections["Templates"]
ROWS = re.findall(r"^\| `(.+?)` \| (.*?) \|(.*)\|$", SECTION.partition("| template |")[2], re.MULTILINE)


@pytest.mark.parametrize(("source", "result"), [row[:2] for row in ROWS], ids=[row[0] for row in ROWS])
def test_every_template_renders_to_what_the_page_says(source: str, result: str) -> None:
    """With the record that stands above them."""
    (record,) = (json.loads(block.text) for block in blocks(SECTION) if block.language == "json")
    event = replace(an_event(data=record), business=Business("Eiffel", "Europe/Paris", "EUR"))
    template = Template(source.replace(r"\|", "|"))

    if result == "fails":
        with pytest.raises(TemplateFailed):
            template.render(event)
    else:
        assert template.render(event).strip() == result


def test_every_filter_is_named() -> None:
    """And enough templates are found."""
    assert [name for name in FILTERS if name != "d" and not re.search(rf"`{name}`|\| {name}\b", SECTION)] == []
    assert len(ROWS) > 10
