"""A script that fails in the middle, or has a lot to do for one event."""

from collections import Counter
from pathlib import Path

from receiver.storage.accounting import data_loss
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis import keys
from tests.faults import blows, load
from tests.faults.frontdesk import Frontdesk, is_complete
from tests.faults.stand import Stand
from tests.support.processes import wait_until

WIDE_ACTION = "BookingUpdate"
_ORDERED, _DEBOUNCED = 834, 500
_FIRST_OF_OURS = 10_000_000


class Poisoned(Frontdesk):
    """One action is wanted by 1,334 routes, of which each asks the script for something that costs values."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.wide: list[str] = []
        self.poison: dict[int, str] = {}

    def routes(self) -> list[dict[str, object]]:
        """Those of every stand, and the many."""
        route: dict[str, object] = {
            "action": WIDE_ACTION,
            "handler": "tests.faults.deeds:nothing",
            "order": "entity",
            "retry": [],
        }
        more = {"debounce": "100ms", "concurrency": 4}
        return [
            *super().routes(),
            *({"name": f"ordered-{number}", **route} for number in range(_ORDERED)),
            *({"name": f"debounced-{number}", **route, **more} for number in range(_DEBOUNCED)),
        ]

    def next_number(self) -> int:
        """A number that is no other event's."""
        return _FIRST_OF_OURS + len(self.wide) + len(self.poison)

    def unaccounted(self) -> list[str]:
        """Every delivery of the wide events has succeeded, and every poisonous one was kept and handled in the end."""
        found = super().unaccounted()
        with self.store.client() as client:
            archive = EventReader(client)
            for event_id in self.wide:
                counts = Counter(one.status.value for one in archive.get(event_id).deliveries)
                if counts != {"succeeded": _ORDERED + _DEBOUNCED}:
                    found.append(f"the deliveries of {event_id}, which 1,334 routes want, are {dict(counts)}")
            for number, event_id in self.poison.items():
                if not is_complete(archive.get(event_id), number):
                    found.append(f"{event_id}, which the script failed on, was not handled: {archive.get(event_id)}")
        return found


def want_by_many(stand: Stand) -> None:
    """Three events, each of which is a script's work for 1,334 routes, in the middle of the others."""
    assert isinstance(stand, Poisoned)
    for _ in range(3):
        stand.wide.append(stand.post(stand.next_number(), action=WIDE_ACTION)["id"])


def fail_the_script(stand: Stand) -> None:
    """Three events on which the script fails after it has begun to write: the store holds something else in a key.

    Such a key is set aside, the event is kept, and there is an alert until somebody acknowledges it.
    """
    assert isinstance(stand, Poisoned)
    with stand.store.client() as client:
        for _ in range(3):
            number = stand.next_number()
            record_id = load.first_number() + number
            key = keys.newest(f"Booking:{record_id}")
            client.set(key, "not a hash")
            stand.poison[record_id] = stand.post(number)["id"]
            wait_until(lambda key=key: client.type(key) == b"hash", "the key to be set aside")  # type: ignore[misc]
            assert key in {loss.mark for loss in data_loss.acknowledge(client)}


BLOWS = (
    blows.Blow("1,334 routes want one event", want_by_many),
    blows.Blow("the script fails on some events", fail_the_script),
    blows.Blow("workers: kill -9 of all, amid them", blows.kill_fleet, crashes=True),
)
