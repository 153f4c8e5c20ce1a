"""A handler says what its record is, and gets that, or the delivery ends with what does not fit."""

from pathlib import Path
from typing import Any

import pytest

from receiver.core.errors import HandlerError
from receiver.core.events import Outcome
from tests.support.bench import Bench
from tests.support.handled import an_event
from workers.plugins import loader
from workers.run import execution

HANDLERS = """\
from __future__ import annotations
from typing import TYPE_CHECKING, Any, Mapping
from pydantic import BaseModel
from workers import Event
from workers.records import Booking
if TYPE_CHECKING:
    from elsewhere import Nothing

class Own(BaseModel):
    Id: int
    Colour: str = "red"

got = []
def typed(event: Event[Booking], *, word: str = "x"): got.append((event.data, event.key, word))
async def typed_async(event: Event[Booking]): got.append(event.data)
def own(event: Event[Own]): got.append(event.data)
def loose(event: Event[dict[str, Any]]): got.append(event.data)
def mapping(event: Event[Mapping[str, Any]]): got.append(event.data)
def plain(event: Event): got.append(event.data)
def foreign(event: Nothing): got.append(event.data)
def lost(event: Event[Nothing]): pass
def odd(event: Event[object()]): pass
class Odd: pass
def unmade(event: Event[Odd]): pass
"""


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with the handlers above, in a module of this test's own."""
    (tmp_path / f"{_module(request)}.py").write_text(HANDLERS)
    return tmp_path


def _module(request: pytest.FixtureRequest) -> str:
    return f"typed_{abs(hash(request.node.nodeid))}"


@pytest.fixture
def load(folder: Path, request: pytest.FixtureRequest) -> Any:
    """Load one of the handlers."""
    return lambda name, **options: loader.load(f"{_module(request)}:{name}", options, environ={}, folder=folder)


def _got(handler: loader.Handler) -> Any:
    import sys

    return sys.modules[handler.name.partition(":")[0]].got


def test_the_record_comes_as_the_type_that_is_asked_for(load: Any) -> None:
    """Beside it the event is as it was, and options are options."""
    handler = load("typed", word="y")
    event = an_event(data={"Id": 5, "FromTime": "2026-03-01T09:00:00.1234567Z", "New": 1})

    ended = execution.run(handler, event)

    ((data, key, word),) = _got(handler)
    assert ended.outcome == Outcome.SUCCEEDED
    assert (type(data).__name__, data.Id, data.FromTime.tzinfo is not None, data.New) == ("Booking", 5, True, 1)
    assert (key, word, handler.record.__name__) == (event.key, "y", "Booking")


def test_a_model_of_ones_own_will_do(load: Any) -> None:
    """Anything that pydantic makes of a mapping."""
    handler = load("own")

    assert execution.run(handler, an_event(data={"Id": 5})).outcome == Outcome.SUCCEEDED
    assert _got(handler)[0].Colour == "red"


@pytest.mark.parametrize("name", ["loose", "mapping", "plain", "foreign"])
def test_without_a_type_the_record_is_a_dict(load: Any, name: str) -> None:
    """Also where `Event` cannot be found, because it is imported for type checkers alone."""
    handler = load(name)
    data = {"Id": "anything"}

    execution.run(handler, an_event(data=data))

    assert _got(handler) == [data]
    assert handler.record is None


def test_a_record_that_does_not_fit_ends_for_good_and_says_which_fields(load: Any) -> None:
    """Not what is in them: that may be personal."""
    data = {"Id": "secret-1", "FromTime": "secret-2", "Tentative": "secret-3"}

    ended = execution.run(load("typed"), an_event(data=data))

    assert (ended.outcome, ended.final) == (Outcome.FAILED, True)
    assert str(ended.error).startswith(
        "RecordUnfit: the record is not a valid Booking: Id: Input should be a valid integer"
    )
    assert "secret" not in str(ended.error)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("lost", "its type 'Event[Nothing]' cannot be read: NameError"),
        ("unmade", "takes Event[Odd], but no Odd can be made of a record; use a pydantic model"),
        ("odd", "cannot be made|no .* can be made|cannot be read"),
    ],
)
def test_a_type_that_nothing_can_be_made_of_is_refused_when_it_is_loaded(load: Any, name: str, sentence: str) -> None:
    """Not at the first event."""
    with pytest.raises(HandlerError, match=sentence.replace("[", r"\[").replace("]", r"\]")):
        load(name)


def test_in_a_worker_what_does_not_fit_is_dead_at_once(bench: Bench) -> None:
    """No retry can help; sync and async handlers; a neighbour gets its typed record."""
    (bench.folder / "typed.py").write_text(
        "from workers import Event\nfrom workers.records import Booking\nfrom deeds import note\n"
        "def read(event: Event[Booking]):\n    note(event=Seen(event), year=event.data.FromTime.year)\n"
        "async def read_async(event: Event[Booking]):\n    note(event=Seen(event), year=event.data.FromTime.year)\n"
        "class Seen:\n    def __init__(self, event): self.event = event; self.data = {'Id': event.data.Id}\n"
        "    def __getattr__(self, name): return getattr(self.event, name)\n"
    )
    retry = ["1h"]
    bench.routes({"handler": "typed:read", "retry": retry}, {"handler": "typed:read_async", "retry": retry})
    good = bench.keep_record({"Id": 1, "FromTime": "2026-03-01T09:00:00Z"}, "read", "read-async")
    bad = bench.keep_record({"Id": "never", "FromTime": "2026-03-01T09:00:00Z"}, "read", "read-async")
    odd = bench.keep_record({"Id": 3, "FromTime": "2026-03-01T09:00:00Z", "Repeats": "often"}, "read", "read-async")

    bench.work("--burst")

    assert bench.ended(good).status == "succeeded"
    assert [(one.status, len(one.attempts)) for one in bench.ended(bad).deliveries] == [("dead", 1), ("dead", 1)]
    assert {(seen["id"], seen["year"]) for seen in bench.seen()} == {(1, 2026), (3, 2026)}
    assert bench.ended(odd).status == "succeeded"
    assert "the record is not a valid Booking: Id" in str(bench.ended(bad).deliveries[0].error)
