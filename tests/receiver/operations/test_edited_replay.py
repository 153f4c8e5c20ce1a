"""An edited record becomes a new event that names its original; the original stays; what does not fit is refused."""

import dataclasses

import pytest
import redis

from receiver.core.errors import UsageError
from receiver.nexudus.actions import CODES
from receiver.operations.edited_replay import LONGEST, EditedReplay
from receiver.operations.erasure import Erasure
from receiver.routing import file
from receiver.storage.accounting.audit import Audit
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter, StoredEvent
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import entry, keep_all

ROUTES = """
routes:
  - {name: announce, action: BookingCreate, handler: log}
  - {name: charge, action: BookingCreate, handler: log, where: data.Online == true}
"""
TABLE = file.parse(ROUTES, file="routes.yaml", known_actions=CODES)


def kept(client: redis.Redis, record: bytes = b'{"Id":1,"Online":false}', **options: str) -> StoredEvent:
    """Keep an event and deliver it."""
    one = entry(record, **options)  # type: ignore[arg-type]
    keep_all(client, one)
    acknowledge(client, *claim_all(client))
    return EventReader(client).get(one.envelope.id)


def test_an_edited_record_is_a_new_event_and_the_original_stays(client: redis.Redis) -> None:
    """Routed by the record as it is now; its bytes are those that were written; nothing is unaccounted for."""
    original = kept(client)
    tool = EditedReplay(client, TABLE)
    body = b'{"Id": 1, "Online": true, "Cost": 0.09000}'

    edit = tool.check(original, body)
    made = EventReader(client).get(tool.run(original, edit))

    assert (edit.changed, edit.routes) == (("Online", "Cost"), ("announce", "charge"))
    assert (made.envelope.origin, made.envelope.edited_from) == ("edited", original.envelope.id)
    assert (made.envelope.body, made.envelope.entity) == (body, "Booking:1")
    assert [one.route for one in made.deliveries] == ["announce", "charge"]
    assert EventReader(client).get(original.envelope.id) == original
    assert [claim.origin for claim in claim_all(client)] == [None, None]
    report = Audit(client).run(full=True)
    assert (report.events["accepted"], report.unaccounted) == (2, 0)


def test_the_same_edit_twice_is_two_events(client: redis.Redis) -> None:
    """Also an edit that changes nothing: nobody's deduplication keeps back what a person sends."""
    original = kept(client)
    tool = EditedReplay(client, TABLE)
    for _ in range(2):
        tool.run(original, tool.check(original, original.envelope.body))

    assert len(list(EventReader(client).newest(EventFilter()))) == 3


def test_it_is_for_one_route_alone_when_asked(client: redis.Redis) -> None:
    """Whatever else wants it."""
    original = kept(client)
    tool = EditedReplay(client, TABLE, route="charge")

    made = EventReader(client).get(tool.run(original, tool.check(original, b'{"Id":1,"Online":true}')))

    assert [one.route for one in made.deliveries] == ["charge"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "cannot be read: an empty body"),
        (b"nonsense", "cannot be read: not JSON"),
        (b"[]", "must be one JSON object, and there are 0"),
        (b'[{"Id":1},{"Id":2}]', "must be one JSON object, and there are 2"),
        (b"[1]", "cannot be read"),
        (b'{"Id":1,"Id":2}', "the same key twice"),
        (b'{"Online":true}', "does not fit BookingCreate: Id: is required"),
        (b'{"Id":"jane"}', "does not fit BookingCreate: Id: "),
        (b'{"Id":1,"Online":"jane","FromTime":"jane"}', "does not fit BookingCreate: "),
        (b'{"Id":1,"Notes":"' + b"x" * LONGEST + b'"}', "at most 1,048,576 are taken"),
        (b"[" * 100 + b"]" * 100, "nested deeper"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_record_of_the_wrong_shape_is_refused(client: redis.Redis, body: bytes, sentence: str) -> None:
    """In a sentence that names the field and quotes no value; nothing is kept."""
    original = kept(client)

    with pytest.raises(UsageError, match="the edited record") as refused:
        EditedReplay(client, TABLE).check(original, body)

    assert sentence in str(refused.value)
    assert "jane" not in str(refused.value)
    assert len(list(EventReader(client).newest(EventFilter()))) == 1


def test_what_did_not_fit_before_may_stay_as_it_is(client: redis.Redis) -> None:
    """Nexudus sends it so."""
    original = kept(client, b'{"Id":1,"Online":"perhaps"}')

    edit = EditedReplay(client, TABLE).check(original, b'{"Id":1,"Online":"perhaps","Notes":"x"}')

    assert edit.changed == ("Notes",)


def test_there_must_be_a_record_to_edit(client: redis.Redis) -> None:
    """Not in quarantine, not erased."""
    aside = entry(b"[", quarantine="torn")
    keep_all(client, aside)
    erased = kept(client)
    Erasure(client).erase([erased.envelope.id])
    tool = EditedReplay(client, TABLE)

    with pytest.raises(UsageError, match="is quarantined"):
        tool.check(EventReader(client).get(aside.envelope.id), b'{"Id":1}')
    with pytest.raises(UsageError, match="its record was erased"):
        tool.check(EventReader(client).get(erased.envelope.id), b'{"Id":1}')


def test_of_an_original_that_is_no_object_everything_has_changed(client: redis.Redis) -> None:
    """An older version may have kept one."""
    original = dataclasses.replace(kept(client), envelope=kept(client, b"[2]").envelope)

    assert EditedReplay(client, TABLE).check(original, b'{"Id":1}').changed == ("Id",)
