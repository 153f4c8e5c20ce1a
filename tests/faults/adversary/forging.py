"""Forgeries in quarantine, and a `release` that has no secret to check them with."""

import json
from pathlib import Path

from receiver.core.events import EventStatus
from receiver.storage.query.event_reader import EventReader
from tests.faults import blows, deeds, load
from tests.faults.frontdesk import SECRET, Frontdesk, is_complete
from tests.faults.stand import Stand

_FIRST_OF_OURS = 10_000_000


_FORGERS = "nobody's"
_CHANGED = "changed at Nexudus a minute ago"


class Besieged(Frontdesk):
    """Somebody knows a hook's URL and no secret; and a secret was changed that the receiver does not know yet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.forged: list[str] = []
        self.authentic: dict[int, str] = {}

    def unaccounted(self) -> list[str]:
        """Nothing forged has left quarantine, or has been seen by a handler; all that was authentic has."""
        found = super().unaccounted()
        seen = {one.number for one in deeds.notes(self.notes) if one.number >= load.first_number() + _FIRST_OF_OURS}
        handled = seen - set(self.authentic)
        if handled:
            found.append(f"handlers have seen {len(handled)} forgeries")
        with self.store.client() as client:
            archive = EventReader(client)
            out = [one for one in self.forged if archive.get(one).status != EventStatus.QUARANTINED]
            stuck = [one for number, one in self.authentic.items() if not is_complete(archive.get(one), number)]
        if out:
            found.append(f"{len(out)} forgeries were released, such as {out[0]}")
        if stuck:
            found.append(f"{len(stuck)} authentic events were not released and handled, such as {stuck[0]}")
        return found


def release_forgeries(stand: Stand) -> None:
    """Forgeries and authentic events are set aside; `release --yes` runs without secrets, with others', with all."""
    assert isinstance(stand, Besieged)
    for _ in range(10):
        stand.forged.append(_set_aside(stand, _FORGERS)[1])
        number, event_id = _set_aside(stand, _CHANGED)
        stand.authentic[number] = event_id
    released = [
        json.loads(stand.command("release", "--yes", "--json", **settings).out)["released"]
        for settings in (
            {},
            {"FRONTDESK_WEBHOOK_SECRETS": f"{load.BUSINESS + 1}={_CHANGED}"},
            {"FRONTDESK_WEBHOOK_SECRETS": SECRET},
            {"FRONTDESK_WEBHOOK_SECRETS": f"{SECRET},{_CHANGED}"},
        )
    ]
    assert released == [0, 0, 0, 10], released


def _set_aside(stand: Besieged, secret: str) -> tuple[int, str]:
    number = _FIRST_OF_OURS + len(stand.forged) + len(stand.authentic)
    event = stand.post(number, secret=secret)
    assert event["status"] == "quarantined", event
    return load.first_number() + number, event["id"]


BLOWS = (
    blows.Blow("release of forgeries without secrets", release_forgeries),
    blows.Blow("receiver: SIGTERM, with a full quarantine", blows.stop_receiver),
)
