"""`show` prints one event; who saw the texts of its record is kept."""

import json
from pathlib import Path

from receiver.storage.redis import connection
from tests.support.events import entry, keep_all
from tests.support.processes import run


def test_who_saw_a_record_is_kept(redis_url: str, tmp_path: Path) -> None:
    """As in the console: showing texts is an act, showing their lengths is none; and the act has no text in it."""
    one = entry(b'{"Id":1,"FullName":"Ada"}')
    with connection.connect(redis_url) as client:
        keep_all(client, one)
    settings = {"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_DATA_DIR": str(tmp_path)}

    masked = run("show", one.envelope.id, "--redact", "--json", settings=settings)
    before = run("acts", "--json", settings=settings)
    shown = run("show", one.envelope.id, "--json", settings=settings)
    (act,) = (json.loads(line) for line in run("acts", "--json", settings=settings).out.splitlines())

    assert (json.loads(masked.out)["data"]["FullName"], before.out) == ("<3 characters>", "")
    assert json.loads(shown.out)["data"]["FullName"] == "Ada"
    assert (act["what"], act["detail"]) == ("unmask", {"event_id": one.envelope.id, "action": "BookingCreate"})
    assert "@" in act["who"]
