"""Templates fill in text from an event, keep the type of a lone expression, and end whatever is hostile."""

import html
import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.events import Business
from tests.support.handled import an_event
from workers import Event
from workers.api import Reference
from workers.templates import Template, TemplateFailed, ValueTemplate, limits, templates_in

RECORD: dict[str, Any] = {
    "Id": 77, "ResourceName": "Café <b>", "Cost": 1131.25, "Notes": None, "FromTime": "2026-07-01T20:30:00Z",
    "InvoiceDate": "2026-07-01", "Tags": ["vip", "late"], "Online": True, "Big": "x" * 60_000, "items": 3,
    "Price": 150, "Visitors": [{"Name": "Zoë", "Age": 3}, {"Name": "Ada", "Age": 5}],
}  # fmt: skip


def event(**data: Any) -> Event:
    paris = Business("Eiffel", "Europe/Paris", "EUR")
    return replace(an_event(data=RECORD | data), business=paris)


def filled(source: str, **data: Any) -> str:
    return Template(source).render(event(**data))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ data.ResourceName }} at {{ business.name }}", "Café <b> at Eiffel"),
        ("{{ data['ResourceName'] }}!", "Café <b>!"),
        ("from {{ data.FromTime | local }}", "from 2026-07-01 22:30"),
        ("{{ data.FromTime | local('%-d %B %Y, %H:%M') }}", "1 July 2026, 22:30"),
        ("{{ data.FromTime | local(zone='America/New_York') }}", "2026-07-01 16:30"),
        ("{{ data.FromTime | date }} {{ data.InvoiceDate | date('%d.%m.') }}", "2026-07-01 01.07."),
        ("{{ data.Cost | money }}, {{ data.Price | money('JPY') }}", "1,131.25 EUR, 150 JPY"),
        ("{{ data.Notes }}|{{ data.Notes | upper }}|{{ data.Notes | money }}|{{ data.Notes | local }}", "|||"),
        ("{{ data.Notes | default('none') }} {{ data.Nothing | default(0) }}", "none 0"),
        ("{{ data.Online }} {{ data.Tags }} {{ data.Tags | json }}", 'true ["vip","late"] ["vip","late"]'),
        ("{{ data.ResourceName | json }}", '"Café <b>"'),
        ("{% for v in data.Visitors %}{{ loop.index }} {{ v.Name }}{{ ', ' if not loop.last }}{% endfor %}",
         "1 Zoë, 2 Ada"),
        ("{{ data.Visitors | join(', ', 'Name') }} {{ data.Visitors | sum('Age') }}", "Zoë, Ada 8"),
        ("{% if data.Cost > 100 and action == 'BookingCreate' %}large{% else %}small{% endif %}", "large"),
        ("{{ data.items }}{{ data.Tags[0] }}{{ data.Tags | length }}", "3vip2"),
        ("{{ event.key }} {{ event.received_at }} {{ event.attempt }}",
         "00m5x2k1qabcdefg0001 2026-03-14T15:09:26.535Z 1"),
        ("{{ (data.Cost * 1.21) | round(2) }} {{ data.Price // 4 }} {{ 'a' ~ data.Price }}", "1368.81 37 a150"),
        ("a & {{ data.ResourceName | urlencode }}", "a & Caf%C3%A9%20%3Cb%3E"),
        ("no template\n", "no template\n"),
        ("{{ data.Price }}\n", "150\n"),
    ],
)  # fmt: skip
def test_what_is_rendered(source: str, text: str) -> None:
    """Names, filters, null as nothing, loops over lists, and text as it stands."""
    assert filled(source) == text


def test_a_lone_expression_keeps_its_type() -> None:
    """In a tree of values, at any depth; other strings become text, other values stay."""
    tree = ValueTemplate(
        {"cost": "{{ data.Cost }}", "deep": [{"tags": "{{ data.Tags }}", "n": 1, "null": "{{ data.Notes }}"}], "t": "x"}
    )

    assert tree.render(event()) == {
        "cost": 1131.25,
        "deep": [{"tags": ["vip", "late"], "n": 1, "null": None}],
        "t": "x",
    }
    assert [path for path, _ in templates_in({"body": tree})] == [
        "body.cost", "body.deep.0.tags", "body.deep.0.null", "body.t",
    ]  # fmt: skip


def test_values_are_escaped_and_the_text_around_them_is_not() -> None:
    """A member called <script> stays a text."""
    assert Template("<i>{{ data.ResourceName }}</i>").render(event(), escape=html.escape) == "<i>Café &lt;b&gt;</i>"
    assert Template("{{ data.ResourceName }}").render(event(), escape=html.escape) == "Café &lt;b&gt;"


