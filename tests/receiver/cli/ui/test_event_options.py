"""Which events a command is about: a slip in an option is told of, and hides nothing."""

import json
from pathlib import Path

from receiver.storage.redis import connection
from tests.support.events import entry, keep_all
from tests.support.processes import run


def test_an_action_that_nobody_knows_is_asked_for_and_told_of(redis_url: str, tmp_path: Path) -> None:
    """It may be a slip, for which there is a hint, or one that Nexudus has added, whose events are kept."""
    added = entry(b'{"Id":1}', action="RobotCreate")
    with connection.connect(redis_url) as client:
        keep_all(client, added)
    settings = {"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_DATA_DIR": str(tmp_path)}

    slip = run("events", "--action", "BookingCraete", "--json", settings=settings)
    new = run("events", "--action", "RobotCreate", "--json", settings=settings)
    known = run("events", "--action", "BookingCreate", settings=settings)

    assert (slip.status, slip.out) == (0, "")
    assert "'BookingCraete' is not a known action; did you mean 'BookingCreate'?" in slip.err
    assert json.loads(new.out)["id"] == added.envelope.id
    assert "'RobotCreate' is not a known action" in new.err
    assert known.err == ""


def test_a_limit_has_a_bound(redis_url: str) -> None:
    """A number that nothing can count to is refused, not a fault."""
    ran = run("events", "--json", "--limit", "99999999999999999999", settings={"FRONTDESK_REDIS_URL": redis_url})

    assert (ran.status, "Traceback" in ran.err) == (1, False)
    assert "1000000000" in ran.err