def test_what_a_reference_brings_is_no_template() -> None:
    """A password may hold braces."""
    assert Template(Reference("{{ data.Nothing }}")).render(event()) == "{{ data.Nothing }}"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{{ data.X", "is no template, line 1: unexpected end of template"),
        ("a\nb {{ data.X | uper }}", "is no template, line 2: there is no filter 'uper'; did you mean 'upper'?"),
        ("{{ data.Name.upper() }}", "nothing can be called in a template; use a filter"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "nothing can be called"),
        ("{{ range(9) }}", "nothing can be called"),
        ("{% import 'os' as os %}", "import cannot stand in a template"),
        ("{% include '/etc/passwd' %}", "include cannot stand in a template"),
        ("{% macro m() %}{% endmacro %}", "macro cannot stand in a template"),
        ("{% for a in data recursive %}{% endfor %}", "a loop cannot be recursive"),
        ("{{ 9 ** 9 ** 9 }}", "** cannot stand in a template"),
        ("{{ data | attr('__class__') }}", "there is no filter 'attr'"),
        ("{{ self }}", "there is no 'self'"),
        ("{{ dta.X }}", "unknown name 'dta'; did you mean data?"),
        ("{{ ResourceName }}", "unknown name 'ResourceName'; did you mean data.ResourceName?"),
        ("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}", "nested too deep"),
        ("{{ data.X }}" * 5_000, "is longer than"),
        ("{{ data.X is foo }}", "there is no test 'foo'"),
    ],
)
def test_what_is_refused_when_routes_are_loaded(source: str, sentence: str) -> None:
    """One sentence, with the line."""
    with pytest.raises(ValueError, match=".") as refused:
        Template(source)

    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{{ data.ResorceName }}", "there is no field 'ResorceName'; did you mean 'ResourceName'?"),
        ("a\n{{ data.Nothing }}", "fails in line 2: there is no field 'Nothing'"),
        ("{{ data.Notes.Name }}", "null has no field 'Name'"),
        ("{{ data.Tags[7] }}", "there is no item 7"),
        ("{{ data.__class__ }}", "there is no field '__class__'"),
        ("{{ data.ResourceName.__class__ }} x", "has no field '__class__'"),
        ("{{ data.Tags.append }}", "has no field 'append'"),
        ("{{ data.FromTime | local(zone='Europe/Atlantis') }}", "there is no time zone 'Europe/Atlantis'"),
        ("{{ data.FromTime | local('%999999999d') }}", "the format is not one"),
        ("{{ data.ResourceName | local }}", "is not a time as Nexudus writes it"),
        ("{{ data.ResourceName | money }}", "is not an amount"),
        ("{{ data.Notes + 1 }}", "'+' takes two numbers; ~ joins texts"),
        ("{{ data.Price / 0 }}", "division by zero"),
        ("{{ 'a' * 1000000000 }}", "'*' takes two numbers"),
        ("{{ data.Price * data.Price * data.Nothing }}", "there is no field 'Nothing'"),
        ("{% set a = data.Big ~ data.Big %}{{ a }}", "longer than"),
        ("{{ data.Big | replace('x', 'xx') }}", "longer than"),
        ("{{ [data.Big, data.Big] | join }}", "longer than"),
        ("{% for a in data.Big %}{{ data.Big }}{% endfor %}", "longer than"),
        ("{% for a in data.Big %}{% endfor %}", "turn more than"),
        ("{% for a in data.Tags %}{% for b in data.Big %}{% for c in data.Big %}{% endfor %}{% endfor %}{% endfor %}",
         "turn more than"),
        ("{% for n in [data.Price] %}{% for m in [" + "*".join(["n"] * 60) + "] %}{{ m }}{% endfor %}{% endfor %}",
         "too large"),
    ],
)  # fmt: skip
def test_what_fails_for_an_event(source: str, sentence: str) -> None:
    """The missing is never an empty text, and what explodes ends; the sentence quotes no value of the record."""
    with pytest.raises(TemplateFailed) as failed:
        filled(source)

    assert sentence in str(failed.value)
    assert "Café" not in str(failed.value)


def test_a_rendering_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two steps of it."""
    monkeypatch.setattr(limits, "LONGEST_S", -1.0)

    with pytest.raises(TemplateFailed, match="takes longer than"):
        filled("{{ data.ResourceName | upper }}!")


def test_a_location_without_a_time_zone_says_where_to_give_it() -> None:
    """The zone cannot be known from the record."""
    with pytest.raises(TemplateFailed, match="time zone of location 1001 is not known; give it under `locations`"):
        Template("{{ data.FromTime | local }}").render(an_event(data=RECORD))


def test_threads_share_a_template() -> None:
    """Each has its own limits and its own escape."""
    template, wrong = Template("{% for t in data.Tags %}{{ t }}{% endfor %}{{ data.ResourceName }}"), []

    def render(escaped: bool) -> None:
        for _ in range(200):
            text = template.render(event(), escape=html.escape if escaped else None)
            if ("&lt;" in text) != escaped:
                wrong.append(text)

    threads = [threading.Thread(target=render, args=(number % 2 == 0,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


PIECES = (
    *(
        "{{ data.V }}",
        "<{{ data.V }}>",
        "{{ data.V | default('x') | string | upper }}",
        "{{ data.V.Name | default(1) }}",
    ),
    *(
        "{{ data.V | json }}",
        "{% for one in data.V %}{{ one }}{% endfor %}",
        "{{ data.V | money }}",
        "{{ data.V + 1 }}",
    ),
    *(
        "{{ data.V | local }}",
        "{{ data.V[0] }}",
        "{{ data.V * data.V }}",
        "{{ data.V | sort | join }}",
        "{{ -data.V }}",
    ),
)


@given(ANYTHING)
def test_whatever_a_record_holds_a_template_ends_in_a_text_or_a_sentence(value: Any) -> None:
    """Nothing else is ever raised, and a value never becomes code."""
    for piece in PIECES:
        try:
            made = filled(piece, V=value)
        except TemplateFailed:
            continue
        assert isinstance(made, str)


@given(st.text(max_size=50))
def test_braces_in_a_record_are_text(value: str) -> None:
    """What Nexudus sends is never read as a template."""
    assert filled("<{{ data.V }}>", V="{{ 7*7 }}" + value) == "<{{ 7*7 }}" + value + ">"
    assert json.loads(filled('{"v": {{ data.V | json }}}', V=value)) == {"v": value}
